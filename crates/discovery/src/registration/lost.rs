//! What is deleted under a workload whose stream stands: its entry is written again, as Istio's auto-registered entries come
//! back, and so are its namespace and the service that was made for it
//! (<https://istio.io/latest/docs/ops/deployment/vm-architecture/>).

use std::sync::Arc;
use std::time::Duration;

use meltemi_store::Key;
use meltemi_wire::proto::meltemi::v1::Health;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::registry;
use super::registry::{Claim, Registry, RegistryError, UNTOLD};

/// How often an entry is written again at most: who deletes it on and on has no storm of writes.
const PACE: Duration = Duration::from_secs(1);
/// How long a service may be gone: who replaces one deletes it and makes it anew, or moves its file.
const MOMENT: Duration = Duration::from_secs(1);

/// Tells a stream of what was deleted.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) entry: Notify,
    around: Notify,
}

/// What is to be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The workload's entry, perhaps.
    Entry,
    /// Its namespace or its service, perhaps.
    Around,
}

/// When a stream writes what was deleted.
pub(super) struct Mending {
    lost: Arc<Lost>,
    entry_after: Instant,
    around_at: Option<Instant>,
}

impl Mending {
    pub(super) fn new(lost: Arc<Lost>) -> Self {
        Mending { lost, entry_after: Instant::now(), around_at: None }
    }

    /// Waits until something is to be written. Dropped in between, it has forgotten nothing.
    pub(super) async fn next(&mut self) -> Missing {
        loop {
            let at = self.around_at;
            let (entry, after) = (&self.lost.entry, self.entry_after);
            let paced = async {
                tokio::time::sleep_until(after).await;
                entry.notified().await;
            };
            let due = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = paced => {
                    self.entry_after = Instant::now() + PACE;
                    return Missing::Entry;
                }
                () = self.lost.around.notified(), if at.is_none() => {
                    self.around_at = Some(Instant::now() + MOMENT);
                }
                () = due => {
                    self.around_at = None;
                    return Missing::Around;
                }
            }
        }
    }
}

impl Registry {
    /// Tells streams of an object that was deleted; all of them where nobody knows which.
    pub(super) fn tell(&self, gone: Option<&Key>) {
        let leases = self.leases.lock();
        let Some(gone) = gone else {
            for lease in leases.values() {
                lease.lost.entry.notify_one();
                lease.lost.around.notify_one();
            }
            return;
        };
        match (gone.group(), gone.plural()) {
            (registry::GROUP, registry::ENTRIES) => {
                leases.get(gone).iter().for_each(|lease| lease.lost.entry.notify_one());
            }
            ("", "services") => {
                let concerned = leases.iter().filter(|(key, lease)| {
                    key.namespace == gone.namespace && lease.service == gone.name
                });
                concerned.for_each(|(_, lease)| lease.lost.around.notify_one());
            }
            ("", "namespaces") => {
                let inside =
                    leases.iter().filter(|(key, _)| key.namespace.as_deref() == Some(&*gone.name));
                inside.for_each(|(_, lease)| lease.lost.around.notify_one());
            }
            _ => {}
        }
    }

    /// Writes the entry of a workload again if it is gone: not ready at first, as for any that registers. Answers with the
    /// store's version with it then.
    pub(super) async fn restore(&self, claim: &mut Claim) -> Result<Option<u64>, RegistryError> {
        let _turn = self.turn(&claim.key).await;
        if !self.holds(claim) {
            return Err(RegistryError::Replaced);
        }
        if self.is_closing() || self.store.get(&claim.key).await?.is_some() {
            return Ok(None);
        }
        self.ensure_namespace(&claim.workload.namespace).await?;
        if claim.health.ready {
            claim.health = Health { ready: false, reason: UNTOLD.to_owned() };
        }
        let Claim { key, workload, group, health, .. } = claim;
        let version = self.write_entry(key, workload, group.as_deref(), health).await?;
        tracing::warn!(
            workload = %claim.key,
            "its entry was deleted while its sidecar is there: written again (it goes with its sidecar)"
        );
        Ok(version)
    }

    /// Writes a workload's namespace and service again if they are gone.
    pub(super) async fn surround(&self, claim: &Claim) -> Result<(), RegistryError> {
        let _turn = self.turn(&claim.key).await;
        if !self.holds(claim) {
            return Err(RegistryError::Replaced);
        }
        if self.is_closing() {
            return Ok(());
        }
        self.ensure_namespace(&claim.workload.namespace).await?;
        if self.ensure_service(&claim.workload).await?.is_some() {
            let service = &claim.workload.service;
            tracing::warn!(
                workload = %claim.key, service,
                "its service was deleted while its sidecar is there: made again"
            );
        }
        Ok(())
    }
}
