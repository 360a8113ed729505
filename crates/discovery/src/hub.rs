//! All sessions, to be asked whether their clients have let go of an endpoint.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

/// Asks a session to answer as soon as these endpoints are out of the catalog and its client can no longer use any of them.
#[derive(Debug)]
pub(crate) struct LetGo {
    /// `HOST/WORKLOAD`.
    pub(crate) endpoints: Arc<[String]>,
    /// True if the client could use one of them at any time since it was asked, false if it never could. Dropped when the
    /// client is gone.
    pub(crate) answer: oneshot::Sender<bool>,
}

/// How the clients that knew a removed endpoint have taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Clients that acknowledged.
    pub acknowledged: u32,
    /// Clients that went away before they did.
    pub gone: u32,
}

/// The sessions that stand.
#[derive(Debug, Default)]
pub struct Hub {
    sessions: Mutex<HashMap<u64, mpsc::Sender<LetGo>>>,
    next: AtomicU64,
    /// The version of the trust that each session's client has acknowledged; only those that follow it.
    beliefs: watch::Sender<HashMap<u64, Option<String>>>,
    /// By session the workload that it is of, `NAMESPACE/NAME`, and which version of its description it has acknowledged.
    own: watch::Sender<HashMap<u64, (String, String)>>,
}

impl Hub {
    pub(crate) fn enter(self: &Arc<Self>) -> (Entered, mpsc::Receiver<LetGo>) {
        let (sender, receiver) = mpsc::channel(16);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sessions.lock().insert(id, sender);
        (Entered { hub: self.clone(), id }, receiver)
    }

    /// How many clients follow the mesh's trust, and how many of them do not believe this version of it yet; and each
    /// change of that.
    pub fn beliefs(&self, version: &str) -> (usize, usize) {
        let beliefs = self.beliefs.borrow();
        let behind = beliefs.values().filter(|it| it.as_deref() != Some(version)).count();
        (beliefs.len(), behind)
    }

    /// Waits until every client that follows the mesh's trust believes this version.
    pub async fn believed(&self, version: &str) {
        let is_settled = |beliefs: &HashMap<u64, Option<String>>| {
            beliefs.values().all(|it| it.as_deref() == Some(version))
        };
        // The sender lives in this value, so the channel is open.
        drop(self.beliefs.subscribe().wait_for(is_settled).await);
    }

    /// Waits until a session of this workload (`NAMESPACE/NAME`) has acknowledged the version of its description that
    /// `current` tells; for ever if there is none.
    pub(crate) async fn knows_itself(&self, workload: &str, current: impl Fn() -> Option<String>) {
        let knows = |own: &HashMap<u64, (String, String)>| {
            let mut held = own.values().filter(|(name, _)| name == workload);
            current().is_none_or(|version| held.any(|(_, held)| *held == version))
        };
        // The sender lives in this value, so the channel is open.
        drop(self.own.subscribe().wait_for(knows).await);
    }

    /// Has all sessions watch endpoints (`HOST/WORKLOAD`) that are about to be taken out of the catalog. Asked only after
    /// that, a session could have told its client and forgotten already.
    pub async fn watch(&self, endpoints: Vec<String>) -> Leaving {
        let mut leaving = Leaving { endpoints: endpoints.into(), asked: BTreeMap::new() };
        leaving.ask(self).await;
        leaving
    }
}

/// Endpoints that are leaving, watched by sessions.
#[derive(Debug)]
pub struct Leaving {
    endpoints: Arc<[String]>,
    /// The answers to come, by session; `None` where the session ended before it was asked.
    asked: BTreeMap<u64, Option<oneshot::Receiver<bool>>>,
}

impl Leaving {
    /// Waits until no client can use the endpoints any longer, because it acknowledged their removal or is gone. They must
    /// be out of the catalog already.
    pub async fn settled(mut self, hub: &Hub) -> Settled {
        // Who came meanwhile may have learned of them.
        self.ask(hub).await;
        let answers = self.asked.into_values().map(async |answer| answer?.await.ok());
        let mut settled = Settled::default();
        for answer in join_all(answers).await {
            match answer {
                Some(true) => settled.acknowledged += 1,
                Some(false) => {}
                None => settled.gone += 1,
            }
        }
        settled
    }

    /// Asks all sessions that were not asked yet.
    async fn ask(&mut self, hub: &Hub) {
        let sessions: Vec<_> = {
            let sessions = hub.sessions.lock();
            let new = sessions.iter().filter(|(id, _)| !self.asked.contains_key(id));
            new.map(|(id, session)| (*id, session.clone())).collect()
        };
        let endpoints = &self.endpoints;
        let asking = sessions.into_iter().map(async |(id, session)| {
            let (answer, answered) = oneshot::channel();
            let sent = session.send(LetGo { endpoints: endpoints.clone(), answer }).await;
            (id, sent.is_ok().then_some(answered))
        });
        let asked = join_all(asking).await;
        self.asked.extend(asked);
    }
}

/// A session's place in the hub; given up when dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    hub: Arc<Hub>,
    id: u64,
}

impl Entered {
    /// Notes which version of the trust the client has acknowledged.
    pub(crate) fn believes(&self, version: Option<&str>) {
        let version = version.map(str::to_owned);
        self.hub.beliefs.send_modify(|beliefs| drop(beliefs.insert(self.id, version)));
    }

    /// Notes which version of its own workload's description the client has acknowledged.
    pub(crate) fn knows(&self, workload: &str, version: Option<&str>) {
        self.hub.own.send_if_modified(|own| {
            let Some(version) = version else { return own.remove(&self.id).is_some() };
            let is_known = |(name, held): &(String, String)| name == workload && held == version;
            if own.get(&self.id).is_some_and(is_known) {
                return false;
            }
            own.insert(self.id, (workload.to_owned(), version.to_owned()));
            true
        });
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hub.beliefs.send_if_modified(|beliefs| beliefs.remove(&self.id).is_some());
        self.hub.own.send_if_modified(|own| own.remove(&self.id).is_some());
        self.hub.sessions.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_asked_before_and_those_that_come_meanwhile_after() {
        let hub = Arc::new(Hub::default());
        let (_knew, mut first) = hub.enter();
        let (_never, mut second) = hub.enter();
        let leaving = hub.watch(vec!["hello/1".into()]).await;
        // Here the endpoint is taken out; the sessions have their question already.
        first.try_recv().unwrap().answer.send(true).unwrap();
        second.try_recv().unwrap().answer.send(false).unwrap();
        let (_new, mut third) = hub.enter();
        let answering = tokio::spawn(async move {
            let asked = third.recv().await.unwrap();
            assert_eq!(*asked.endpoints, ["hello/1".to_owned()]);
            // Dropped, as when the client is gone.
        });
        assert_eq!(leaving.settled(&hub).await, Settled { acknowledged: 1, gone: 1 });
        answering.await.unwrap();
        assert!(first.try_recv().is_err() && second.try_recv().is_err(), "asked once");
    }
}
