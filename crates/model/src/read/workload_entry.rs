//! A `WorkloadEntry`, and the same shape as an endpoint within a `ServiceEntry`.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{is_dns_subdomain, ports};
use serde::Deserialize;
use serde_json::Value;

use super::{Metadata, part, port};
use crate::record::{Object, WorkloadRecord};

/// Whether a sidecar takes mutual TLS for the workload (Istio's label).
const TLS_MODE: &str = "security.istio.io/tlsMode";
/// The network that a workload stands in (Istio's label); goes before the field.
const NETWORK: &str = "topology.istio.io/network";
/// Where a workload stands, its parts parted by `.` since a label has no `/` (Istio's label); the field goes before it.
const LOCALITY: &str = "istio-locality";
/// The sidecar's inbound port, where it is not the usual one.
const INBOUND_PORT: &str = "meltemi.io/inbound-port";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) address: String,
    ports: BTreeMap<String, u32>,
    labels: BTreeMap<String, String>,
    service_account: String,
    locality: String,
    weight: u32,
    network: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

/// Reads a workload. Its labels are those of the metadata and of the spec, the latter winning; it may be called if it has
/// no condition `Healthy`, or a true one.
pub(super) fn read(object: &Object, resource: &Value) -> Result<WorkloadRecord, String> {
    let metadata: Metadata = part(resource, "metadata")?;
    let spec: Spec = part(resource, "spec")?;
    let status: Status = part(resource, "status")?;
    if spec.address.is_empty() {
        return Err("spec.address: missing, so nobody can call the workload".into());
    }
    if object.name.contains('/') {
        return Err("metadata.name: has a `/`".into());
    }
    let healthy = status.conditions.iter().find(|it| it.r#type == "Healthy");
    let ready = healthy.is_none_or(|condition| condition.status == "True");
    let inbound_port = match metadata.annotations.get(INBOUND_PORT) {
        None => ports::INBOUND,
        Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            format!("metadata.annotations[{INBOUND_PORT}]: `{text}` is not a port")
        })?,
    };
    let mut labels = metadata.labels;
    labels.extend(spec.labels.clone());
    let record = record(spec, labels, "spec")?;
    Ok(WorkloadRecord { ready, inbound_port, ..record })
}

/// What a spec says; `field` is its place, for messages.
pub(super) fn record(
    spec: Spec,
    labels: BTreeMap<String, String>,
    field: &str,
) -> Result<WorkloadRecord, String> {
    if spec.address.starts_with("unix:") {
        return Err(format!("{field}.address: Unix sockets of other workloads cannot be called"));
    }
    let account = Some(spec.service_account).filter(|account| !account.is_empty());
    if let Some(account) = account.as_deref().filter(|account| !is_dns_subdomain(account)) {
        return Err(format!("{field}.serviceAccount: `{account}` is not a service account's name"));
    }
    let ports = spec.ports.into_iter().map(|(name, number)| {
        let number = port(number, &format!("{field}.ports.{name}"))?;
        Ok::<_, String>((name, number))
    });
    let locality = match labels.get(LOCALITY).filter(|_| spec.locality.is_empty()) {
        Some(label) => label.replace('.', "/"),
        None => spec.locality,
    };
    Ok(WorkloadRecord {
        address: spec.address,
        ports: ports.collect::<Result<_, _>>()?,
        mutual_tls: labels.get(TLS_MODE).is_some_and(|mode| mode == "istio"),
        network: labels.get(NETWORK).cloned().unwrap_or(spec.network),
        labels: Arc::new(labels),
        service_account: account,
        locality,
        weight: spec.weight,
        inbound_port: ports::INBOUND,
        ready: true,
    })
}

impl Spec {
    pub(super) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
}
