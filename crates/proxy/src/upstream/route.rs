//! Where one attempt goes: an endpoint of the mesh, the application beside us, or a host outside.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use meltemi_policy::circuit::Circuit;
use tokio::sync::Notify;

use crate::config::{App, Cluster, Endpoint, Origination};
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
    /// The application beside this proxy.
    App(Arc<App>),
    /// A host whose own address is called.
    Outside(Outside),
}

/// A host whose own address is called.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// What rules say of its connections; `None` where the mesh does not know it (Istio's PassthroughCluster).
    pub(crate) cluster: Option<Arc<Cluster>>,
}

/// Hosts outside are told apart in pools by a hash that nobody can foresee.
static HOSTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How much there may be, and who is told when there is less again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'r> {
    pub(crate) name: &'r Arc<str>,
    pub(crate) circuit: &'r Circuit,
    pub(crate) freed: &'r Arc<Notify>,
}

/// The key of a pool's group: connections of equal keys are exchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An endpoint, by its presence: a workload that comes back at the same address has another one; and by the
    /// origination under which it is reached.
    Endpoint(u64, u64),
    /// A place of the application, and the origination under which it is reached.
    App(u64, u64),
    /// A host and port that the mesh knows by name only, hashed, and the origination under which it is reached.
    Host(u64, u64),
}

impl Route {
    /// The key of its pool; `None` where connections are not kept.
    pub(crate) fn key(&self) -> Option<Key> {
        match &self.place {
            Place::Endpoint(cluster, endpoint) => {
                Some(Key::Endpoint(endpoint.presence.id, cluster.origination.id))
            }
            Place::App(app) => Some(Key::App(app.place.id, app.origination.id)),
            Place::Outside(Outside { host, port, cluster }) => {
                let cluster = cluster.as_ref()?;
                Some(Key::Host(HOSTS.hash_one((host, port)), cluster.origination.id))
            }
        }
    }

    /// Whether a sidecar of the mesh answers there that proves who it is.
    pub(crate) fn is_proved(&self) -> bool {
        self.endpoint().is_some_and(|it| it.tls.is_some() && !it.is_plaintext)
    }

    /// The endpoint, if it is one of the mesh.
    pub(crate) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        match &self.place {
            Place::Endpoint(_, endpoint) => Some(endpoint),
            Place::App(..) | Place::Outside(..) => None,
        }
    }

    /// The application, if it is that.
    pub(crate) fn app(&self) -> Option<&Arc<App>> {
        match &self.place {
            Place::App(app) => Some(app),
            Place::Endpoint(..) | Place::Outside(..) => None,
        }
    }

    /// How much there may be of it.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let cluster = match &self.place {
            Place::Endpoint(cluster, _) => cluster,
            Place::Outside(outside) => outside.cluster.as_ref()?,
            Place::App(it) => {
                return Some(Bounds { name: &it.name, circuit: &it.circuit, freed: &it.freed });
            }
        };
        Some(Bounds { name: &cluster.name, circuit: &cluster.circuit, freed: &cluster.freed })
    }

    /// How its connections are opened, where a rule says it.
    pub(crate) fn origination(&self) -> Option<&Arc<Origination>> {
        let origination = match &self.place {
            Place::Endpoint(cluster, _) => &cluster.origination,
            Place::App(app) => &app.origination,
            Place::Outside(outside) => &outside.cluster.as_ref()?.origination,
        };
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
