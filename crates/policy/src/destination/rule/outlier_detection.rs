//! When an endpoint that fails is left out, as a destination rule says it.

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// When an endpoint that fails is left out (ejected).
///
/// In `consecutive_*` a `0` switches off, as in Istio; `None` is the default that is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutlierDetection {
    /// Whether failures that come of the way to the endpoint (no connection, time out) are counted apart from those that
    /// it answers.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub split_external_local_origin_errors: bool,
    /// So many failures of the way in a row; has an effect only if they are counted apart. 5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_local_origin_failures: Option<u32>,
    /// So many gateway errors (502, 503, 504) in a row; off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<u32>,
    /// So many 5xx in a row; 5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "consecutive5xxErrors")]
    pub consecutive_5xx_errors: Option<u32>,
    /// How long between looks; 10 s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// How long the first time is; 30 s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ejection_time_ms: Option<u64>,
    /// At most so many of 100 endpoints are left out; 10 by default. One always may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<u32>,
    /// Where fewer than so many of 100 are healthy, all are called (the panic threshold); 0, never, is Istio's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_health_percent: Option<u32>,
    /// Ejection by success rate; off where it is left out, as with Istio, whose API has no field for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<SuccessRate>,
    /// Ejection by share of failures; off where it is left out, as with Istio, whose API has no field for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_percentage: Option<FailurePercentage>,
}

/// Ejects endpoints whose success rate lies far below the average; the defaults are Envoy's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SuccessRate {
    /// Only with so many endpoints that have enough requests; 5 by default.
    pub minimum_hosts: u32,
    /// So many requests within an interval are enough; 100 by default.
    pub request_volume: u32,
    /// So many thousandths of a standard deviation below the average are too few; 1900 by default.
    pub stdev_factor: u32,
}

impl Default for SuccessRate {
    fn default() -> Self {
        SuccessRate { minimum_hosts: 5, request_volume: 100, stdev_factor: 1900 }
    }
}

/// Ejects endpoints that fail too large a share of their requests; the defaults are Envoy's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FailurePercentage {
    /// So many failures of 100 requests are too many; 85 by default.
    pub threshold: u32,
    /// Only with so many endpoints that have enough requests; 5 by default.
    pub minimum_hosts: u32,
    /// So many requests within an interval are enough; 50 by default.
    pub request_volume: u32,
}

impl Default for FailurePercentage {
    fn default() -> Self {
        FailurePercentage { threshold: 85, minimum_hosts: 5, request_volume: 50 }
    }
}
