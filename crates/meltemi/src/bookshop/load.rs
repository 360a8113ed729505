//! What a load of requests came to: counts, failures by their kind, and the distribution of latency.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart, microseconds.
const LONGEST: u64 = 120_000_000;
/// Significant digits that are kept of a latency.
const DIGITS: u8 = 3;

/// Counts as answers come in.
#[derive(Debug)]
pub(super) struct Load {
    succeeded: u64,
    failures: BTreeMap<String, u64>,
    latencies: Histogram<u64>,
}

/// The figures of a load that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// From the first request until the last answer.
    pub duration_s: f64,
    /// How many requests were sent.
    pub requests: u64,
    /// How many of them were answered as they should be.
    pub succeeded: u64,
    /// The others, by what was wrong.
    pub failures: BTreeMap<String, u64>,
    /// From when a request was due until its answer was there in full; none without requests.
    pub latency_ms: Option<Latency>,
}

/// Quantiles of latency, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of all requests took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All but one of a hundred.
    pub p99: f64,
}

impl Load {
    pub(super) fn new() -> Load {
        let latencies = Histogram::new_with_max(LONGEST, DIGITS);
        let latencies = latencies.expect("constants that the histogram takes");
        Load { succeeded: 0, failures: BTreeMap::new(), latencies }
    }

    /// Counts a request; `outcome` is what was wrong.
    pub(super) fn count(&mut self, latency: Duration, outcome: Result<(), String>) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(micros);
        match outcome {
            Ok(()) => self.succeeded += 1,
            Err(what) => *self.failures.entry(what).or_default() += 1,
        }
    }

    pub(super) fn report(&self, duration: Duration) -> Report {
        let requests = self.latencies.len();
        let quantile = |q| self.latencies.value_at_quantile(q) as f64 / 1000.0;
        Report {
            duration_s: duration.as_secs_f64(),
            requests,
            succeeded: self.succeeded,
            failures: self.failures.clone(),
            latency_ms: (requests > 0).then(|| Latency {
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_counts_and_quantiles_of_what_was_counted() {
        let mut load = Load::new();
        for millis in 1..=100 {
            let outcome = if millis % 50 == 0 { Err("503".to_owned()) } else { Ok(()) };
            load.count(Duration::from_millis(millis), outcome);
        }
        let report = load.report(Duration::from_secs(2));
        assert_eq!((report.requests, report.succeeded), (100, 98));
        assert_eq!(report.failures, BTreeMap::from([("503".to_owned(), 2)]));
        let latency = report.latency_ms.unwrap();
        for (found, expected) in [(latency.p50, 50.0), (latency.p90, 90.0), (latency.p99, 99.0)] {
            assert!((found - expected).abs() <= expected * 0.001, "{found} for {expected}");
        }
    }

    #[test]
    fn without_requests_there_is_no_latency() {
        let report = Load::new().report(Duration::ZERO);
        assert_eq!((report.requests, report.latency_ms), (0, None));
    }
}
