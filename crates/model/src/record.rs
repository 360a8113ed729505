//! What the model keeps of each resource: the parts that it needs, already checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use meltemi_policy::peer::PeerAuthentication;

use crate::authentication::RequestAuthenticationRecord;
use crate::authorization::AuthorizationPolicyRecord;
use crate::credentials::Credential;
use crate::destinations::DestinationRuleRecord;
use crate::export::ExportTo;
use crate::readers::{RoleBindingRecord, RoleRecord};
use crate::routes::{ReferenceGrantRecord, RouteRecord, VirtualServiceRecord};
use crate::service::Resolution;
use crate::sidecar::SidecarRecord;

/// Which kind of resource a record was made of. The order is that of precedence where two claim the same host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A core `Service`.
    Service,
    /// A `ServiceEntry`.
    ServiceEntry,
    /// A `WorkloadEntry`.
    WorkloadEntry,
    /// A `VirtualService`.
    VirtualService,
    /// A `DestinationRule`.
    DestinationRule,
    /// A `Sidecar`.
    Sidecar,
    /// A `RequestAuthentication`.
    RequestAuthentication,
    /// A `PeerAuthentication`.
    PeerAuthentication,
    /// An `AuthorizationPolicy`.
    AuthorizationPolicy,
    /// An `HTTPRoute`.
    HttpRoute,
    /// A `GRPCRoute`.
    GrpcRoute,
    /// A `ReferenceGrant`.
    ReferenceGrant,
    /// A `Secret`.
    Secret,
    /// A `Role`.
    Role,
    /// A `RoleBinding`.
    RoleBinding,
}

impl ObjectKind {
    /// The kind's name, as in `ServiceEntry`.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Service => "Service",
            ObjectKind::ServiceEntry => "ServiceEntry",
            ObjectKind::WorkloadEntry => "WorkloadEntry",
            ObjectKind::VirtualService => "VirtualService",
            ObjectKind::DestinationRule => "DestinationRule",
            ObjectKind::Sidecar => "Sidecar",
            ObjectKind::RequestAuthentication => "RequestAuthentication",
            ObjectKind::PeerAuthentication => "PeerAuthentication",
            ObjectKind::AuthorizationPolicy => "AuthorizationPolicy",
            ObjectKind::HttpRoute => "HTTPRoute",
            ObjectKind::GrpcRoute => "GRPCRoute",
            ObjectKind::ReferenceGrant => "ReferenceGrant",
            ObjectKind::Secret => "Secret",
            ObjectKind::Role => "Role",
            ObjectKind::RoleBinding => "RoleBinding",
        }
    }
}

