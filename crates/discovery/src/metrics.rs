//! What the services count, for the control plane's own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters and gauges of one control plane.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Discovery streams that stand.
    pub sessions: AtomicU64,
    /// Workloads whose registration streams stand.
    pub registered: AtomicU64,
    /// Responses sent because something changed.
    pub pushes: AtomicU64,
    /// Responses sent because a client asked.
    pub answers: AtomicU64,
    /// Responses that a client could not use in full.
    pub refusals: AtomicU64,
    /// Certificates signed.
    pub certificates_signed: AtomicU64,
    /// Certificate requests refused.
    pub certificates_refused: AtomicU64,
}

impl Metrics {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Raises a gauge until the guard is dropped.
    pub(crate) fn hold(gauge: &AtomicU64) -> Held<'_> {
        gauge.fetch_add(1, Ordering::Relaxed);
        Held(gauge)
    }
}

/// Lowers its gauge when it is dropped.
pub(crate) struct Held<'a>(&'a AtomicU64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
