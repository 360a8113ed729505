//! From a message of the control plane to what requests read: everything is checked here, once, so that nothing is
//! parsed or doubted later.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meltemi_names::{Host, HostError, Protocol, SpiffeId, SpiffeIdError};
use meltemi_policy::path::Normalization;
use meltemi_policy::peer::Mode;
use meltemi_telemetry::{Party, Word};
use meltemi_wire::proto::meltemi::v1;
use prost::Message;
use rustls_pki_types::{DnsName, ServerName};

use super::cluster::Words;
use super::ingress::Ingress;
use super::rules::{Rules, UnusableRules};
use super::{
    Address, Authentications, Authorization, Cluster, Endpoint, Gate, Inbound, InboundPort,
    MutualTls, Own, Presence, Resolution, Service,
};

/// The next endpoint's id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Why a resource cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "it cannot be decoded ({0}); control plane and proxy may be of versions that do not fit"
    )]
    Undecodable(#[from] prost::DecodeError),
    #[error("its host: {0}")]
    Host(#[from] HostError),
    #[error("its host `{0}` is not in canonical form (lower case, no trailing dot)")]
    NotCanonical(String),
    #[error("{field} is {value}, which is no port: 1 to 65535")]
    Port { field: &'static str, value: u32 },
    #[error("it lists port {0} twice")]
    DuplicatePort(u16),
    #[error("{field} has the value {value}, which this proxy does not know; update the proxy")]
    UnknownValue { field: &'static str, value: i32 },
    #[error("its address `{0}` is neither an IP address nor a host name")]
    Address(String),
    #[error("it names no workload")]
    NoWorkload,
    #[error("its identity: {0}")]
    Identity(#[from] SpiffeIdError),
    #[error(transparent)]
    Rules(#[from] UnusableRules),
    #[error("its Sidecar resource: {0}")]
    Sidecar(String),
}

/// A service's own words, without its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServicePlan {
    pub(super) host: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) external: bool,
    pub(super) resolution: Resolution,
    pub(super) ports: Vec<PortPlan>,
    /// Names of which an endpoint's certificate must bear one, where no rule says it.
    subject_alt_names: Arc<[String]>,
    pub(super) rules: Rules,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortPlan {
    pub(super) number: u16,
    name: String,
    protocol: Protocol,
    sni: ServerName<'static>,
}

/// An endpoint's own words, for all ports of its service.
#[derive(Debug)]
pub(super) struct EndpointPlan {
    workload: Arc<str>,
    namespace: Arc<str>,
    address: Address,
    /// Service port to the workload's port.
    pub(super) ports: BTreeMap<u16, u16>,
    /// The service ports on which the workload takes no mutual TLS.
    plaintext: BTreeSet<u16>,
    tls: Option<MutualTls>,
    labels: BTreeMap<String, String>,
    locality: String,
    network: String,
    ejection: u64,
    weight: u32,
    party: Party,
}

impl ServicePlan {
    /// Reads a `Service` message.
    pub(super) fn read(body: &[u8], own: &Own) -> Result<ServicePlan, Unusable> {
        let message = v1::Service::decode(body)?;
        let rules = Rules::read(&message, own)?;
        let host = canonical(&message.host)?;
        let resolution = v1::Resolution::try_from(message.resolution).map_err(|_| {
            Unusable::UnknownValue { field: "resolution", value: message.resolution }
        })?;
        let mut ports: Vec<PortPlan> = Vec::with_capacity(message.ports.len());
        for it in message.ports {
            let number = port("a port's number", it.number)?;
            if ports.iter().any(|known| known.number == number) {
                return Err(Unusable::DuplicatePort(number));
            }
            ports.push(PortPlan {
                number,
                name: it.name,
                protocol: protocol(it.protocol)?,
                sni: sni(&host, number),
            });
        }
        ports.sort_by_key(|port| port.number);
        Ok(ServicePlan {
            namespace: message.namespace.into(),
            name: message.name.into(),
            external: message.external,
            resolution: resolution.into(),
            ports,
            subject_alt_names: message.subject_alt_names.into(),
            host,
            rules,
        })
    }

    /// The service, of clusters that are built already: those of whole ports, and those of subsets.
    pub(super) fn service(
        &self,
        clusters: Vec<Arc<Cluster>>,
        subsets: Vec<Arc<Cluster>>,
    ) -> Service {
        Service {
            host: self.host.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            external: self.external,
            resolution: self.resolution,
            clusters,
            subsets,
            table: self.rules.table.clone(),
            routes: self.rules.routes,
        }
    }

    /// Whether a service was built of the same words, its ports apart.
    pub(super) fn is(&self, service: &Service) -> bool {
        let same = (&self.host, &self.namespace, &self.name, self.external, self.resolution)
            == (
                &service.host,
                &service.namespace,
                &service.name,
                service.external,
                service.resolution,
            );
        same && self.rules.routes == service.routes
    }

    /// Whether a cluster was built of the same words, its endpoints apart.
    pub(super) fn describes(&self, port: &PortPlan, cluster: &Cluster) -> bool {
        (&self.host, &self.namespace, &self.name, self.external, self.resolution)
            == (
                &cluster.host,
                &cluster.service_namespace,
                &cluster.service_name,
                cluster.external,
                cluster.resolution,
            )
            && (port.number, &port.name, port.protocol, self.rules.policies)
                == (cluster.port, &cluster.port_name, cluster.protocol, cluster.policies)
            && self.subject_alt_names == cluster.subject_alt_names
    }

    /// The words of the cluster of a port, or of a subset of it.
    pub(super) fn words(&self, port: &PortPlan, subset: Option<&str>) -> Words {
        let (number, host, part) = (port.number, &self.host, subset.unwrap_or_default());
        Words {
            name: format!("outbound|{number}|{part}|{host}").into(),
            host: self.host.clone(),
            service_name: self.name.clone(),
            service_namespace: self.namespace.clone(),
            port: number,
            port_name: port.name.clone(),
            protocol: port.protocol,
            external: self.external,
            resolution: self.resolution,
            subset: subset.map(Into::into),
            policy: self.rules.chosen.policy(number, subset),
            policies: self.rules.policies,
            subject_alt_names: self.subject_alt_names.clone(),
            sni: port.sni.clone(),
        }
    }
}

impl EndpointPlan {
    /// Reads an `Endpoint` message.
    pub(super) fn read(body: &[u8]) -> Result<EndpointPlan, Unusable> {
        let message = v1::Endpoint::decode(body)?;
        if message.workload.is_empty() {
            return Err(Unusable::NoWorkload);
        }
        let tls = mutual_tls(&message)?;
        let mut ports = BTreeMap::new();
        let mut plaintext = BTreeSet::new();
        for it in &message.ports {
            let number = port("a service port", it.service_port)?;
            if ports.insert(number, port("a target port", it.target_port)?).is_some() {
                return Err(Unusable::DuplicatePort(number));
            }
            if it.plaintext {
                plaintext.insert(number);
            }
        }
        Ok(EndpointPlan {
            address: address(&message.address)?,
            ports,
            plaintext,
            party: party(&message, tls.as_ref()),
            tls,
            workload: message.workload.into(),
            namespace: message.namespace.into(),
            labels: message.labels.into_iter().collect(),
            locality: message.locality,
            network: message.network,
            ejection: message.ejection,
            weight: message.weight.max(1),
        })
    }

    /// An endpoint for one of the service's ports; `None` if the workload does not serve it. It keeps the presence of the
    /// one before if it is reached in the same way.
    pub(super) fn build(
        &self,
        service_port: u16,
        before: Option<&Arc<Endpoint>>,
    ) -> Option<Endpoint> {
        let mut endpoint = Endpoint {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            presence: Arc::new(Presence::new()),
            workload: self.workload.clone(),
            namespace: self.namespace.clone(),
            address: self.address.clone(),
            port: *self.ports.get(&service_port)?,
            tls: self.tls.clone(),
            is_plaintext: self.plaintext.contains(&service_port),
            labels: self.labels.clone(),
            locality: self.locality.clone(),
            network: self.network.clone(),
            ejection: self.ejection,
            weight: self.weight,
            party: self.party.clone(),
        };
        if let Some(before) = before.filter(|before| before.is_reached_as(&endpoint)) {
            endpoint.presence = before.presence.clone();
        }
        Some(endpoint)
    }
}

/// Reads a `Workload` message: what arrives for us, and who we are.
pub(super) fn workload(body: &[u8]) -> Result<(Inbound, Own), Unusable> {
    let message = v1::Workload::decode(body)?;
    let own = Own::read(&message);
    let mut ports = Vec::with_capacity(message.inbound.len());
    let mut ingress =
        Ingress::read(message.sidecar.as_ref(), &message.address).map_err(Unusable::Sidecar)?;
    for it in message.inbound {
        let target_port = port("a target port", it.target_port)?;
        let Some(taken) = ingress.take(target_port, &it.port_name) else { continue };
        ports.push(InboundPort {
            host: canonical(&it.host)?,
            service_name: it.service_name.into(),
            service_namespace: it.service_namespace.into(),
            service_port: port("a service port", it.service_port)?,
            target_port,
            is_declared: taken.protocol.is_some(),
            protocol: taken.protocol.map_or_else(|| protocol(it.protocol), Ok)?,
            mode: mode(it.mode),
            listener: taken.listener,
            tls: taken.tls,
            app: taken.app,
        });
    }
    let hosts = ports.iter().map(|port| &port.host);
    let authentication = Authentications::read(&message.request_authentications, hosts.clone());
    let authorization =
        Authorization::read(&message.authorization_policies, &message.extension_providers, hosts);
    let normalization = normalization(message.path_normalization);
    let gate = Gate::of(&ports);
    let num_trusted_proxies = message.num_trusted_proxies;
    let inbound = Inbound {
        ports,
        authentication,
        authorization,
        normalization,
        num_trusted_proxies,
        gate,
        listeners: ingress.addresses(),
    };
    Ok((inbound, own))
}

/// Whether callers are asked for mutual TLS; what this proxy does not know yet is taken for the strictest.
fn mode(value: i32) -> Mode {
    match v1::PeerAuthenticationMode::try_from(value) {
        Ok(v1::PeerAuthenticationMode::StrictMode) | Err(_) => Mode::Strict,
        Ok(v1::PeerAuthenticationMode::PermissiveMode) => Mode::Permissive,
        Ok(v1::PeerAuthenticationMode::DisableMode) => Mode::Disable,
    }
}

/// How paths are normalised; what this proxy does not know yet is taken for the strictest that it knows.
fn normalization(value: i32) -> Normalization {
    match v1::PathNormalization::try_from(value) {
        Ok(v1::PathNormalization::NoneNormalization) => Normalization::None,
        Ok(v1::PathNormalization::Base) => Normalization::Base,
        Ok(v1::PathNormalization::DefaultNormalization | v1::PathNormalization::MergeSlashes) => {
            Normalization::MergeSlashes
        }
        Ok(v1::PathNormalization::DecodeAndMergeSlashes) | Err(_) => {
            Normalization::DecodeAndMergeSlashes
        }
    }
}

fn canonical(text: &str) -> Result<Arc<str>, Unusable> {
    let host: Host = text.parse()?;
    match host.as_str() == text {
        true => Ok(text.into()),
        false => Err(Unusable::NotCanonical(text.into())),
    }
}

fn port(field: &'static str, value: u32) -> Result<u16, Unusable> {
    match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Unusable::Port { field, value }),
    }
}

fn protocol(value: i32) -> Result<Protocol, Unusable> {
    let known = v1::Protocol::try_from(value);
    known
        .map(Protocol::from)
        .map_err(|_| Unusable::UnknownValue { field: "a port's protocol", value })
}

fn address(text: &str) -> Result<Address, Unusable> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Address::Ip(ip));
    }
    match text.parse::<Host>() {
        Ok(host) if !host.is_wildcard() => Ok(Address::Name(host.as_str().into())),
        _ => Err(Unusable::Address(text.into())),
    }
}

