//! A `Sidecar`.

use std::net::{Ipv4Addr, SocketAddr};

use meltemi_api::Resource;
use meltemi_api::istio::sidecar as api;
use meltemi_names::{Host, Protocol, expand_host};
use serde_json::Value;

use super::{checked, destination_rule};
use crate::record::Object;
use crate::settings::Settings;
use crate::sidecar::{
    EgressHost, EgressListener, EgressNamespace, EgressProxy, IngressListener, OutboundMode,
    SidecarRecord,
};

/// Reads a sidecar.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<SidecarRecord, String> {
    let Resource::Sidecar(resource) = checked(resource)? else {
        return Err("it is not a Sidecar".into());
    };
    let spec = resource.spec;
    let selector = spec.workload_selector.map(|it| it.labels).filter(|it| !it.is_empty());
    let policy = spec.outbound_traffic_policy.unwrap_or_default();
    let egress_proxy = policy.egress_proxy.map(|it| {
        let host = expand_host(&it.host, &object.namespace, &settings.suffix);
        let field = "spec.outboundTrafficPolicy.egressProxy.host";
        Ok::<_, String>(EgressProxy {
            host: host.parse().map_err(|error| format!("{field}: {error}"))?,
            subset: it.subset,
            port: it.port.and_then(|port| port.number).map(|port| port.number()),
        })
    });
    let (mut egress, mut listeners) = (Vec::new(), Vec::new());
    for (at, given) in spec.egress.iter().enumerate() {
        let hosts = hosts(at, given)?;
        // The address for all reaches the hosts of all listeners.
        egress.extend(hosts.iter().cloned());
        listeners.extend(listener(given, hosts));
    }
    Ok(SidecarRecord {
        created: resource.metadata.creation_timestamp,
        selector,
        egress,
        listeners,
        ingress: spec.ingress.iter().filter_map(ingress).collect(),
        outbound_mode: policy.mode.map(|mode| match mode {
            api::OutboundMode::RegistryOnly => OutboundMode::RegistryOnly,
            api::OutboundMode::AllowAny => OutboundMode::AllowAny,
        }),
        egress_proxy: egress_proxy.transpose()?,
        inbound_connection_pool: spec
            .inbound_connection_pool
            .as_ref()
            .map(destination_rule::connection_pool),
    })
}

/// The hosts of a listener.
fn hosts(at: usize, listener: &api::EgressListener) -> Result<Vec<EgressHost>, String> {
    let read = listener.hosts.iter().enumerate().map(|(index, text)| {
        let field = format!("spec.egress[{at}].hosts[{index}]");
        let (namespace, host) = text.split_once('/').unwrap_or(("*", text));
        let host: Host = host.parse().map_err(|error| format!("{field}: {error}"))?;
        let namespace = match namespace {
            "*" => EgressNamespace::Any,
            "." => EgressNamespace::Own,
            "~" => EgressNamespace::None,
            named => EgressNamespace::Named(named.into()),
        };
        Ok(EgressHost { namespace, host })
    });
    read.collect()
}

/// A listener that the application calls itself: it has an address, or says that nothing is captured for it. Others are served
/// by the one address for all.
fn listener(given: &api::EgressListener, hosts: Vec<EgressHost>) -> Option<EgressListener> {
    let port = given.port.as_ref()?;
    let number = port.number.map(|port| port.number());
    let bind = match given.bind.as_str() {
        "" if given.capture_mode != Some(api::CaptureMode::None) => return None,
        "" => SocketAddr::from((Ipv4Addr::LOCALHOST, number?)).to_string(),
        socket if socket.starts_with("unix://") => socket.to_owned(),
        ip => SocketAddr::new(ip.parse().ok()?, number?).to_string(),
    };
    let protocol = Protocol::parse(&port.protocol);
    let protocol = protocol.unwrap_or_else(|| Protocol::of_port(&port.name, None));
    Some(EgressListener { bind, port: number, protocol, hosts })
}

/// A listener; one that has no port was refused before.
fn ingress(given: &api::IngressListener) -> Option<IngressListener> {
    let name = given.port.name.clone();
    let protocol = Protocol::parse(&given.port.protocol);
    Some(IngressListener {
        port: given.port.number?.number(),
        protocol: protocol.unwrap_or_else(|| Protocol::of_port(&name, None)),
        name,
        bind: given.bind.clone(),
        default_endpoint: given.default_endpoint.clone(),
        connection_pool: given.connection_pool.as_ref().map(destination_rule::connection_pool),
    })
}

#[cfg(test)]
mod tests;
