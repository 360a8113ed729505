//! Whether the sidecar that has registered a name is there when another one wants it: a unit file that was copied to a second
//! machine must not take the name from the first one, and who comes back after its machine has vanished must have it.

use std::time::Duration;

use meltemi_store::Key;
use meltemi_wire::proto::meltemi::v1::RegisteredWorkload;
use tokio::sync::{MutexGuard, mpsc, oneshot};

use super::registry::{Registry, RegistryError};

/// How long a sidecar that is there may take to say so; a stream that is dead is found by pings only after 15 s.
const PROOF: Duration = Duration::from_secs(2);
/// How many may wait for the same answer.
const WAITING: usize = 16;

/// Who stands behind a name.
pub(super) struct Holder {
    instance: String,
    address: String,
    since: String,
    questions: mpsc::Sender<oneshot::Sender<()>>,
}

/// The stream's end of a [`Holder`].
pub(super) struct Held {
    questions: mpsc::Receiver<oneshot::Sender<()>>,
    /// Those who wait for the sidecar's answer.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Holder {
    pub(super) fn new(workload: &RegisteredWorkload, since: String) -> (Holder, Held) {
        let (sender, questions) = mpsc::channel(WAITING);
        let RegisteredWorkload { instance, address, .. } = workload.clone();
        let holder = Holder { instance, address, since, questions: sender };
        (holder, Held { questions, waiting: Vec::new() })
    }
}

impl Held {
    /// Waits until somebody asks whether the sidecar is there.
    pub(super) async fn asked(&mut self) {
        match self.questions.recv().await {
            Some(question) => self.waiting.push(question),
            // The lease is another's: that is told otherwise.
            None => std::future::pending().await,
        }
    }

    /// The sidecar is there.
    pub(super) fn answer(&mut self) {
        self.waiting.drain(..).for_each(|it| {
            // Who has gone needs no answer.
            let _ = it.send(());
        });
    }

    /// The sidecar gives the name up: nobody needs to wait.
    pub(super) fn leave(&mut self) {
        self.questions.close();
        while self.questions.try_recv().is_ok() {}
        self.waiting.clear();
    }
}

impl Registry {
    /// Waits for the turn of a name, which is refused while another instance has it that is there.
    pub(super) async fn admitted(
        &self,
        key: &Key,
        instance: &str,
    ) -> Result<MutexGuard<'_, ()>, RegistryError> {
        let mut silent = None;
        loop {
            let turn = self.turn(key).await;
            let Some((id, question)) = self.stranger(key, instance) else { return Ok(turn) };
            if silent == Some(id) {
                return Ok(turn);
            }
            drop(turn);
            let (sender, answer) = oneshot::channel();
            let asking = async {
                question.send(sender).await.ok()?;
                answer.await.ok()
            };
            if let Ok(Some(())) = tokio::time::timeout(PROOF, asking).await
                && let Some(held) = self.held(key, id)
            {
                return Err(held);
            }
            silent = Some(id);
        }
    }

    /// The lease of another instance, and the way to ask it.
    fn stranger(
        &self,
        key: &Key,
        instance: &str,
    ) -> Option<(u64, mpsc::Sender<oneshot::Sender<()>>)> {
        let leases = self.leases.lock();
        let lease = leases.get(key).filter(|lease| lease.holder.instance != instance)?;
        Some((lease.id, lease.holder.questions.clone()))
    }

    fn held(&self, key: &Key, id: u64) -> Option<RegistryError> {
        let leases = self.leases.lock();
        let Holder { address, since, .. } = &leases.get(key).filter(|lease| lease.id == id)?.holder;
        Some(RegistryError::Held {
            name: format!("{}/{}", key.namespace.as_deref().unwrap_or_default(), key.name),
            address: address.clone(),
            since: since.clone(),
        })
    }
}
