//! Keeps what is in effect on disk, off the way of updates and requests.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::last_good::{LastGood, LastGoodFile};
use super::mesh::Inner;
use super::receive::Receiver;

/// Changes that come within this time of each other are written together.
const GATHER: Duration = Duration::from_millis(500);

/// Writes and reads the file of one proxy.
#[derive(Debug)]
pub(super) struct Keeper {
    file: LastGoodFile,
    namespace: String,
    /// The receiver's revision that the file holds. Held while writing, so that writes come one after the other.
    kept: tokio::sync::Mutex<u64>,
}

impl Keeper {
    /// Keeps a file in `dir`; `namespace` is the one in which short names are read.
    pub(super) fn new(dir: &Path, namespace: String) -> Keeper {
        Keeper { file: LastGoodFile::new(dir), namespace, kept: tokio::sync::Mutex::new(0) }
    }

    /// Puts what the file holds in effect. Whatever cannot be used is left out and told of.
    pub(super) fn restore(&mut self, receiver: &mut Receiver, workload: Option<&str>) {
        let path = self.file.path().display();
        let last_good = match self.file.read() {
            Ok(Some(last_good)) => last_good,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "starting without what was known before");
                return;
            }
        };
        if last_good.namespace != self.namespace {
            tracing::warn!(
                %path,
                theirs = last_good.namespace,
                ours = self.namespace,
                "what was known before is of another namespace, where names mean other services; not used"
            );
            return;
        }
        for resource in last_good.restore(receiver, workload) {
            let (name, reason) = (resource.name, resource.reason);
            tracing::warn!(%path, name, reason, "a resource known from before cannot be used");
        }
        *self.kept.get_mut() = receiver.revision();
        let services = receiver.services().count();
        tracing::info!(%path, services, "going on with what was known before");
    }

    /// Writes what the receiver holds, unless the file holds it already.
    pub(super) async fn keep(&self, receiver: &Mutex<Receiver>) {
        let mut kept = self.kept.lock().await;
        let (last_good, revision) = {
            let receiver = receiver.lock();
            if receiver.revision() == *kept {
                return;
            }
            (LastGood::of(&receiver, &self.namespace), receiver.revision())
        };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&last_good)).await;
        match written {
            Ok(Ok(())) => *kept = revision,
            Ok(Err(error)) => tracing::warn!(
                %error,
                "what is in effect could not be kept; a restart without the control plane would not know it"
            ),
            Err(error) => {
                tracing::error!(%error, "the writer of the last good configuration failed")
            }
        }
    }
}

/// Writes after changes, until the mesh is gone.
pub(super) async fn run(mesh: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        tokio::time::sleep(GATHER).await;
        let Some(mesh) = mesh.upgrade() else { return };
        mesh.keep().await;
    }
}
