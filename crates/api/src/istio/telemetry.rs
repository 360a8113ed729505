//! `Telemetry`: what is measured, traced and logged of workloads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{MatchSelector, PolicyTargetReference, check_attachment};
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Duration, form};

mod tracing;

pub use tracing::{CustomTag, EnvironmentTag, HeaderTag, TextTag, Tracing, TracingSelector};

/// What is measured, traced and logged of workloads.
pub type Telemetry = Object<TelemetrySpec, Status>;

/// What is measured, traced and logged of workloads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TelemetrySpec {
    /// The workloads; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// Old form of `targetRefs`.
    pub target_ref: Option<PolicyTargetReference>,
    /// The gateways or services that it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Traces.
    pub tracing: Vec<Tracing>,
    /// Metrics.
    pub metrics: Vec<Metrics>,
    /// Access logs.
    pub access_logging: Vec<AccessLogging>,
}

/// Where traces, metrics or logs go.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ProviderRef {
    /// Its name in the mesh's configuration.
    #[schemars(with = "form::Filled")]
    pub name: String,
}

/// Which side of a call is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkloadMode {
    /// Both.
    ClientAndServer,
    /// The one who calls.
    Client,
    /// The one who is called.
    Server,
}

/// Metrics.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Metrics {
    /// Where they go.
    pub providers: Vec<ProviderRef>,
    /// What differs from the standard metrics.
    pub overrides: Vec<MetricsOverride>,
    /// How often those of TCP are told.
    pub reporting_interval: Option<Duration>,
}

/// What differs from the standard metrics.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricsOverride {
    /// The metrics that are meant; all where it is left out.
    pub r#match: Option<MetricSelector>,
    /// Whether they are left out.
    pub disabled: Option<bool>,
    /// Their labels.
    pub tag_overrides: BTreeMap<String, TagOverride>,
}

/// Metrics of a side of a call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricSelector {
    /// One of Istio's.
    pub metric: Option<Metric>,
    /// One by its name.
    #[schemars(with = "form::Filled")]
    pub custom_metric: Option<String>,
    /// The side; both where it is left out.
    pub mode: Option<WorkloadMode>,
}

/// One of Istio's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Metric {
    /// All of them.
    AllMetrics,
    /// `istio_requests_total`.
    RequestCount,
    /// `istio_request_duration_milliseconds`.
    RequestDuration,
    /// `istio_request_bytes`.
    RequestSize,
    /// `istio_response_bytes`.
    ResponseSize,
    /// `istio_tcp_connections_opened_total`.
    TcpOpenedConnections,
    /// `istio_tcp_connections_closed_total`.
    TcpClosedConnections,
    /// `istio_tcp_sent_bytes_total`.
    TcpSentBytes,
    /// `istio_tcp_received_bytes_total`.
    TcpReceivedBytes,
    /// `istio_request_messages_total`.
    GrpcRequestMessages,
    /// `istio_response_messages_total`.
    GrpcResponseMessages,
}

/// A label of metrics.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TagOverride {
    /// Whether it is set or left out; it is set where this is left out.
    pub operation: Option<TagOperation>,
    /// Its value, an expression (CEL).
    pub value: String,
}

/// What becomes of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TagOperation {
    /// It is set.
    Upsert,
    /// It is left out.
    Remove,
}

/// Access logs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccessLogging {
    /// Which side of a call writes.
    pub r#match: Option<LogSelector>,
    /// Where they go.
    pub providers: Vec<ProviderRef>,
    /// Whether nothing is written.
    pub disabled: Option<bool>,
    /// What is written.
    pub filter: Option<LogFilter>,
}

/// Which side of a call writes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogSelector {
    /// The side; both where it is left out.
    pub mode: Option<WorkloadMode>,
}

/// What is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogFilter {
    /// What must hold, an expression (CEL).
    pub expression: String,
}

impl Spec for TelemetrySpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let selector = self.selector.as_ref();
        check_attachment(selector, self.target_ref.as_ref(), &self.target_refs, at, report);
        for (index, tracing) in self.tracing.iter().enumerate() {
            tracing.check(&at.field("tracing").item(index), report);
        }
        for (index, metrics) in self.metrics.iter().enumerate() {
            let at = at.field("metrics").item(index).field("overrides");
            for (index, over) in metrics.overrides.iter().enumerate() {
                over.check(&at.item(index), report);
            }
        }
    }
}

impl MetricsOverride {
    fn check(&self, at: &Path, report: &mut Report) {
        if let Some(selector) = &self.r#match {
            let ways = [
                ("metric", selector.metric.is_some()),
                ("customMetric", selector.custom_metric.is_some()),
            ];
            at_most_one(&ways, &at.field("match"), report);
        }
        for (name, tag) in &self.tag_overrides {
            let at = at.field("tagOverrides").field(name).field("value");
            match tag.operation {
                Some(TagOperation::Remove) if !tag.value.is_empty() => {
                    report.error(at, "a label that is left out has no value").on_key();
                }
                Some(TagOperation::Upsert) if tag.value.is_empty() => {
                    report.error(at, "missing; it is the label's value");
                }
                _ => {}
            }
        }
    }
}
