//! What the name server has to know of the mesh; the control plane gives it from its snapshot.

use std::net::IpAddr;
use std::sync::Arc;

use meltemi_names::Host;

/// The registry as the name server sees it. Asked for every question, so an implementation looks in memory only.
pub trait Names: Send + Sync {
    /// The service that is meant by a name (lower case, no trailing dot): its host, a short form of that
    /// (`NAME`, `NAME.NAMESPACE`, `NAME.NAMESPACE.svc`), or a name that a wildcard host covers.
    fn find(&self, name: &str) -> Option<Answer>;

    /// Whether there are services of the mesh in this namespace. Their parent name then exists, although it has no
    /// records: resolvers that ask label by label (RFC 9156) take NXDOMAIN there as the end of the way.
    fn has_namespace(&self, namespace: &str) -> bool;
}

/// A service, as much of it as answers are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The canonical host, or the wildcard that covers the name.
    pub host: Host,
    /// Whether it is outside of the mesh: then only its addresses are known here, and other types are asked elsewhere.
    pub external: bool,
    /// How addresses are found.
    pub resolution: Resolution,
    /// The ports that callers use.
    pub ports: Vec<Port>,
    /// The endpoints that are ready.
    pub endpoints: Vec<Endpoint>,
}

/// How the addresses of a service's endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// They stand in the registry: without a ready endpoint there is no address.
    #[default]
    Static,
    /// The registry has host names, or none: then the service's own host is one.
    Dns,
    /// The registry has none: the name is resolved as if the mesh did not know it.
    None,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The number that callers use.
    pub number: u16,
    /// Its name, possibly empty; `_NAME._tcp.HOST` asks for it.
    pub name: String,
    /// What carries it.
    pub transport: Transport,
}

/// What carries a port's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A ready endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The workload's name; the first label of its own host name.
    pub workload: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// For each port of the service the port of the workload; a port that is missing here is the same on both.
    pub ports: Vec<(u16, u16)>,
    /// Relative share of the load; 0 stands for 1.
    pub weight: u32,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At an IP address.
    Ip(IpAddr),
    /// At the addresses of a host that has to be resolved.
    Host(String),
}

impl Endpoint {
    /// The workload's port for a port of the service.
    pub(crate) fn port(&self, service_port: u16) -> u16 {
        let found = self.ports.iter().find(|(of_service, _)| *of_service == service_port);
        found.map_or(service_port, |(_, of_workload)| *of_workload)
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Host(_) => None,
        }
    }

    /// The label under the service's host that names this endpoint alone: the workload's name, dots replaced; or, as
    /// Kubernetes does for endpoints without a name, its address where that is not a label.
    pub(crate) fn label(&self) -> String {
        let label = self.workload.replace('.', "-").to_ascii_lowercase();
        if meltemi_names::is_dns_label(&label) {
            return label;
        }
        match self.address {
            Address::Ip(IpAddr::V4(ip)) => ip.to_string().replace('.', "-"),
            Address::Ip(IpAddr::V6(ip)) => ip.segments().map(|part| format!("{part:x}")).join("-"),
            Address::Host(_) => label,
        }
    }
}
