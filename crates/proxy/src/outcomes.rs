//! Outcomes of the calls that our workload makes, per endpoint: counted where a call ends, taken once a window by the report to
//! the control plane.
//!
//! An endpoint's counts hang on its presence, so that a request finds them without a look-up, and each worker adds to memory of
//! its own. Nothing is taken while the control plane is away: what happens then adds up in the same place.

mod counted;
mod stats;

use std::sync::Arc;

use meltemi_wire::load_stats::{ClusterStats, Loads};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use counted::{Counted, Named, Ongoing};

/// Endpoints whose counts wait to be reported, at most: while the control plane is away, those that have gone are forgotten
/// beyond this.
const MAX_KEPT: usize = 100_000;

/// The outcomes of a proxy.
#[derive(Debug)]
pub struct Outcomes {
    workers: usize,
    kept: Mutex<Vec<Arc<Counted>>>,
    urgent: Arc<Notify>,
}

impl Outcomes {
    /// Nothing so far; each of so many workers gets counts of its own.
    pub fn new(workers: usize) -> Outcomes {
        Outcomes { workers: workers.max(1), kept: Mutex::default(), urgent: Arc::default() }
    }

    /// Counts of an endpoint that is called for the first time.
    pub(crate) fn enter(&self, named: Named) -> Arc<Counted> {
        let counted = Arc::new(Counted::new(named, self.workers, self.urgent.clone()));
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(is_held);
        }
        kept.push(counted.clone());
        counted
    }
}

impl Loads for Outcomes {
    fn take(&self, by_endpoint: bool) -> Vec<ClusterStats> {
        // Those that are gone first: what they counted before is taken below.
        let mut kept = self.kept.lock();
        let gone: Vec<bool> = kept.iter().map(|counted| !is_held(counted)).collect();
        let taken: Vec<_> = kept.iter().filter_map(|it| Some((it.clone(), it.take()?))).collect();
        let mut gone = gone.into_iter();
        kept.retain(|_| !gone.next().unwrap_or_default());
        drop(kept);
        stats::clusters(taken, by_endpoint)
    }

    fn urgent(&self) -> Arc<Notify> {
        self.urgent.clone()
    }
}

/// Whether an endpoint or a call has it still.
fn is_held(counted: &Arc<Counted>) -> bool {
    Arc::strong_count(counted) > 1
}

#[cfg(test)]
mod tests;
