//! When endpoints are ejected and for how long, with all defaults filled in.

use std::time::Duration;

use crate::destination::rule::{FailurePercentage, OutlierDetection, SuccessRate};

/// No ejection is longer, unless the base time is (Envoy's default).
const LONGEST: Duration = Duration::from_secs(300);
/// So many of 100 endpoints may be ejected where no rule says how many.
const MOST_WITHOUT_RULE: u32 = 50;

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
    /// Whether one endpoint may always be ejected, whatever the share is, and the last one that goes may pass it, as with Istio's
    /// sidecars. Otherwise the share is kept to the letter: the only endpoint of a service stays.
    pub always_eject_one: bool,
    /// Whether an answer of the proxy before the endpoint counts that takes no more for it.
    pub counts_overload: bool,
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
            always_eject_one: true,
            counts_overload: true,
            success_rate: rule.success_rate,
            failure_percentage: rule.failure_percentage,
        }
    }
}

impl Default for Settings {
    /// What holds for workloads of the mesh where no rule says anything: Istio's defaults, but for half of the endpoints, to the
    /// letter. That an endpoint fails is one caller's finding and all callers' knowledge here, so a service of two or three must
    /// be able to lose one; and what nobody asked for must not take the only endpoint there is, nor one that has as much to do as
    /// its limit allows: with it gone the others would have more.
    fn default() -> Settings {
        let rule = OutlierDetection {
            max_ejection_percent: Some(MOST_WITHOUT_RULE),
            ..OutlierDetection::default()
        };
        Settings { always_eject_one: false, counts_overload: false, ..Settings::from(&rule) }
    }
}

impl Settings {
    /// What holds for a destination; `None` where nothing is ever ejected.
    ///
    /// A rule says all of it, and one that switches off `consecutive5xxErrors` and `consecutiveGatewayErrors` switches off the
    /// whole, what others found out included. Without a rule workloads of the mesh have the [default](Settings::default), and hosts
    /// outside of it none, as in Istio: their errors are known to nobody but their own operators.
    pub fn of(rule: Option<&OutlierDetection>, is_external: bool) -> Option<Settings> {
        let settings = match rule {
            Some(rule) => Settings::from(rule),
            None if is_external => return None,
            None => Settings::default(),
        };
        settings.can_eject().then_some(settings)
    }

    /// Whether anything ejects at all.
    fn can_eject(&self) -> bool {
        self.consecutive_5xx > 0
            || self.consecutive_gateway_failure > 0
            || self.split_external_local_origin_errors
            || self.counts()
    }

    /// Whether results are counted by the interval.
    pub(super) fn counts(&self) -> bool {
        self.success_rate.is_some() || self.failure_percentage.is_some()
    }

    /// Whether one more of so many endpoints may be ejected.
    pub(super) fn may_eject(&self, ejected: usize, count: usize) -> bool {
        let most = self.max_ejection_percent as usize * count;
        if self.always_eject_one {
            ejected == 0 || ejected * 100 < most
        } else {
            (ejected + 1) * 100 <= most
        }
    }

    /// How long an ejection lasts that is the `nth` in a row, from 1.
    pub(super) fn ejection_time(&self, nth: u32) -> Duration {
        let doubled = 1u32.checked_shl(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base_ejection_time.saturating_mul(doubled).min(self.max_ejection_time)
    }
}
