//! How much of its share an endpoint has that is new (Envoy's slow start).

use std::time::Duration;

use crate::destination::rule::Warmup;

/// How new endpoints warm up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SlowStart {
    window: Duration,
    exponent: f64,
    least: f64,
}

impl SlowStart {
    pub(crate) fn new(warmup: &Warmup) -> Option<SlowStart> {
        let window = Duration::from_millis(warmup.duration_ms);
        // Envoy takes no aggression of 0 or below; evenly is what it means by none.
        let is_usable = warmup.aggression.is_finite() && warmup.aggression > 0.0;
        let exponent = if is_usable { 1.0 / warmup.aggression } else { 1.0 };
        let least = warmup.minimum_percent / 100.0;
        // One that gets nothing at first would never be seen to work.
        let least = if least.is_finite() { least.clamp(0.001, 1.0) } else { 0.1 };
        (!window.is_zero()).then_some(SlowStart { window, exponent, least })
    }

    /// When one that was ready at that time has its whole share.
    pub(crate) fn end(&self, ready: Duration) -> Duration {
        ready.saturating_add(self.window)
    }

    /// The part of its share that an endpoint has now: `max(minimum, (age / window) ^ (1 / aggression))`.
    pub(crate) fn share(&self, ready: Duration, now: Duration) -> f64 {
        let age = now.saturating_sub(ready);
        if age >= self.window {
            return 1.0;
        }
        let part = age.as_secs_f64() / self.window.as_secs_f64();
        // The default needs no power, which is the dear part of this.
        let grown = if self.exponent == 1.0 { part } else { part.powf(self.exponent) };
        grown.max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_rises_as_aggression_says() {
        for (aggression, minimum_percent, at, expected) in [
            (1.0, 10.0, 0, 0.1),
            (1.0, 10.0, 500, 0.5),
            (1.0, 10.0, 1000, 1.0),
            (1.0, 10.0, 5000, 1.0),
            (2.0, 10.0, 250, 0.5),
            (0.5, 10.0, 500, 0.25),
            (1.0, 60.0, 500, 0.6),
            (0.0, 10.0, 500, 0.5),
            (f64::NAN, f64::NAN, 0, 0.1),
        ] {
            let warmup = Warmup { duration_ms: 1000, minimum_percent, aggression };
            let slow = SlowStart::new(&warmup).unwrap();
            let ready = Duration::from_secs(7);
            let share = slow.share(ready, ready + Duration::from_millis(at));
            assert!((share - expected).abs() < 1e-9, "{warmup:?} at {at}: {share}");
        }
        assert_eq!(SlowStart::new(&Warmup::over(0)), None);
    }
}
