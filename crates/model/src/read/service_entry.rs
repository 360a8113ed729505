//! A `ServiceEntry`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use serde::Deserialize;
use serde_json::Value;

use super::workload_entry::{self, Spec as EndpointSpec};
use super::{Metadata, part, port};
use crate::record::{Allocation, Object, PortRecord, ServiceRecord, TargetPort, WorkloadRecord};
use crate::service::Resolution;
use crate::settings::Settings;

/// Whether hosts without addresses are given one (Istio's label).
const AUTO_ALLOCATE: &str = "networking.istio.io/enable-autoallocate-ip";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    hosts: Vec<String>,
    ports: Vec<Port>,
    location: String,
    resolution: String,
    endpoints: Vec<EndpointSpec>,
    workload_selector: Option<WorkloadSelector>,
    addresses: Vec<String>,
    export_to: Vec<String>,
    subject_alt_names: Vec<String>,
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
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<ServiceRecord, String> {
    let metadata: Metadata = part(resource, "metadata")?;
    let spec: Spec = part(resource, "spec")?;
    let resolution = match spec.resolution.as_str() {
        "" | "NONE" => Resolution::None,
        "STATIC" => Resolution::Static,
        "DNS" => Resolution::Dns,
        "DNS_ROUND_ROBIN" => Resolution::DnsRoundRobin,
        "DYNAMIC_DNS" => Resolution::DynamicDns,
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
    let is_by_name = matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    let self_named = is_by_name && inline.is_empty() && selector.is_none();
    if self_named {
        check_resolvable(&hosts)?;
    }
    if matches!(resolution, Resolution::None | Resolution::DynamicDns) {
        // The caller says whom it means, by address or by name.
        inline.clear();
    }
    let ports = spec.ports.iter().enumerate().map(|(at, port)| read_port(at, port));
    Ok(ServiceRecord {
        hosts,
        name: None,
        ports: ports.collect::<Result<_, _>>()?,
        selector,
        inline,
        self_named,
        external: spec.location != "MESH_INTERNAL",
        allocation: allocation(&metadata, resolution),
        resolution,
        endpoint_subset: metadata.endpoint_subset()?,
        created: metadata.creation_timestamp,
        export_to: settings.export_to.services(&spec.export_to, &object.namespace),
        addresses: spec.addresses,
        subject_alt_names: spec.subject_alt_names,
    })
}

/// With resolution NONE an address that was given tells nothing of where the caller wants to go.
fn allocation(metadata: &Metadata, resolution: Resolution) -> Allocation {
    match metadata.labels.get(AUTO_ALLOCATE).map(String::as_str) {
        _ if matches!(resolution, Resolution::None | Resolution::DynamicDns) => Allocation::Off,
        Some("false") => Allocation::Off,
        Some("true") => Allocation::Public,
        _ => Allocation::Internal,
    }
}

/// Hosts that are resolved as they are must be names.
fn check_resolvable(hosts: &[Host]) -> Result<(), String> {
    match hosts.iter().enumerate().find(|(_, host)| host.is_wildcard()) {
        None => Ok(()),
        Some((at, host)) => Err(format!(
            "spec.hosts[{at}]: {host} cannot be resolved; name spec.endpoints, or use resolution NONE or DYNAMIC_DNS"
        )),
    }
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
