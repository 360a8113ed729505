//! The encoded resources of one moment, shared by all sessions.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use meltemi_model::{Affected, Object, Service, Shards, Snapshot, Viewer};
use prost::Message;

use crate::encode::native;
use crate::subsets::Members;

/// A resource as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// A hash of the bytes: equal content has an equal version, also after a restart of the control plane.
    pub version: String,
    /// The encoded message.
    pub body: Vec<u8>,
}

impl Encoded {
    pub(crate) fn new(message: &impl Message) -> Arc<Self> {
        let body = message.encode_to_vec();
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        Arc::new(Encoded { version: format!("{:016x}", hasher.finish()), body })
    }
}

/// A snapshot with everything in it encoded. Immutable; what did not change is shared with the catalog before.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    snapshot: Arc<Snapshot>,
    hosts: Shards<String, Hosted>,
    workloads: Shards<String, Arc<Encoded>>,
    trust: Option<Arc<Encoded>>,
    /// The endpoints that callers have found out to fail, by host and workload's name.
    ejections: Arc<BTreeMap<(String, Arc<str>), u64>>,
}

/// What is known under one host: its services, of which there are several only where namespaces see different ones.
type Hosted = Vec<Version>;

/// One of the services of a host.
#[derive(Debug, Clone)]
struct Version {
    /// The resource that it was made of.
    object: Object,
    service: Arc<Encoded>,
    endpoints: Arc<BTreeMap<Arc<str>, Arc<Encoded>>>,
}

impl Catalog {
    /// The snapshot that it was made of.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The service that a viewer means by a name.
    pub fn service(&self, asked: &str, viewer: &Viewer<'_>) -> Option<&Encoded> {
        let service = self.snapshot.find(asked, viewer)?;
        let mut versions = self.hosts.get(service.host.as_str())?.iter();
        Some(&versions.find(|it| it.object == service.object)?.service)
    }

    /// An endpoint of the service that a viewer sees of a host, by its workload.
    pub fn endpoint(&self, host: &str, workload: &str, viewer: &Viewer<'_>) -> Option<&Encoded> {
        Some(self.version(host, viewer)?.endpoints.get(workload)?)
    }

