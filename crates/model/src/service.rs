//! A service as callers see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{Host, Protocol};

use crate::endpoint::Endpoint;
use crate::record::{Object, ServiceRecord};

/// How the addresses of a service's endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// They stand in the registry.
    #[default]
    Static,
    /// The registry has host names, which callers resolve.
    Dns,
    /// There are no endpoints: the address that the caller dialled is used.
    None,
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
    /// The endpoints that may be called, by workload name.
    pub endpoints: Arc<BTreeMap<Arc<str>, Arc<Endpoint>>>,
}

impl Service {
    pub(crate) fn new(host: &Host, object: &Object, record: &ServiceRecord) -> Self {
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
            endpoints: Arc::default(),
        }
    }

    /// Whether callers see the same service, endpoints aside.
    pub(crate) fn is_like(&self, other: &Service) -> bool {
        (&self.host, &self.namespace, &self.name, self.external, self.resolution)
            == (&other.host, &other.namespace, &other.name, other.external, other.resolution)
            && self.ports == other.ports
    }
}
