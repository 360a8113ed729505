//! Whether what a caller says of its calls can be: nobody checks it but by what one caller can do at all, and figures beyond
//! that, of a reporter that errs or lies, would drown those of everybody else for an hour.

use std::collections::HashMap;
use std::sync::Arc;

use meltemi_policy::outcome::Tally;

/// Calls of one caller in a second, at most.
pub const MAX_RATE: u64 = 1_000_000;
/// So many seconds' calls may come at once: what happened while the control plane was away.
pub const MAX_SPAN: u32 = 60;
/// Calls of one caller that are under way to one endpoint, at most.
pub const MAX_IN_FLIGHT: u64 = 1_000_000;
/// By how much figures of one report may differ: a proxy's workers count on while it is made, and of each a call may be in
/// one figure and not yet in another.
pub const MAX_SKEW: u64 = 256;

/// How many calls each caller may tell of still. Time comes in as seconds since 1970.
#[derive(Debug, Default)]
pub struct Allowances(HashMap<Arc<str>, Allowance>);

#[derive(Debug, Clone, Copy)]
struct Allowance {
    left: u64,
    at: u32,
    /// When something was refused that was worth a line.
    refused: Option<u32>,
}

/// What a tally is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It can be.
    Plausible,
    /// It cannot.
    Refused {
        /// Whether it is worth a line in the log: there was none on this caller within the last minute.
        is_first: bool,
    },
}

const WHOLE: u64 = MAX_RATE * MAX_SPAN as u64;

impl Allowances {
    /// Takes what a caller tells of an endpoint off what it may tell, if it can be.
    pub fn judge(&mut self, caller: &Arc<str>, tally: &Tally, now: u32) -> Judged {
        let fresh = || Allowance { left: WHOLE, at: now, refused: None };
        let allowance = self.0.entry(caller.clone()).or_insert_with(fresh);
        (allowance.left, allowance.at) = (allowance.left_at(now), now);
        let calls = tally.issued.max(tally.calls).max(tally.latency.count());
        match allowance.left.checked_sub(calls).filter(|_| is_consistent(tally)) {
            Some(left) => {
                allowance.left = left;
                Judged::Plausible
            }
            None => {
                let is_first = !allowance.has_refused(now);
                if is_first {
                    allowance.refused = Some(now);
                }
                Judged::Refused { is_first }
            }
        }
    }

    /// Forgets callers that may tell all again: the same as those that are not known.
    pub fn age(&mut self, now: u32) {
        self.0.retain(|_, it| it.left_at(now) < WHOLE || it.has_refused(now));
    }
}

impl Allowance {
    /// A clock that goes back gives nothing, and takes nothing away.
    fn left_at(self, now: u32) -> u64 {
        let seconds = u64::from(now.saturating_sub(self.at));
        WHOLE.min(self.left.saturating_add(MAX_RATE.saturating_mul(seconds)))
    }

    /// Whether there was a line on it within the last minute.
    fn has_refused(self, now: u32) -> bool {
        self.refused.is_some_and(|at| now.saturating_sub(at) < MAX_SPAN)
    }
}

/// Whether the figures of a tally go together. A reporter may tell no latencies at all.
fn is_consistent(tally: &Tally) -> bool {
    let failed = tally.failures.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    let timed = tally.latency.count();
    failed.is_some_and(|failed| failed <= tally.calls.saturating_add(MAX_SKEW))
        && (timed == 0 || timed.abs_diff(tally.calls) <= MAX_SKEW)
        && tally.in_flight <= MAX_IN_FLIGHT
}

#[cfg(test)]
mod tests {
    use meltemi_policy::outcome::{CLASSES, Class, bucket};

    use super::*;

    const START: u32 = 1_800_000_000;

    fn calls(calls: u64) -> Tally {
        Tally { issued: calls, calls, ..Tally::default() }
    }

    /// Whether each is taken, told in turn by one caller at these seconds.
    fn taken(told: impl IntoIterator<Item = (u32, Tally)>) -> Vec<bool> {
        let (mut allowances, caller) = (Allowances::default(), "shop/a".into());
        let mut judge = |(at, tally)| allowances.judge(&caller, &tally, START + at);
        told.into_iter().map(|it| judge(it) == Judged::Plausible).collect()
    }

    #[test]
    fn a_caller_tells_of_as_many_calls_as_it_can_have_made() {
        let most = MAX_RATE * 60;
        let told = [
            (0, most),
            (0, 1),
            (1, MAX_RATE + 1),
            (1, MAX_RATE),
            (2, MAX_RATE),
            (900, most),
            (900, 1),
        ];
        let told = told.map(|(at, count)| (at, calls(count)));
        assert_eq!(taken(told), [true, false, false, true, true, true, false]);
        // What began counts as well, and what has a latency.
        let mut latency = calls(0);
        latency.latency.add(5, u64::MAX);
        let begun = Tally { issued: 1 << 63, ..Tally::default() };
        assert_eq!(taken([(0, begun), (0, latency), (0, calls(1))]), [false, false, true]);
    }

    #[test]
    fn callers_do_not_share_what_they_may_tell_and_are_forgotten_when_they_may_tell_all() {
        let mut allowances = Allowances::default();
        let (a, b) = (Arc::from("shop/a"), Arc::from("shop/b"));
        let judge = |allowances: &mut Allowances, caller, at| {
            allowances.judge(caller, &calls(MAX_RATE * 60), START + at)
        };
        assert_eq!(judge(&mut allowances, &a, 0), Judged::Plausible);
        assert_eq!(judge(&mut allowances, &b, 0), Judged::Plausible);
        assert_eq!(judge(&mut allowances, &a, 0), Judged::Refused { is_first: true });
        assert_eq!(judge(&mut allowances, &a, 1), Judged::Refused { is_first: false });
        allowances.age(START + 59);
        assert_eq!(allowances.0.len(), 2);
        allowances.age(START + 61);
        assert!(allowances.0.is_empty());
        assert_eq!(judge(&mut allowances, &a, 61), Judged::Plausible);
        assert_eq!(judge(&mut allowances, &a, 61), Judged::Refused { is_first: true });
    }

    #[test]
    fn figures_that_do_not_go_together_are_refused() {
        let mut honest = calls(0);
        for micros in [10, 20_000, 3_000_000] {
            honest.issued += 1;
            honest.record(Some(Class::Reset), micros);
        }
        let mut other_latencies = calls(5);
        other_latencies.latency.add(bucket(100), 5 + MAX_SKEW + 1);
        let mut too_few = calls(2 * MAX_SKEW);
        too_few.latency.add(bucket(100), 1);
        let failed = |count| Tally { failures: [count; CLASSES], ..calls(3) };
        for (tally, expected) in [
            (honest, true),
            (calls(7), true),
            (other_latencies, false),
            (too_few, false),
            (failed(u64::MAX), false),
            (failed(MAX_SKEW), false),
            (Tally { in_flight: MAX_IN_FLIGHT + 1, ..calls(1) }, false),
            (Tally { in_flight: MAX_IN_FLIGHT, ..calls(1) }, true),
        ] {
            assert_eq!(taken([(0, tally.clone())]), [expected], "{tally:?}");
        }
    }
}