    /// Which endpoints of a host a client is to be sent.
    pub(crate) fn members(&self, host: &str, viewer: &Viewer<'_>) -> Members<'_> {
        let seen = || self.snapshot.seen(host, viewer).or_else(|| self.snapshot.service(host));
        match seen() {
            Some(service) => {
                Members { size: service.endpoint_subset, names: Some(&service.endpoints) }
            }
            None => Members::default(),
        }
    }

    /// Whether there is an endpoint, by its resource name.
    pub(crate) fn has_endpoint(&self, name: &str, viewer: &Viewer<'_>) -> bool {
        let parts = name.rsplit_once('/');
        parts.is_some_and(|(host, workload)| self.endpoint(host, workload, viewer).is_some())
    }

    /// The names of the endpoints of the service that a viewer sees of a host.
    pub fn endpoints(&self, host: &str, viewer: &Viewer<'_>) -> impl Iterator<Item = &str> {
        let version = self.version(host, viewer).into_iter();
        version.flat_map(|version| version.endpoints.keys()).map(|it| &**it)
    }

    /// The service that a viewer sees of a host; the first, where it sees none.
    fn version(&self, host: &str, viewer: &Viewer<'_>) -> Option<&Version> {
        let versions = self.hosts.get(host)?;
        let first = versions.first();
        if versions.len() <= 1 {
            return first;
        }
        let Some(seen) = self.snapshot.seen(host, viewer) else { return first };
        versions.iter().find(|it| it.object == seen.object)
    }

    /// A workload as its own sidecar gets it, by `NAMESPACE/NAME`.
    pub fn workload(&self, name: &str) -> Option<&Encoded> {
        self.workloads.get(name).map(|it| &**it)
    }

    /// Whom members are to believe.
    pub fn trust(&self) -> Option<&Encoded> {
        self.trust.as_deref()
    }

    /// The same catalog with another word on whom to believe.
    pub(crate) fn with_trust(&self, trust: Arc<Encoded>) -> Catalog {
        Catalog { trust: Some(trust), ..self.clone() }
    }

    /// The same catalog with endpoints that are ejected, or no longer (0), by host and workload's name.
    pub(crate) fn with_ejections(&self, changes: &[(String, Arc<str>, u64)]) -> Catalog {
        let mut next = self.clone();
        let ejections = Arc::make_mut(&mut next.ejections);
        for (host, workload, id) in changes {
            let key = (host.clone(), workload.clone());
            match *id {
                0 => drop(ejections.remove(&key)),
                id => drop(ejections.insert(key, id)),
            }
        }
        for (host, workload, _) in changes {
            next.encode_endpoint(host, workload);
        }
        next
    }

    /// Those that are ejected of the endpoints that leave, by host and workload's name.
    pub(crate) fn ejected_that_leave(&self, affected: &Affected) -> Vec<(String, Arc<str>)> {
        if self.ejections.is_empty() {
            return Vec::new();
        }
        let leave = affected.endpoints.iter().filter(|it| it.removed);
        let keys = leave.map(|it| (it.host.as_str().to_owned(), it.workload.clone()));
        keys.filter(|key| self.ejections.contains_key(key)).collect()
    }

    /// The catalog of the next snapshot: only what is affected is encoded. Who has left and comes back is not ejected, as a host
    /// that comes back is a new one with Envoy.
    pub(crate) fn advance(&self, snapshot: Arc<Snapshot>, affected: &Affected) -> Catalog {
        let mut next = Catalog { snapshot, ..self.clone() };
        for key in self.ejected_that_leave(affected) {
            Arc::make_mut(&mut next.ejections).remove(&key);
        }
        let mut rules = native::rules::Rules::default();
        for host in &affected.services {
            next.encode_service(host.as_str(), &mut rules);
        }
        for change in &affected.endpoints {
            next.encode_endpoint(change.host.as_str(), &change.workload);
        }
        for (namespace, name) in &affected.workloads {
            let key = workload_name(namespace, name);
            match next.snapshot.workload(namespace, name) {
                Some(workload) => {
                    let encoded = Encoded::new(&native::workload::message(workload, &mut rules));
                    next.workloads.insert(key, encoded);
                }
                None => drop(next.workloads.remove(&key)),
            }
        }
        next
    }

    fn encode_service(&mut self, host: &str, rules: &mut native::rules::Rules) {
        let before = self.hosts.remove(host).unwrap_or_default();
        let services: Vec<&Arc<Service>> = self.snapshot.versions(host).collect();
        let is_single = before.len() <= 1 && services.len() <= 1;
        // Endpoints that differ are named, and encoded after this.
        let kept = |object: &Object| {
            let version = before.iter().find(|it| is_single || it.object == *object);
            version.map(|it| it.endpoints.clone()).unwrap_or_default()
        };
        let next: Hosted = services
            .into_iter()
            .map(|service| Version {
                object: service.object.clone(),
                service: Encoded::new(&native::service::message(service, rules)),
                endpoints: kept(&service.object),
            })
            .collect();
        if !next.is_empty() {
            self.hosts.insert(host.into(), next);
        }
    }

    fn encode_endpoint(&mut self, host: &str, workload: &Arc<str>) {
        // A host that is gone took its endpoints with it.
        let Some(mut hosted) = self.hosts.remove(host) else { return };
        let ejection = match self.ejections.is_empty() {
            true => 0,
            false => self.ejections.get(&(host.to_owned(), workload.clone())).copied().unwrap_or(0),
        };
        for (version, service) in hosted.iter_mut().zip(self.snapshot.versions(host)) {
            let endpoints = Arc::make_mut(&mut version.endpoints);
            match service.endpoints.get(workload) {
                Some(endpoint) => {
                    let encoded = Encoded::new(&native::endpoint::message(endpoint, ejection));
                    endpoints.insert(workload.clone(), encoded);
                }
                None => drop(endpoints.remove(workload)),
            }
        }
        self.hosts.insert(host.into(), hosted);
    }
}

/// The resource name of a workload.
pub(crate) fn workload_name(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// The resource name of an endpoint.
pub(crate) fn endpoint_name(host: &str, workload: &str) -> String {
    format!("{host}/{workload}")
}

#[cfg(test)]
mod tests;