/// A resource by kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// The kind.
    pub kind: ObjectKind,
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl Object {
    /// A resource's name.
    pub fn new(kind: ObjectKind, namespace: &str, name: &str) -> Self {
        Object { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// A resource that has an effect on the model.
#[allow(clippy::large_enum_variant, reason = "it is taken apart as soon as it is made")]
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Hosts that can be called.
    Service(ServiceRecord),
    /// A workload that services can select.
    Workload(WorkloadRecord),
    /// Where calls of hosts go.
    VirtualService(VirtualServiceRecord),
    /// Where calls of services go, in the words of the Gateway API.
    Route(RouteRecord),
    /// Which routes may refer to services of another namespace.
    ReferenceGrant(ReferenceGrantRecord),
    /// How hosts are called.
    DestinationRule(DestinationRuleRecord),
    /// What workloads see.
    Sidecar(SidecarRecord),
    /// Whose tokens workloads take.
    RequestAuthentication(RequestAuthenticationRecord),
    /// Whether workloads ask their callers for mutual TLS.
    PeerAuthentication(PeerAuthentication),
    /// Who may do what with workloads.
    AuthorizationPolicy(AuthorizationPolicyRecord),
    /// Keys and certificates for TLS.
    Secret(Credential),
    /// Which secrets may be read.
    Role(RoleRecord),
    /// By which service accounts.
    RoleBinding(RoleBindingRecord),
}

/// Hosts, their ports, and where their endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceRecord {
    /// One for a core service, one or more for a service entry.
    pub hosts: Vec<Host>,
    /// The service's name; for a service entry each host stands for itself.
    pub name: Option<Arc<str>>,
    /// The ports that callers use.
    pub ports: Vec<PortRecord>,
    /// Labels that a workload of the same namespace must have; `None` selects nothing.
    pub selector: Option<BTreeMap<String, String>>,
    /// Endpoints given in the resource itself.
    pub inline: Vec<(Arc<str>, WorkloadRecord)>,
    /// Whether each host is its own only endpoint, to be resolved by its name.
    pub self_named: bool,
    /// Whether it is outside of the mesh.
    pub external: bool,
    /// How endpoints' addresses are found.
    pub resolution: Resolution,
    /// When it was created (RFC 3339); of two that claim one host, the older has it.
    pub created: String,
    /// The namespaces that see the hosts.
    pub export_to: ExportTo,
    /// Addresses, or blocks of them, that stand for the hosts.
    pub addresses: Vec<String>,
    /// Whether addresses are given to hosts that have none.
    pub allocation: Allocation,
    /// Names of which a server's certificate must bear one.
    pub subject_alt_names: Vec<String>,
    /// How many endpoints one client is sent, where there are many; `None` for all.
    pub endpoint_subset: Option<usize>,
}

/// Whether an address is given to a host that has none, so that connections to it can be told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// None is given.
    #[default]
    Off,
    /// One is given, and proxies know it.
    Internal,
    /// One is given, and DNS answers with it: what calls the host must go through a proxy that captures it.
    Public,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRecord {
    /// The number that callers use.
    pub number: u16,
    /// Its name, possibly empty.
    pub name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where it leads to on a workload.
    pub target: TargetPort,
}

/// The port of a workload that a service's port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// None was named.
    Same,
    /// This number.
    Number(u16),
    /// The workload's port of this name.
    Name(String),
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkloadRecord {
    /// IP address or host name.
    pub address: String,
    /// Port names and numbers; empty if the resource names none.
    pub ports: BTreeMap<String, u16>,
    /// Labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Service account; `None` for workloads without an identity of the mesh.
    pub service_account: Option<String>,
    /// `region/zone/subzone`.
    pub locality: String,
    /// Relative share of the load; 0 stands for 1.
    pub weight: u32,
    /// The network that its address belongs to.
    pub network: String,
    /// Whether a sidecar takes mutual TLS for it.
    pub mutual_tls: bool,
    /// The sidecar's inbound port.
    pub inbound_port: u16,
    /// Whether it may be called.
    pub ready: bool,
}

impl PortRecord {
    /// The port of `workload` that this service port leads to: (1) the workload's port of the same name; (2) the one that
    /// `targetPort` names; (3) the number of `targetPort`, if the workload names no ports or has that number; (4) the
    /// workload's only port; (5) the number of `targetPort` after all; (6) the service port's own number.
    pub fn on(&self, workload: &WorkloadRecord) -> u16 {
        let ports = &workload.ports;
        if let Some(port) = ports.get(&self.name).filter(|_| !self.name.is_empty()) {
            return *port;
        }
        let only = (ports.len() == 1).then(|| ports.values().next().copied()).flatten();
        match &self.target {
            TargetPort::Name(name) => ports.get(name).copied().or(only).unwrap_or(self.number),
            TargetPort::Number(number)
                if ports.is_empty() || ports.values().any(|port| port == number) =>
            {
                *number
            }
            TargetPort::Number(number) => only.unwrap_or(*number),
            TargetPort::Same => only.unwrap_or(self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_ports_are_found_by_the_rules_in_their_order() {
        let name = |name: &str| TargetPort::Name(name.into());
        let number = TargetPort::Number;
        type Ports = &'static [(&'static str, u16)];
        let cases: [(&str, TargetPort, Ports, u16); 12] = [
            ("http", name("main"), &[("http", 1), ("main", 2)], 1),
            ("http", name("main"), &[("main", 2), ("x", 3)], 2),
            ("http", number(8001), &[], 8001),
            ("http", number(8001), &[("a", 8001), ("b", 2)], 8001),
            ("http", number(8001), &[("a", 2)], 2),
            ("http", number(8001), &[("a", 2), ("b", 3)], 8001),
            ("http", name("main"), &[("a", 2)], 2),
            ("http", name("main"), &[("a", 2), ("b", 3)], 80),
            ("http", name("main"), &[], 80),
            ("http", TargetPort::Same, &[("a", 2)], 2),
            ("http", TargetPort::Same, &[("a", 2), ("b", 3)], 80),
            ("", TargetPort::Same, &[("", 9), ("b", 3)], 80),
        ];
        for (port, target, ports, expected) in cases {
            let ports = ports.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
            let workload = WorkloadRecord { ports, ..WorkloadRecord::default() };
            let port =
                PortRecord { number: 80, name: port.into(), protocol: Protocol::Http, target };
            assert_eq!(port.on(&workload), expected, "{port:?} {workload:?}");
        }
    }
}
