//! A `ServiceEntry`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use serde::Deserialize;
use serde_json::Value;

use super::workload_entry::{self, Spec as EndpointSpec};
use super::{Metadata, part, port};
use crate::record::{Object, PortRecord, ServiceRecord, TargetPort, WorkloadRecord};
use crate::service::Resolution;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    hosts: Vec<String>,
    ports: Vec<Port>,
    location: String,
    resolution: String,
    endpoints: Vec<EndpointSpec>,
    workload_selector: Option<WorkloadSelector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    number: u32,
    name: String,
    protocol: String,
    target_port: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadSelector {
    labels: BTreeMap<String, String>,
}

/// Reads a service entry: its hosts, with the endpoints in it, those that it selects, or with DNS resolution and neither
/// of them the host itself.
pub(super) fn read(object: &Object, resource: &Value) -> Result<ServiceRecord, String> {
    let metadata: Metadata = part(resource, "metadata")?;
    let spec: Spec = part(resource, "spec")?;
    let resolution = match spec.resolution.as_str() {
        "" | "NONE" => Resolution::None,
        "STATIC" => Resolution::Static,
        "DNS" | "DNS_ROUND_ROBIN" => Resolution::Dns,
        other => return Err(format!("spec.resolution: `{other}` is not served here")),
    };
    let hosts = spec.hosts.iter().enumerate().map(|(at, host)| {
        host.parse::<Host>().map_err(|error| format!("spec.hosts[{at}]: {error}"))
    });
    let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
    if hosts.is_empty() {
        return Err("spec.hosts: empty".into());
    }
    let selector = spec.workload_selector.map(|it| it.labels).filter(|labels| !labels.is_empty());
    let mut inline = endpoints(&object.name, spec.endpoints)?;
    if resolution == Resolution::Dns && inline.is_empty() && selector.is_none() {
        inline = vec![self_named(&hosts)?];
    }
    let ports = spec.ports.iter().enumerate().map(|(at, port)| read_port(at, port));
    Ok(ServiceRecord {
        hosts,
        name: None,
        ports: ports.collect::<Result<_, _>>()?,
        selector,
        inline: if resolution == Resolution::None { Vec::new() } else { inline },
        external: spec.location != "MESH_INTERNAL",
        resolution,
        created: metadata.creation_timestamp,
    })
}

/// The endpoint of a host that is resolved as it is.
fn self_named(hosts: &[Host]) -> Result<(Arc<str>, WorkloadRecord), String> {
    let [host] = hosts else {
        return Err("spec.hosts: with DNS resolution and several hosts, spec.endpoints must say what to resolve".into());
    };
    if host.is_wildcard() {
        return Err(format!(
            "spec.hosts[0]: {host} cannot be resolved; name spec.endpoints, or use resolution NONE"
        ));
    }
    let workload =
        WorkloadRecord { address: host.to_string(), ready: true, ..WorkloadRecord::default() };
    Ok((host.as_str().into(), workload))
}

/// Endpoints by a name that stays when others come and go: the address, numbered where it stands twice.
fn endpoints(
    entry: &str,
    specs: Vec<EndpointSpec>,
) -> Result<Vec<(Arc<str>, WorkloadRecord)>, String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let read = specs.into_iter().enumerate().map(|(at, spec)| {
        let field = format!("spec.endpoints[{at}]");
        if spec.address.is_empty() || spec.address.contains('/') {
            return Err(format!(
                "{field}.address: `{}` is not an IP address or host name",
                spec.address
            ));
        }
        let labels = spec.labels().clone();
        let workload = workload_entry::record(spec, labels, &field)?;
        let times = seen.entry(workload.address.clone()).or_default();
        *times += 1;
        let name = match *times {
            1 => format!("{entry}-{}", workload.address),
            times => format!("{entry}-{}-{times}", workload.address),
        };
        Ok((name.into(), workload))
    });
    read.collect()
}

fn read_port(at: usize, given: &Port) -> Result<PortRecord, String> {
    let protocol =
        Protocol::parse(&given.protocol).unwrap_or_else(|| Protocol::of_port(&given.name, None));
    let target = match given.target_port {
        0 => TargetPort::Same,
        number => TargetPort::Number(port(number, &format!("spec.ports[{at}].targetPort"))?),
    };
    Ok(PortRecord {
        number: port(given.number, &format!("spec.ports[{at}].number"))?,
        name: given.name.clone(),
        protocol,
        target,
    })
}
