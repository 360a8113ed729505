//! Ejection by statistics: an annotation of destination rules, for what Envoy's outlier detection can do and Istio's API has no field for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};

/// The annotation of a `DestinationRule` that adds to each `outlierDetection` of its policies.
pub const OUTLIER_DETECTION: &str = "meltemi.io/outlier-detection";

/// What the annotation may look like, for whoever wrote another thing.
const EXAMPLE: &str = r#"write a JSON object such as {"failurePercentageThreshold": 50}"#;

/// What the annotation says, in the words of Envoy's `config.cluster.v3.OutlierDetection`. A statistic of which nothing is said is
/// off; where something is, Envoy's defaults stand for the rest of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutlierStatistics {
    /// Success rates are compared if so many endpoints have requests enough; 5 where it is left out.
    pub success_rate_minimum_hosts: Option<u32>,
    /// So many requests within an interval are enough for a success rate; 100 where it is left out.
    pub success_rate_request_volume: Option<u32>,
    /// So many thousandths of a standard deviation below the average are too few; 1900 where it is left out.
    pub success_rate_stdev_factor: Option<u32>,
    /// So many failures of 100 requests are too many; 85 where it is left out.
    pub failure_percentage_threshold: Option<u32>,
    /// Shares of failures are looked at if so many endpoints have requests enough; 5 where it is left out.
    pub failure_percentage_minimum_hosts: Option<u32>,
    /// So many requests within an interval are enough for a share; 50 where it is left out.
    pub failure_percentage_request_volume: Option<u32>,
}

impl OutlierStatistics {
    /// Whether anything is said of success rates.
    pub fn has_success_rate(&self) -> bool {
        self.success_rate_minimum_hosts.is_some()
            || self.success_rate_request_volume.is_some()
            || self.success_rate_stdev_factor.is_some()
    }

    /// Whether anything is said of shares of failures.
    pub fn has_failure_percentage(&self) -> bool {
        self.failure_percentage_threshold.is_some()
            || self.failure_percentage_minimum_hosts.is_some()
            || self.failure_percentage_request_volume.is_some()
    }
}

/// What the annotation says; `None` where it is not there.
pub fn outlier_statistics(
    annotations: &BTreeMap<String, String>,
) -> Result<Option<OutlierStatistics>, String> {
    let Some(text) = annotations.get(OUTLIER_DETECTION) else { return Ok(None) };
    // An array of six numbers would pass for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(format!("`{text}` is no JSON object: {EXAMPLE}"));
    }
    let read: OutlierStatistics =
        serde_json::from_str(text).map_err(|error| format!("{error}: {EXAMPLE}"))?;
    // Envoy takes 0 too, and ejects whoever has requests enough.
    if let Some(percent) = read.failure_percentage_threshold.filter(|it| !(1..=100).contains(it)) {
        return Err(format!("failurePercentageThreshold: `{percent}` is not from 1 to 100"));
    }
    if !read.has_success_rate() && !read.has_failure_percentage() {
        return Err(format!("it says nothing: {EXAMPLE}"));
    }
    Ok(Some(read))
}

/// Checks the annotation; `detects` is whether any policy of the rule has an `outlierDetection`.
pub(crate) fn check(metadata: &ObjectMeta, detects: bool, report: &mut Report) {
    let at = || Path::of("metadata").field("annotations").field(OUTLIER_DETECTION);
    match outlier_statistics(&metadata.annotations) {
        Err(message) => {
            report.error(at(), message);
        }
        Ok(Some(_)) if !detects => {
            let message = "no trafficPolicy of the rule has `outlierDetection`, to which it adds";
            report.error(at(), message).suggest("write `outlierDetection: {}`");
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<OutlierStatistics>, String> {
        outlier_statistics(&[(OUTLIER_DETECTION.into(), text.into())].into())
    }

    #[test]
    fn each_statistic_is_on_where_something_is_said_of_it() {
        assert_eq!(outlier_statistics(&BTreeMap::new()), Ok(None));
        let rate = read(r#"{"successRateStdevFactor": 1500}"#).unwrap().unwrap();
        assert_eq!((rate.has_success_rate(), rate.has_failure_percentage()), (true, false));
        let share = read(r#" {"failurePercentageRequestVolume": 0}"#).unwrap().unwrap();
        assert_eq!((share.has_success_rate(), share.has_failure_percentage()), (false, true));
        let all = OutlierStatistics {
            success_rate_minimum_hosts: Some(1),
            success_rate_request_volume: Some(2),
            success_rate_stdev_factor: Some(3),
            failure_percentage_threshold: Some(4),
            failure_percentage_minimum_hosts: Some(5),
            failure_percentage_request_volume: Some(6),
        };
        let text = r#"{"successRateMinimumHosts": 1, "successRateRequestVolume": 2,
            "successRateStdevFactor": 3, "failurePercentageThreshold": 4,
            "failurePercentageMinimumHosts": 5, "failurePercentageRequestVolume": 6}"#;
        assert_eq!(read(text), Ok(Some(all)));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_possible() {
        for (wrong, told) in [
            ("50", "`50` is no JSON object: write a JSON object such as"),
            ("[1,2,3,4,5,6]", "is no JSON object"),
            ("", "is no JSON object"),
            ("{}", "it says nothing: write a JSON object such as"),
            (r#"{"successRateStdevFactor": null}"#, "it says nothing"),
            (r#"{"successRateMinimumHosts": 5"#, "EOF while parsing"),
            (r#"{"enforcingSuccessRate": 100}"#, "expected one of `successRateMinimumHosts`, "),
            (r#"{"successRateStdevFactor": 1.9}"#, "floating point `1.9`, expected u32"),
            (r#"{"successRateRequestVolume": -1}"#, "integer `-1`, expected u32"),
            (r#"{"successRateRequestVolume": "9"}"#, "string \"9\", expected u32"),
            (r#"{"failurePercentageThreshold": 101}"#, "`101` is not from 1 to 100"),
            (r#"{"failurePercentageThreshold": 0}"#, "`0` is not from 1 to 100"),
            (
                r#"{"successRateMinimumHosts": 5, "successRateMinimumHosts": 6}"#,
                "duplicate field `successRateMinimumHosts`",
            ),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
