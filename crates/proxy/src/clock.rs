//! This process's clock for what is pure: time since it was first looked at.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time since the first look.
pub(crate) fn now() -> Duration {
    ORIGIN.elapsed()
}

/// A moment by this clock.
pub(crate) fn at(moment: Instant) -> Duration {
    moment.saturating_duration_since(*ORIGIN)
}
