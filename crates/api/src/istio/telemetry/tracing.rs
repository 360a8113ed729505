//! Traces of workloads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ProviderRef, WorkloadMode};
use crate::refuse::{Path, Report, exactly_one};
use crate::values::form;

/// Traces.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Tracing {
    /// Which side of a call traces.
    pub r#match: Option<TracingSelector>,
    /// Where they go.
    pub providers: Vec<ProviderRef>,
    /// So many of 100 requests are traced, where nobody decided before.
    #[schemars(range(min = 0, max = 100))]
    pub random_sampling_percentage: Option<f64>,
    /// Whether nothing is told.
    pub disable_span_reporting: Option<bool>,
    /// Labels of spans.
    pub custom_tags: BTreeMap<String, CustomTag>,
    /// Whether Istio's labels are there too.
    pub enable_istio_tags: Option<bool>,
    /// Whether the request's id carries the decision.
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Whether the context does not go on to the workload.
    pub disable_context_propagation: Option<bool>,
}

/// Which side of a call traces.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TracingSelector {
    /// The side; both where it is left out.
    pub mode: Option<WorkloadMode>,
}

/// A label of spans: one of four forms.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CustomTag {
    /// A text.
    pub literal: Option<TextTag>,
    /// A variable of the proxy's environment.
    pub environment: Option<EnvironmentTag>,
    /// A header of the request.
    pub header: Option<HeaderTag>,
    /// A text with the placeholders of access logs.
    pub formatter: Option<TextTag>,
}

/// A label by its text.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct TextTag {
    /// The text.
    #[schemars(with = "form::Filled")]
    pub value: String,
}

/// A label by a variable.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentTag {
    /// The variable.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// The text where it is not set.
    #[serde(default)]
    pub default_value: String,
}

/// A label by a header.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderTag {
    /// The header.
    #[schemars(with = "form::Header")]
    pub name: String,
    /// The text where it is not there.
    #[serde(default)]
    pub default_value: String,
}

impl Tracing {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        for (name, tag) in &self.custom_tags {
            let ways = [
                ("literal", tag.literal.is_some()),
                ("environment", tag.environment.is_some()),
                ("header", tag.header.is_some()),
                ("formatter", tag.formatter.is_some()),
            ];
            exactly_one(&ways, &at.field("customTags").field(name), report);
        }
        if self.providers.len() > 1 {
            let message = "traces go to one place";
            report.warn(at.field("providers").item(1), message).suggest("leave the others out");
        }
    }
}
