//! Whether a workload is ready, counted from the outcomes of its probe. Pure.

use std::num::NonZeroU32;

/// How many outcomes in a row change the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thresholds {
    /// Successes until it is ready.
    pub(super) success: NonZeroU32,
    /// Failures until it is not.
    pub(super) failure: NonZeroU32,
}

/// Counts outcomes as the kubelet does (Kubernetes: "Configure probes"): the verdict changes when as many of one kind as its
/// threshold have come one after the other.
#[derive(Debug)]
pub(super) struct Tally {
    thresholds: Thresholds,
    ready: bool,
    last: Option<bool>,
    in_a_row: u32,
}

impl Tally {
    /// Begins with a verdict of before: a readiness probe without an outcome yet says no.
    pub(super) fn new(thresholds: Thresholds, ready: bool) -> Self {
        Tally { thresholds, ready, last: None, in_a_row: 0 }
    }

    /// Counts one outcome; gives the verdict from here on.
    pub(super) fn count(&mut self, succeeded: bool) -> bool {
        self.in_a_row = match self.last == Some(succeeded) {
            true => self.in_a_row.saturating_add(1),
            false => 1,
        };
        self.last = Some(succeeded);
        let threshold = match succeeded {
            true => self.thresholds.success,
            false => self.thresholds.failure,
        };
        if self.in_a_row >= threshold.get() {
            self.ready = succeeded;
        }
        self.ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts after outcomes, both written as `+` and `-`.
    fn verdicts(success: u32, failure: u32, ready: bool, outcomes: &str) -> String {
        let number = |it| NonZeroU32::new(it).unwrap();
        let thresholds = Thresholds { success: number(success), failure: number(failure) };
        let mut tally = Tally::new(thresholds, ready);
        outcomes.chars().map(|it| if tally.count(it == '+') { '+' } else { '-' }).collect()
    }

    #[test]
    fn the_verdict_changes_when_enough_of_one_kind_come_in_a_row() {
        for (success, failure, ready, outcomes, expected) in [
            (1, 3, false, "+---+", "+++-+"),
            (1, 3, false, "+--+--+---", "+++++++++-"),
            (2, 1, false, "+-+++-", "---++-"),
            (2, 1, false, "++-+-++", "-+----+"),
            (1, 1, false, "-+-+", "-+-+"),
            (3, 2, false, "--", "--"),
            // A verdict of before stands until the first threshold is reached.
            (2, 2, true, "-+-+--+", "+++++--"),
        ] {
            assert_eq!(verdicts(success, failure, ready, outcomes), expected, "{outcomes}");
        }
    }
}
