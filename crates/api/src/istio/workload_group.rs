//! `WorkloadGroup`: what workloads of a kind have in common.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::status::Status;
use super::workload_entry::WorkloadEntrySpec;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report, exactly_one};
use crate::values::{Port, form};

/// What workloads of a kind have in common.
pub type WorkloadGroup = Object<WorkloadGroupSpec, Status>;

/// From what the entries of workloads are made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadGroupSpec {
    /// Labels and annotations of the entries.
    pub metadata: Option<EntryMetadata>,
    /// The spec of the entries.
    pub template: WorkloadEntrySpec,
    /// How it is found out whether a workload can be called.
    pub probe: Option<ReadinessProbe>,
}

/// Labels and annotations of entries.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EntryMetadata {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// How it is found out whether a workload can be called: one of four ways.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ReadinessProbe {
    /// Seconds before the first attempt.
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: i32,
    /// Seconds until an attempt fails; 1 where it is left out.
    #[schemars(range(min = 0))]
    pub timeout_seconds: i32,
    /// Seconds between attempts; 10 where it is left out.
    #[schemars(range(min = 0))]
    pub period_seconds: i32,
    /// How many attempts in a row must succeed; 1 where it is left out.
    #[schemars(range(min = 0))]
    pub success_threshold: i32,
    /// How many attempts in a row must fail; 3 where it is left out.
    #[schemars(range(min = 0))]
    pub failure_threshold: i32,
    /// By an HTTP request.
    pub http_get: Option<HttpProbe>,
    /// By a connection.
    pub tcp_socket: Option<TcpProbe>,
    /// By a command.
    pub exec: Option<ExecProbe>,
    /// By gRPC's health service.
    pub grpc: Option<GrpcProbe>,
}

/// A probe by an HTTP request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// The path; `/` where it is left out.
    #[serde(default)]
    pub path: String,
    /// The port.
    pub port: Port,
    /// The host; the workload itself where it is left out.
    #[serde(default)]
    pub host: String,
    /// With or without TLS.
    pub scheme: Option<ProbeScheme>,
    /// Headers of the request.
    #[serde(default)]
    pub http_headers: Vec<ProbeHeader>,
}

/// With or without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeScheme {
    /// Without.
    Http,
    /// With.
    Https,
}

/// A header of a probe.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ProbeHeader {
    /// Its name.
    #[schemars(with = "form::Header")]
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A probe by a connection.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct TcpProbe {
    /// The host; the workload itself where it is left out.
    #[serde(default)]
    pub host: String,
    /// The port.
    pub port: Port,
}

/// A probe by a command.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ExecProbe {
    /// The command and its arguments.
    #[schemars(with = "Vec<form::Filled>", length(min = 1))]
    pub command: Vec<String>,
}

/// A probe by gRPC's health service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcProbe {
    /// The port.
    pub port: Option<Port>,
    /// The service whose health is asked for.
    pub service: String,
}

impl Spec for WorkloadGroupSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        self.template.check_endpoint(&at.field("template"), report);
        if let Some(metadata) = &self.metadata {
            let at = at.field("metadata").field("labels");
            check_labels(&metadata.labels, &at, report);
        }
        if let Some(probe) = &self.probe {
            let ways = [
                ("httpGet", probe.http_get.is_some()),
                ("tcpSocket", probe.tcp_socket.is_some()),
                ("exec", probe.exec.is_some()),
                ("grpc", probe.grpc.is_some()),
            ];
            exactly_one(&ways, &at.field("probe"), report);
        }
    }
}
