//! All sessions, to be asked whether their clients have let go of an endpoint.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

/// Asks a session to answer as soon as its client can no longer use any of these endpoints.
#[derive(Debug)]
pub(crate) struct LetGo {
    /// `HOST/WORKLOAD`.
    pub(crate) endpoints: Arc<[String]>,
    /// True if the client knew one of them and acknowledged the removal, false if it never did. Dropped when the client
    /// is gone.
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

    /// Waits until no client can use these endpoints (`HOST/WORKLOAD`) any longer, because it acknowledged their removal
    /// or is gone. They must be out of the catalog already.
    pub async fn let_go(&self, endpoints: Vec<String>) -> Settled {
        let endpoints: Arc<[String]> = endpoints.into();
        let sessions: Vec<_> = self.sessions.lock().values().cloned().collect();
        let answers = sessions.into_iter().map(|session| {
            let endpoints = endpoints.clone();
            async move {
                let (answer, answered) = oneshot::channel();
                match session.send(LetGo { endpoints, answer }).await {
                    Ok(()) => answered.await.ok(),
                    // The session ended before it was asked: it may have known them.
                    Err(_) => None,
                }
            }
        });
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
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hub.beliefs.send_if_modified(|beliefs| beliefs.remove(&self.id).is_some());
        self.hub.sessions.lock().remove(&self.id);
    }
}
