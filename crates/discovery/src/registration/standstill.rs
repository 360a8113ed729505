//! Whether the control plane itself stood still: its machine was paused, or gave it no processor. What ended meanwhile may have
//! ended since nobody here answered, so that it says nothing of who was at the other end.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How often it is noted that time goes on.
const BEAT: Duration = Duration::from_millis(500);
/// A beat that is later than this was held up.
const LATE: Duration = Duration::from_secs(3);

/// What notes that time goes on.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// The last beat, by both clocks: the one may stand while a machine is paused, the other goes on.
    beat: (Instant, SystemTime),
    /// When a standstill was noticed.
    noticed: Option<Instant>,
}

impl Pulse {
    /// Starts on the current runtime; ends with the last clone.
    pub(super) fn start() -> Pulse {
        let pulse = Pulse::at((Instant::now(), SystemTime::now()));
        let held = Arc::downgrade(&pulse.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let Some(state) = held.upgrade() else { return };
                Pulse(state).beat((Instant::now(), SystemTime::now()));
            }
        });
        pulse
    }

    fn at(now: (Instant, SystemTime)) -> Pulse {
        Pulse(Arc::new(Mutex::new(State { beat: now, noticed: None })))
    }

    /// Whether there was a standstill within the last `limit`.
    pub(super) fn has_stood(&self, limit: Duration) -> bool {
        self.stood(limit, (Instant::now(), SystemTime::now()))
    }

    /// An end may be handled before the beat that is late: that is looked at, too.
    fn stood(&self, limit: Duration, now: (Instant, SystemTime)) -> bool {
        self.beat(now);
        let noticed = self.0.lock().noticed;
        noticed.is_some_and(|at| now.0.saturating_duration_since(at) < limit)
    }

    fn beat(&self, now: (Instant, SystemTime)) {
        let mut state = self.0.lock();
        let (steady, wall) = state.beat;
        let gone = now.0.saturating_duration_since(steady);
        let gone = gone.max(now.1.duration_since(wall).unwrap_or_default());
        state.beat = now;
        if gone < BEAT + LATE {
            return;
        }
        state.noticed = Some(now.0);
        drop(state);
        tracing::warn!(
            seconds = gone.as_secs_f32(),
            "the control plane stood still: who has lost it meanwhile has time to come back"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_comes_late_by_either_clock_is_a_standstill_for_a_while() {
        let (start, wall, second) = (Instant::now(), SystemTime::now(), Duration::from_secs(1));
        let limit = 10 * second;
        for (steady, walled) in [(12, 12), (12, 0), (0, 12)] {
            let pulse = Pulse::at((start, wall));
            let at = |seconds: u32, more: u32| {
                (
                    start + second * (seconds * steady.min(1) + more),
                    wall + second * (seconds * walled.min(1) + more),
                )
            };
            assert!(!pulse.stood(limit, at(0, 1)));
            assert!(pulse.stood(limit, at(12, 1)), "{steady} {walled}");
            for more in 2..11 {
                assert!(pulse.stood(limit, at(12, more)), "{steady} {walled} {more}");
            }
            assert!(!pulse.stood(limit, at(12, 11)), "{steady} {walled}");
        }
        // A clock that is set back is none.
        let pulse = Pulse::at((start, wall));
        assert!(!pulse.stood(limit, (start + second, wall - 100 * second)));
    }
}
