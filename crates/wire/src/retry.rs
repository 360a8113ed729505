//! How long a client waits before it tries the control plane again.

use std::time::Duration;

/// The wait after a first failure.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 50 ms to 5 s, each shortened by up to half at random, so that the proxies of a mesh do not
/// return to a restarted control plane in step.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The wait after one more failure; `jitter` is uniform in 0..1.
    pub(crate) fn next(&mut self, jitter: f64) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(7)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0))
    }

    /// Starts from the shortest wait again, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew() {
        let mut back_off = BackOff::default();
        let waits: Vec<u128> = (0..10).map(|_| back_off.next(0.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        back_off.reset();
        assert_eq!(back_off.next(1.0), Duration::from_millis(25));
    }
}
