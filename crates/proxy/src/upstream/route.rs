//! Where one attempt goes: an endpoint of the mesh, the application beside us, or a host outside.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Cluster, Endpoint, Origination};
use crate::http::head::{RequestHead, Version};
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
    /// An endpoint, by its presence: a workload that comes back at the same address has another one; and by the
    /// origination under which it is reached.
    Endpoint(u64, u64),
    /// A port of the application.
    App(u16),
}

impl Route {
    /// The key of its pool; `None` where connections are not kept.
    pub(crate) fn key(&self) -> Option<Key> {
        match &self.place {
            Place::Endpoint(cluster, endpoint) => {
                Some(Key::Endpoint(endpoint.presence.id, cluster.origination.id))
            }
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

    /// The endpoint's cluster.
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.place {
            Place::Endpoint(cluster, _) => Some(cluster),
            Place::App(_) | Place::Outside(..) => None,
        }
    }

    /// How its connections are opened, where a rule says it.
    pub(crate) fn origination(&self) -> Option<&Arc<Origination>> {
        let origination = &self.cluster()?.origination;
        (origination.id != 0).then_some(origination)
    }

    /// The same with what a rule wants to be spoken (`h2UpgradePolicy`, `useClientProtocol`); `None` if that is nothing
    /// else.
    pub(crate) fn adapted(&self, head: &RequestHead) -> Option<Route> {
        let limits = &self.origination()?.limits;
        let inner = match self.inner {
            _ if limits.keeps_protocol && head.version == Version::Http2 => Inner::Http2,
            _ if limits.keeps_protocol => Inner::Http1,
            // What leaves HTTP cannot be carried by HTTP/2.
            Inner::Http1 if limits.upgrades && !head.upgrade => Inner::Http2,
            spoken => spoken,
        };
        (inner != self.inner).then(|| Route { place: self.place.clone(), inner })
    }
}

/// The application's address.
pub(crate) fn app_address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
