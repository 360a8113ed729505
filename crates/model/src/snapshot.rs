//! The mesh at one moment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use meltemi_names::{Host, service_host};

use crate::hosts::patterns;
use crate::record::{Object, ObjectKind};
use crate::routes::RouteStatus;
use crate::service::{Preference, Service};
use crate::shards::Shards;
use crate::sidecar::{Sidecar, Sidecars};
use crate::viewer::Viewer;
use crate::workload::Workload;

/// Everything that the mesh knows at one moment. Immutable; what did not change is shared with the snapshot before.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) suffix: Arc<str>,
    pub(crate) services: Shards<String, Arc<Service>>,
    /// Of hosts that several resources describe, each for namespaces of its own, those beside the first, in the order of
    /// precedence.
    pub(crate) others: Shards<String, Arc<[Arc<Service>]>>,
    /// Hosts that only virtual services name.
    pub(crate) virtual_hosts: Shards<String, Arc<Service>>,
    /// Hosts by the addresses that stand for them.
    pub(crate) addresses: Shards<IpAddr, Host>,
    pub(crate) sidecars: Arc<Sidecars>,
    pub(crate) workloads: Shards<(Arc<str>, Arc<str>), Arc<Workload>>,
    pub(crate) rejected: Arc<BTreeMap<Object, String>>,
    pub(crate) route_statuses: Arc<BTreeMap<Object, Arc<RouteStatus>>>,
}

impl Snapshot {
    /// The version of the store that it shows.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The service of exactly this host, or the host that only virtual services name; a wildcard host is its own name.
    pub fn service(&self, host: &str) -> Option<&Arc<Service>> {
        self.services.get(host).or_else(|| self.virtual_hosts.get(host))
    }

    /// The service that a viewer means by a name, of those that it sees: the exact host; else `NAME` of the own namespace,
    /// `NAME.NAMESPACE` or `NAME.NAMESPACE.svc`; else a host that only virtual services name; else the host of an address;
    /// else the longest wildcard that covers the name. A `Service` goes before an exact host that another namespace than its
    /// own and the viewer's has written: nobody takes over short names of others. So it is with Istio, where resolvers write
    /// short names out before a sidecar meets them.
    pub fn find(&self, asked: &str, viewer: &Viewer<'_>) -> Option<&Arc<Service>> {
        let name = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
        let full_name = self.full_name(&name, viewer.namespace);
        let names = [Some(name.as_str()), full_name.as_deref()];
        let names = names.into_iter().flatten();
        let exact = self.seen(&name, viewer);
        let written_out = full_name.as_deref().and_then(|name| self.seen(name, viewer));
        let goes_before = |exact: &Service, full: &Service| {
            let owner = &exact.object.namespace;
            full.object.kind != ObjectKind::Service
                || **owner == *viewer.namespace
                || *owner == full.object.namespace
        };
        let registered = match (exact, written_out) {
            (Some(exact), Some(full)) if !goes_before(exact, full) => Some(full),
            (exact, full) => exact.or(full),
        };
        let mut named = names.filter_map(|name| self.seen_virtual(name, viewer));
        registered
            .or_else(|| named.next())
            .or_else(|| self.seen(self.find_address(&name)?.as_str(), viewer))
            .or_else(|| self.find_wildcard(&name, viewer))
    }

    /// All services of exactly this host: the first, and those that some namespaces see in its place.
    pub fn versions(&self, host: &str) -> impl Iterator<Item = &Arc<Service>> {
        self.service(host).into_iter().chain(self.others.get(host).into_iter().flat_map(|it| &**it))
    }

    /// The service of exactly this host, of the registry, that a viewer sees.
    pub fn seen(&self, host: &str, viewer: &Viewer<'_>) -> Option<&Arc<Service>> {
        let first = self.services.get(host)?;
        let Some(others) = self.others.get(host) else {
            return viewer.sees(first).then_some(first);
        };
        let seen = std::iter::once(first).chain(&**others).filter(|service| viewer.sees(service));
        seen.min_by_key(|it| Preference::of(&it.object, &it.export_to, viewer.namespace))
    }

