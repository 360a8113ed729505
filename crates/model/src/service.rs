//! A service as callers see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use meltemi_policy::destination::rule::DestinationRule;
use meltemi_policy::route::rule::VirtualService;

use crate::endpoint::Endpoint;
use crate::export::ExportTo;
use crate::record::{Object, ObjectKind, ServiceRecord};

/// How the addresses of a service's endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// They stand in the registry.
    #[default]
    Static,
    /// The registry has host names, which callers resolve.
    Dns,
    /// As [`Resolution::Dns`], but callers use the first address of the moment.
    DnsRoundRobin,
    /// There are no endpoints: the address that the caller dialled is used.
    None,
    /// There are no endpoints: the caller resolves the name that it was asked for.
    DynamicDns,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The number that callers use.
    pub number: u16,
    /// Its name, possibly empty.
    pub name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// A service; immutable, its parts shared between snapshots.
#[derive(Debug, Clone)]
pub struct Service {
    /// The canonical host, or a wildcard.
    pub host: Host,
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within the namespace; for a service entry its host.
    pub name: Arc<str>,
    /// The ports that callers use.
    pub ports: Arc<[ServicePort]>,
    /// Whether it is outside of the mesh.
    pub external: bool,
    /// How endpoints' addresses are found.
    pub resolution: Resolution,
    /// The resource that it was made of.
    pub object: Object,
    /// Whether no resource but a virtual service names the host: there are no ports and no endpoints.
    pub is_virtual: bool,
    /// The namespaces that see it; of a virtual one its virtual services tell.
    pub export_to: ExportTo,
    /// Addresses, or blocks of them, that stand for the host.
    pub addresses: Arc<[String]>,
    /// Whether DNS answers with these addresses.
    pub has_public_addresses: bool,
    /// Names of which a server's certificate must bear one.
    pub subject_alt_names: Arc<[String]>,
    /// How many endpoints one client is sent, where there are many; `None` for all.
    pub endpoint_subset: Option<usize>,
    /// Where calls go, and how it is called.
    pub rules: Rules,
    /// The endpoints that may be called, by workload name.
    pub endpoints: Arc<BTreeMap<Arc<str>, Arc<Endpoint>>>,
}

/// Which of several services of one host a namespace sees: the least. Istio's sidecar scopes take the first of what
/// is private to the namespace, what is exported to it by name, and what is everybody's, but for a Kubernetes service,
/// which goes before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Preference(ObjectKind, Reach);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Own,
    Named,
    All,
}

impl Preference {
    /// How much a namespace, to which it is exported, prefers what was made of a resource.
    pub(crate) fn of(object: &Object, export_to: &ExportTo, namespace: &str) -> Preference {
        let reach = match export_to {
            ExportTo::All => Reach::All,
            ExportTo::Namespaces(_) if *object.namespace == *namespace => Reach::Own,
            ExportTo::Namespaces(_) => Reach::Named,
        };
        Preference(object.kind, reach)
    }
}

/// The rules of a host; immutable, shared between hosts.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The virtual services of which a host covers this one: the most specific host first, then the older, then by
    /// namespace and name.
    pub virtual_services: Arc<[Arc<VirtualService>]>,
    /// The destination rules whose host covers this one, in the same order.
    pub destination_rules: Arc<[Arc<DestinationRule>]>,
    /// The virtual services that lead here. Who sees one of these sees the host too.
    pub leading_here: Arc<[Arc<VirtualService>]>,
}

impl Service {
    pub(crate) fn new(host: &Host, object: &Object, record: &ServiceRecord, rules: Rules) -> Self {
        let ports = record.ports.iter().map(|port| ServicePort {
            number: port.number,
            name: port.name.clone(),
            protocol: port.protocol,
        });
        Service {
            host: host.clone(),
            namespace: object.namespace.clone(),
            name: record.name.clone().unwrap_or_else(|| host.as_str().into()),
            ports: ports.collect(),
            external: record.external,
            resolution: record.resolution,
            object: object.clone(),
            is_virtual: false,
            export_to: record.export_to.clone(),
            addresses: record.addresses.as_slice().into(),
            has_public_addresses: object.kind == ObjectKind::ServiceEntry,
            subject_alt_names: record.subject_alt_names.as_slice().into(),
            endpoint_subset: record.endpoint_subset,
            rules,
            endpoints: Arc::default(),
        }
    }

    /// A host that only virtual services name, of which `object` is the first.
    pub(crate) fn virtual_host(host: &Host, object: &Object, rules: Rules) -> Self {
        let record = ServiceRecord { external: true, ..ServiceRecord::default() };
        let resolution = Resolution::None;
        Service { is_virtual: true, resolution, ..Service::new(host, object, &record, rules) }
    }

    /// Whether callers see the same service, endpoints aside.
    pub(crate) fn is_like(&self, other: &Service) -> bool {
        (&self.host, &self.namespace, &self.name, self.external, self.resolution)
            == (&other.host, &other.namespace, &other.name, other.external, other.resolution)
            && (self.is_virtual, self.has_public_addresses)
                == (other.is_virtual, other.has_public_addresses)
            && self.ports == other.ports
            && self.export_to == other.export_to
            && self.addresses == other.addresses
            && self.subject_alt_names == other.subject_alt_names
            && self.endpoint_subset == other.endpoint_subset
            && self.rules.is(&other.rules)
    }
}

impl Rules {
    /// Whether they are the very same rules.
    pub(crate) fn is(&self, other: &Rules) -> bool {
        is_same(&self.virtual_services, &other.virtual_services)
            && is_same(&self.destination_rules, &other.destination_rules)
            && is_same(&self.leading_here, &other.leading_here)
    }
}

/// A rule is replaced by another one only where it differs, so that a look at the pointers is enough.
fn is_same<T>(one: &[Arc<T>], other: &[Arc<T>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}
