//! A `Sidecar`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use meltemi_api::Resource;
use meltemi_api::istio::sidecar as api;
use meltemi_api::istio::tls::{ServerTls, ServerTlsMode, TlsVersion};
use meltemi_names::{Host, Protocol, expand_host};
use meltemi_policy::server_tls;
use serde_json::Value;

use super::{checked, destination_rule};
use crate::record::Object;
use crate::settings::Settings;
use crate::sidecar::{
    EgressHost, EgressListener, EgressNamespace, EgressProxy, EgressScope, IngressListener,
    OutboundMode, SidecarRecord,
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
    let (mut egress, mut listeners, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (at, given) in spec.egress.iter().enumerate() {
        let hosts = hosts(at, given)?;
        // The address for all reaches the hosts of all listeners.
        egress.extend(hosts.iter().cloned());
        let own = listener(given, hosts.clone());
        entries.push(Entry { port: number(given), hosts, has_address: own.is_some() });
        listeners.extend(own);
    }
    Ok(SidecarRecord {
        created: resource.metadata.creation_timestamp,
        selector,
        egress,
        scopes: scopes(&entries),
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

/// What `egress` says in one place.
struct Entry {
    port: Option<u16>,
    hosts: Vec<EgressHost>,
    /// Whether it is called at an address of its own; then it narrows nothing.
    has_address: bool,
}

fn number(given: &api::EgressListener) -> Option<u16> {
    given.port.as_ref()?.number.map(|port| port.number())
}

/// What the address for all reaches. As with Istio a listener for a port takes what goes to that port, whatever the one for all
/// ports names; hosts of listeners with an address of their own are reached on their port in addition.
fn scopes(entries: &[Entry]) -> Vec<EgressScope> {
    let ports: BTreeSet<u16> = entries.iter().filter_map(|it| it.port).collect();
    if ports.is_empty() {
        return Vec::new();
    }
    let of = |port: Option<u16>| {
        let is_narrowed = entries.iter().any(|it| !it.has_address && it.port == port);
        let counts = |it: &&Entry| match it.has_address {
            true => it.port.is_none() || it.port == port,
            false => it.port == if is_narrowed { port } else { None },
        };
        let hosts = entries.iter().filter(counts).flat_map(|it| it.hosts.iter().cloned());
        EgressScope { port, hosts: hosts.collect() }
    };
    ports.iter().map(|port| of(Some(*port))).chain([of(None)]).collect()
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
        bind: bind(given),
        default_endpoint: given.default_endpoint.clone(),
        connection_pool: given.connection_pool.as_ref().map(destination_rule::connection_pool),
        tls: given.tls.as_ref().and_then(server_tls),
    })
}

/// The address of an ingress listener that is called itself: the one that it names, or all addresses where nothing is captured
/// for it.
fn bind(given: &api::IngressListener) -> Option<SocketAddr> {
    let number = given.port.number?.number();
    let ip = match given.bind.as_str() {
        "" if given.capture_mode == Some(api::CaptureMode::None) => Ipv4Addr::UNSPECIFIED.into(),
        bind => bind.parse().ok()?,
    };
    Some(SocketAddr::new(ip, number))
}

/// The TLS of callers outside of the mesh. Without certificates of the user's own there is none: mutual TLS of the mesh is
/// PeerAuthentication's to say, and what passes through is the application's.
fn server_tls(given: &ServerTls) -> Option<server_tls::ServerTls> {
    let mode = match given.mode {
        Some(ServerTlsMode::Simple) => server_tls::ServerTlsMode::Simple,
        Some(ServerTlsMode::Mutual) => server_tls::ServerTlsMode::Mutual,
        Some(ServerTlsMode::OptionalMutual) => server_tls::ServerTlsMode::OptionalMutual,
        _ => return None,
    };
    let pair = |certificate: &str, key: &str| server_tls::CertificateFiles {
        certificate: certificate.to_owned(),
        private_key: key.to_owned(),
    };
    let one = (!given.server_certificate.is_empty())
        .then(|| pair(&given.server_certificate, &given.private_key));
    let several = &given.tls_certificates;
    let more = several.iter().map(|it| pair(&it.server_certificate, &it.private_key));
    let authorities = std::iter::once(&given.ca_certificates)
        .chain(several.iter().map(|it| &it.ca_certificates))
        .find(|file| !file.is_empty());
    let spki = given.verify_certificate_spki.iter();
    Some(server_tls::ServerTls {
        mode,
        certificates: one.into_iter().chain(more).collect(),
        ca_certificates: authorities.cloned().unwrap_or_default(),
        ca_crl: given.ca_crl.clone(),
        subject_alt_names: given.subject_alt_names.clone(),
        fingerprints: spki.chain(&given.verify_certificate_hash).cloned().collect(),
        without_tls12: given.min_protocol_version > Some(TlsVersion::V1_2)
            || is_below(given.max_protocol_version, TlsVersion::V1_2),
        without_tls13: is_below(given.max_protocol_version, TlsVersion::V1_3),
        cipher_suites: given.cipher_suites.clone(),
    })
}

/// Whether no version from this one on is spoken.
fn is_below(newest: Option<TlsVersion>, version: TlsVersion) -> bool {
    newest.is_some_and(|newest| newest != TlsVersion::Auto && newest < version)
}

#[cfg(test)]
mod tests;