/// A mode that is not known must never turn into plaintext.
fn mutual_tls(message: &v1::Endpoint) -> Result<Option<MutualTls>, Unusable> {
    match v1::TlsMode::try_from(message.tls_mode) {
        Ok(v1::TlsMode::Disable) => Ok(None),
        Ok(v1::TlsMode::IstioMutual) => {
            let identity: SpiffeId = message.identity.parse()?;
            Ok(Some(MutualTls { port: port("its inbound port", message.inbound_port)?, identity }))
        }
        Err(_) => Err(Unusable::UnknownValue { field: "its TLS mode", value: message.tls_mode }),
    }
}

fn party(message: &v1::Endpoint, tls: Option<&MutualTls>) -> Party {
    let label = |key| Word::new(message.labels.get(key).map(String::as_str).unwrap_or_default());
    Party {
        workload: Word::new(&message.workload_name),
        namespace: Word::new(&message.namespace),
        principal: tls.map(|tls| Word::new(&tls.identity.to_string())).unwrap_or_default(),
        app: label("app"),
        version: label("version"),
        canonical_service: Word::new(&message.canonical_service),
        canonical_revision: Word::new(&message.canonical_revision),
        cluster: Word::new(&message.cluster),
    }
}

/// Istio's server name for a port of a service. Of an address TLS sends no name at all.
fn sni(host: &str, port: u16) -> ServerName<'static> {
    match DnsName::try_from(format!("outbound_.{port}_._.{host}")) {
        Ok(name) => ServerName::DnsName(name),
        Err(_) => ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into()),
    }
}

#[cfg(test)]
mod tests;