    fn seen_virtual(&self, host: &str, viewer: &Viewer<'_>) -> Option<&Arc<Service>> {
        self.virtual_hosts.get(host).filter(|service| viewer.sees(service))
    }

    /// The service of the registry that is meant by a name in a namespace, whoever may see it; none that only virtual
    /// services name.
    pub fn find_registered(&self, asked: &str, namespace: &str) -> Option<&Arc<Service>> {
        let name = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
        self.services
            .get(&name)
            .or_else(|| self.services.get(&self.full_name(&name, namespace)?))
            .or_else(|| wildcards(&name).find_map(|wildcard| self.services.get(&wildcard)))
    }

    /// The names by which a service of this host may be asked for, besides wildcards; see [`Snapshot::find`].
    pub fn names_of(&self, host: &Host) -> Vec<String> {
        let mut names = vec![host.as_str().to_owned()];
        let local = host.as_str().strip_suffix(&*self.suffix).and_then(|it| it.strip_suffix('.'));
        if let Some((name, namespace)) = local.and_then(|local| local.split_once('.')) {
            names.push(format!("{name}.{namespace}"));
            names.push(name.to_owned());
            if let Some((svc, _)) = self.suffix.split_once('.') {
                names.push(format!("{name}.{namespace}.{svc}"));
            }
        }
        names
    }

    /// All services of the registry, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter().map(|(_, service)| service)
    }

    /// How many services the registry has.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// A workload as its own sidecar sees it.
    pub fn workload(&self, namespace: &str, name: &str) -> Option<&Arc<Workload>> {
        self.workloads.get(&(Arc::from(namespace), Arc::from(name)))
    }

    /// The `Sidecar` that is for a workload; that of its namespace where there is no workload of this name.
    pub fn sidecar(&self, namespace: &str, workload: &str) -> Option<&Arc<Sidecar>> {
        let labels = self.workload(namespace, workload).map(|workload| &*workload.labels);
        self.sidecars.find(namespace, labels)
    }

    /// Resources that were set aside, and why.
    pub fn rejected(&self) -> &BTreeMap<Object, String> {
        &self.rejected
    }

    /// What is to be told of each route of the Gateway API.
    pub fn route_statuses(&self) -> &Arc<BTreeMap<Object, Arc<RouteStatus>>> {
        &self.route_statuses
    }

    /// The host that a short name stands for in a namespace, whether or not there is such a service: `NAME`, `NAME.NAMESPACE` and
    /// `NAME.NAMESPACE.svc`; `None` where it is none of these.
    pub fn full_name(&self, name: &str, namespace: &str) -> Option<String> {
        let mut labels = name.split('.');
        let svc = self.suffix.split('.').next();
        match (labels.next()?, labels.next(), labels.next(), labels.next()) {
            (name, None, ..) => Some(service_host(name, namespace, &self.suffix)),
            (name, Some(namespace), None, _) => Some(service_host(name, namespace, &self.suffix)),
            (name, Some(namespace), third, None) if third == svc => {
                Some(service_host(name, namespace, &self.suffix))
            }
            _ => None,
        }
    }

    fn find_address(&self, name: &str) -> Option<&Host> {
        let ip: IpAddr = name.parse().ok()?;
        self.addresses.get(&ip)
    }

    fn find_wildcard(&self, name: &str, viewer: &Viewer<'_>) -> Option<&Arc<Service>> {
        wildcards(name).find_map(|wildcard| {
            self.seen(&wildcard, viewer).or_else(|| self.seen_virtual(&wildcard, viewer))
        })
    }
}

/// The wildcards that cover a name, the longest first.
fn wildcards(name: &str) -> impl Iterator<Item = String> {
    let patterns = patterns(name).into_iter();
    patterns.filter(|pattern| pattern.starts_with('*'))
}
