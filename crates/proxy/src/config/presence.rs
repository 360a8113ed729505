//! What stays of an endpoint while it is reached in the same way, whatever else is said about it: a change of its weight
//! costs no connection.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use meltemi_policy::balance::Observed;
use meltemi_policy::outlier::Out;

use crate::clock;
use crate::outcomes::Counted;

/// The next presence's id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An endpoint's presence, shared by all versions of its description under which it is reached in the same way.
#[derive(Debug)]
pub struct Presence {
    /// Unique in this process; the key of its connections.
    pub id: u64,
    /// Since when it is there, by this process's clock.
    pub since: Duration,
    gone: AtomicBool,
    /// Requests under way, from the moment of choice on. Counted only where a balancer looks at it.
    active: AtomicU32,
    /// What became of calls, from the first one on.
    counted: OnceLock<Arc<Counted>>,
    /// What calls have told of it, for balancers that go by that.
    pub(super) observed: Arc<Observed>,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            since: clock::now(),
            gone: AtomicBool::new(false),
            active: AtomicU32::new(0),
            counted: OnceLock::new(),
            observed: Arc::default(),
        }
    }

    /// Whether it was taken out of rotation: its connections must not be used for further requests. True from the moment
    /// at which the snapshot without it was swapped in.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Where calls are counted; made by the first one.
    pub(crate) fn counted(&self, enter: impl FnOnce() -> Arc<Counted>) -> &Arc<Counted> {
        self.counted.get_or_init(enter)
    }

    /// Has the control plane told that the endpoint was ejected.
    pub(super) fn tell_ejected(&self, out: Out) {
        if let Some(counted) = self.counted.get() {
            counted.tell_ejected(out);
        }
    }

    /// Notes how much of what it can do the endpoint does, by its own word.
    pub(crate) fn hear(&self, share: f32) {
        self.observed.note_utilization(share, clock::now());
    }

    /// Requests under way.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}
