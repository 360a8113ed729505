//! Outlier detection's part that is due by the clock: ejected endpoints come back, success rates are looked at.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;

use super::mesh::Inner;
use crate::clock;

/// Sweeps what is due, until the mesh is gone.
pub(super) async fn run(mesh: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    loop {
        changes.mark_unchanged();
        let Some(next) = mesh.upgrade().map(|mesh| sweep(&mesh)) else { return };
        let wait = async {
            match next {
                Some(due) => tokio::time::sleep(due.saturating_sub(clock::now())).await,
                None => std::future::pending().await,
            }
        };
        // A new configuration may have detectors that are due earlier.
        let changed = async { changes.changed().await.is_ok() };
        tokio::select! {
            () = wait => {}
            is_there = changed => if !is_there { return },
        }
    }
}

/// When the next sweep is due.
fn sweep(mesh: &Inner) -> Option<Duration> {
    let (snapshot, now) = (mesh.current().clone(), clock::now());
    let services = snapshot.services().map(|(_, service)| service);
    let clusters = services.flat_map(|it| it.clusters.iter().chain(&it.subsets));
    clusters.filter_map(|cluster| cluster.sweep(now)).min()
}
