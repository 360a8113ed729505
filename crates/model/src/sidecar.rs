//! What a workload sees of the mesh, and what its proxy does with the rest: Istio's `Sidecar`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use meltemi_policy::destination::rule::ConnectionPool;
use meltemi_policy::server_tls::ServerTls;

use crate::record::Object;
use crate::selectors::selects;

/// A `Sidecar` resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SidecarRecord {
    /// When it was created (RFC 3339); of two for the same workload, the older counts.
    pub created: String,
    /// The labels of its workloads; `None` for all of the namespace.
    pub selector: Option<BTreeMap<String, String>>,
    /// The hosts that can be called; everything that is exported where there are none.
    pub egress: Vec<EgressHost>,
    /// What the address for all reaches on which ports, where that is not the same on all.
    pub scopes: Vec<EgressScope>,
    /// Listeners of their own for calls.
    pub listeners: Vec<EgressListener>,
    /// Ports that take what comes in; all of the workload's where there are none.
    pub ingress: Vec<IngressListener>,
    /// What becomes of calls to hosts that nobody knows; `None` as the mesh has it.
    pub outbound_mode: Option<OutboundMode>,
    /// Where these calls go instead.
    pub egress_proxy: Option<EgressProxy>,
    /// Limits of what comes in.
    pub inbound_connection_pool: Option<ConnectionPool>,
}

/// A host that can be called, `NAMESPACE/HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressHost {
    /// Whose host it is.
    pub namespace: EgressNamespace,
    /// The host, perhaps with a wildcard.
    pub host: Host,
}

/// The hosts that calls to one port reach, by the address for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressScope {
    /// The port; `None` for those that no other scope is for.
    pub port: Option<u16>,
    /// The hosts.
    pub hosts: Vec<EgressHost>,
}

/// A listener of its own for what goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressListener {
    /// Where it is: `IP:PORT` or `unix://PATH`.
    pub bind: String,
    /// The port of the services that it carries; `None` for all of theirs.
    pub port: Option<u16>,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The hosts that it carries.
    pub hosts: Vec<EgressHost>,
}

/// The namespace before an egress host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressNamespace {
    /// `*`
    Any,
    /// `.`: that of the workload.
    Own,
    /// `~`
    None,
    /// This one.
    Named(Arc<str>),
}

/// What becomes of calls to hosts that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboundMode {
    /// They are answered with an error.
    RegistryOnly,
    /// They go out.
    AllowAny,
}

/// The service through which calls to unknown hosts go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressProxy {
    /// Its host.
    pub host: Host,
    /// A part of it; empty for all of it.
    pub subset: String,
    /// Its port; `None` where it has one.
    pub port: Option<u16>,
}

/// A port that takes what comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct IngressListener {
    /// The number.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The name.
    pub name: String,
    /// An address of its own at which it is reached; none where it is only through the proxy's inbound listener.
    pub bind: Option<SocketAddr>,
    /// Where the application takes it; empty for the same port.
    pub default_endpoint: String,
    /// Limits of this listener.
    pub connection_pool: Option<ConnectionPool>,
    /// The TLS that callers outside of the mesh speak.
    pub tls: Option<ServerTls>,
}

/// A `Sidecar` in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Sidecar {
    /// The resource.
    pub object: Object,
    /// What it says.
    pub record: SidecarRecord,
}

impl Sidecar {
    /// Whether a workload of `own` may call a host of `namespace`.
    pub fn sees(&self, own: &str, namespace: &str, host: &Host) -> bool {
        let is_named = |it: &EgressHost| {
            let is_namespace = match &it.namespace {
                EgressNamespace::Any => true,
                EgressNamespace::Own => own == namespace,
                EgressNamespace::None => false,
                EgressNamespace::Named(named) => **named == *namespace,
            };
            // A wildcard host of the registry is seen where anything below it is.
            is_namespace && (it.host.covers(host.as_str()) || host.covers(it.host.as_str()))
        };
        self.record.egress.is_empty() || self.record.egress.iter().any(is_named)
    }
}

/// All `Sidecar`s, by namespace.
#[derive(Debug, Clone, Default)]
pub struct Sidecars {
    root: Arc<str>,
    of: BTreeMap<Arc<str>, OfNamespace>,
}

/// Those of one namespace, the older first.
type OfNamespace = BTreeMap<(String, Object), Arc<Sidecar>>;

impl Sidecars {
    pub(crate) fn new(root: &str) -> Self {
        Sidecars { root: root.into(), of: BTreeMap::new() }
    }

    /// Whether what stands in a namespace is for all of them.
    pub(crate) fn is_root(&self, namespace: &str) -> bool {
        *self.root == *namespace
    }

    /// Every resource.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.of.values().flat_map(|of| of.keys()).map(|(_, object)| object)
    }

    /// Sets or removes one; answers whether that changes anything.
    pub(crate) fn put(&mut self, object: &Object, record: Option<SidecarRecord>) -> bool {
        let of = self.of.entry(object.namespace.clone()).or_default();
        let key = of.keys().find(|(_, it)| it == object).cloned();
        let before = key.and_then(|key| of.remove_entry(&key));
        let is_same = before.as_ref().map(|(_, it)| &it.record) == record.as_ref();
        match (is_same, before) {
            (true, Some((key, same))) => drop(of.insert(key, same)),
            _ => {
                if let Some(record) = record {
                    let key = (record.created.clone(), object.clone());
                    of.insert(key, Arc::new(Sidecar { object: object.clone(), record }));
                }
            }
        }
        if of.is_empty() {
            self.of.remove(&object.namespace);
        }
        !is_same
    }

    /// The one that is for a workload of a namespace: the oldest that selects its labels, else the oldest of the namespace
    /// without a selector, else that of the root namespace. A workload whose labels are not known is selected by none.
    pub fn find(
        &self,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Option<&Arc<Sidecar>> {
        let of = |namespace: &str| self.of.get(namespace).into_iter().flat_map(BTreeMap::values);
        let is_selecting = |it: &&Arc<Sidecar>| {
            let selector = it.record.selector.as_ref();
            selector.zip(labels).is_some_and(|(selector, labels)| selects(selector, labels))
        };
        let is_default = |it: &&Arc<Sidecar>| it.record.selector.is_none();
        of(namespace)
            .find(is_selecting)
            .or_else(|| of(namespace).find(is_default))
            .or_else(|| of(&self.root).find(is_default))
    }
}
