//! A core `Service`.

use std::collections::BTreeMap;

use meltemi_names::{Protocol, service_host};
use serde::Deserialize;
use serde_json::Value;

use super::{Metadata, part, port};
use crate::export::ExportTo;
use crate::record::{Object, PortRecord, ServiceRecord, TargetPort, WorkloadRecord};
use crate::service::Resolution;
use crate::settings::Settings;

/// The namespaces that see the service, parted by commas (Istio's annotation).
const EXPORT_TO: &str = "networking.istio.io/exportTo";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    ports: Vec<Port>,
    selector: BTreeMap<String, String>,
    external_name: String,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: String,
    port: u32,
    protocol: String,
    app_protocol: Option<String>,
    target_port: Option<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Target {
    Number(u32),
    Name(String),
}

/// Reads a service: host `NAME.NAMESPACE.SUFFIX`, endpoints by its selector, or the one host of `externalName`.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<ServiceRecord, String> {
    let metadata: Metadata = part(resource, "metadata")?;
    let spec: Spec = part(resource, "spec")?;
    let host = service_host(&object.name, &object.namespace, &settings.suffix);
    let host = host.parse().map_err(|error| format!("metadata.name: {error}"))?;
    let ports = spec.ports.iter().enumerate().map(|(at, port)| read_port(at, port));
    let is_alias = !spec.external_name.is_empty();
    let inline = is_alias.then(|| {
        let address = spec.external_name.to_ascii_lowercase();
        let workload =
            WorkloadRecord { address: address.clone(), ready: true, ..WorkloadRecord::default() };
        (address.into(), workload)
    });
    let export_to = match metadata.annotations.get(EXPORT_TO) {
        Some(text) => ExportTo::new(text.split(','), &object.namespace),
        None => settings.export_to.services(&[], &object.namespace),
    };
    Ok(ServiceRecord {
        hosts: vec![host],
        name: Some(object.name.clone()),
        addresses: addresses(&spec),
        ports: ports.collect::<Result<_, _>>()?,
        selector: (!is_alias && !spec.selector.is_empty()).then_some(spec.selector),
        inline: inline.into_iter().collect(),
        external: is_alias,
        resolution: if is_alias { Resolution::Dns } else { Resolution::Static },
        endpoint_subset: metadata.endpoint_subset()?,
        created: metadata.creation_timestamp,
        export_to,
        ..ServiceRecord::default()
    })
}

/// The virtual addresses that Kubernetes has given; a headless service has none.
fn addresses(spec: &Spec) -> Vec<String> {
    let one = std::slice::from_ref(&spec.cluster_ip);
    let all = if spec.cluster_ips.is_empty() { one } else { &spec.cluster_ips };
    all.iter().filter(|it| !it.is_empty() && *it != "None").cloned().collect()
}

fn read_port(at: usize, given: &Port) -> Result<PortRecord, String> {
    let target = match &given.target_port {
        None => TargetPort::Same,
        Some(Target::Number(number)) => {
            TargetPort::Number(port(*number, &format!("spec.ports[{at}].targetPort"))?)
        }
        Some(Target::Name(name)) => TargetPort::Name(name.clone()),
    };
    let protocol = match given.protocol.as_str() {
        "UDP" => Protocol::Udp,
        _ => Protocol::of_port(&given.name, given.app_protocol.as_deref()),
    };
    Ok(PortRecord {
        number: port(given.port, &format!("spec.ports[{at}].port"))?,
        name: given.name.clone(),
        protocol,
        target,
    })
}
