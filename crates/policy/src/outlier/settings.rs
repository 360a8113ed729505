//! When endpoints are ejected and for how long, with all defaults filled in.

use std::time::Duration;

use crate::destination::rule::{FailurePercentage, OutlierDetection, SuccessRate};

/// No ejection is longer, unless the base time is (Envoy's default).
const LONGEST: Duration = Duration::from_secs(300);

/// When endpoints are ejected and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// So many 5xx in a row; 0 is off.
    pub consecutive_5xx: u32,
    /// So many of 502, 503, 504 in a row; 0 is off.
    pub consecutive_gateway_failure: u32,
    /// So many failures of the way in a row, if these are split off; 0 is off.
    pub consecutive_local_origin_failure: u32,
    /// Whether failures of the way are counted apart from those that endpoints answer.
    pub split_external_local_origin_errors: bool,
    /// How long between two looks.
    pub interval: Duration,
    /// How long the first ejection is.
    pub base_ejection_time: Duration,
    /// How long an ejection is at most.
    pub max_ejection_time: Duration,
    /// So many of 100 endpoints may be ejected.
    pub max_ejection_percent: u32,
    /// Ejection by success rate.
    pub success_rate: Option<SuccessRate>,
    /// Ejection by share of failures.
    pub failure_percentage: Option<FailurePercentage>,
}

impl From<&OutlierDetection> for Settings {
    /// Istio's defaults: 5xx after 5, gateway errors off, failures of the way after 5 if they are split, looks every 10 s, 30 s of
    /// ejection, 10% of endpoints, success rate and failure percentage off.
    fn from(rule: &OutlierDetection) -> Settings {
        let time = |ms: Option<u64>, default: u64| match ms {
            // An interval of nothing would never stop looking.
            Some(0) | None => Duration::from_secs(default),
            Some(ms) => Duration::from_millis(ms),
        };
        let base = time(rule.base_ejection_time_ms, 30);
        let local = rule.consecutive_local_origin_failures.filter(|count| *count > 0);
        Settings {
            consecutive_5xx: rule.consecutive_5xx_errors.unwrap_or(5),
            consecutive_gateway_failure: rule.consecutive_gateway_errors.unwrap_or(0),
            consecutive_local_origin_failure: local.unwrap_or(5),
            split_external_local_origin_errors: rule.split_external_local_origin_errors,
            interval: time(rule.interval_ms, 10),
            base_ejection_time: base,
            max_ejection_time: LONGEST.max(base),
            max_ejection_percent: rule
                .max_ejection_percent
                .filter(|it| *it > 0)
                .unwrap_or(10)
                .min(100),
            success_rate: rule.success_rate,
            failure_percentage: rule.failure_percentage,
        }
    }
}

impl Settings {
    /// How long an ejection lasts that is the `nth` in a row, from 1.
    pub(super) fn ejection_time(&self, nth: u32) -> Duration {
        let doubled = 1u32.checked_shl(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base_ejection_time.saturating_mul(doubled).min(self.max_ejection_time)
    }
}
