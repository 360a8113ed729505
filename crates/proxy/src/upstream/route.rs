//! Where one attempt goes: an endpoint of the mesh, the application beside us, or a host outside.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Cluster, Endpoint};
use crate::listen::alpn::Inner;

/// The destination of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) place: Place,
    /// What is spoken with it.
    pub(crate) inner: Inner,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An endpoint of a service.
    Endpoint(Arc<Cluster>, Arc<Endpoint>),
    /// The application beside this proxy, by its port.
    App(u16),
    /// A host that is no service of the mesh (Istio's PassthroughCluster).
    Outside(Arc<str>, u16),
}

/// The key of a pool's group: connections of equal keys are exchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An endpoint, by its presence: a workload that comes back at the same address has another one.
    Endpoint(u64),
    /// A port of the application.
    App(u16),
}

impl Route {
    /// The key of its pool; `None` where connections are not kept.
    pub(crate) fn key(&self) -> Option<Key> {
        match &self.place {
            Place::Endpoint(_, endpoint) => Some(Key::Endpoint(endpoint.presence.id)),
            Place::App(port) => Some(Key::App(*port)),
            Place::Outside(..) => None,
        }
    }

    /// The endpoint, if it is one of the mesh.
    pub(crate) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        match &self.place {
            Place::Endpoint(_, endpoint) => Some(endpoint),
            Place::App(_) | Place::Outside(..) => None,
        }
    }
}

/// The application's address.
pub(crate) fn app_address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
