//! The records behind the snapshot, and the recomputation of what a change touches.

mod authentications;
mod authorizations;
mod credentials;
mod owners;
mod peers;
mod readers;
mod rules;
mod services;
mod statuses;
mod workloads;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_names::Host;

use self::owners::Claims;
use crate::addresses::Addresses;
use crate::affected::Affected;
use crate::authentication::{Authentications, FetchedKeys, KeySource};
use crate::authorization::Authorizations;
use crate::credentials::Credentials;
use crate::destinations::Destinations;
use crate::hosts::Hosts;
use crate::peers::Peers;
use crate::readers::Readers;
use crate::record::{Object, ObjectKind, Record, ServiceRecord, WorkloadRecord};
use crate::refusals::Refusals;
use crate::routes::Routes;
use crate::selectors::Selectors;
use crate::settings::Settings;
use crate::sidecar::Sidecars;
use crate::snapshot::Snapshot;

/// One change of a resource.
#[allow(clippy::large_enum_variant, reason = "it is taken apart as soon as it is made")]
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new or different.
    Put(Object, Record),
    /// It cannot be used, for this reason. What the resource was before stays in effect.
    Refuse(Object, String),
    /// It is gone.
    Remove(Object),
    /// Keys of a [`KeySource`] were fetched, or cannot be.
    Keys(KeySource, FetchedKeys),
}

/// The mesh as records, from which snapshots are made. Each change costs what it touches, not the size of the mesh.
#[derive(Debug)]
pub struct Model {
    settings: Settings,
    services: HashMap<Object, Arc<ServiceRecord>>,
    /// Who claims each host, in the order of precedence.
    claims: HashMap<Host, Claims>,
    namespaces: HashMap<Arc<str>, Namespace>,
    /// All hosts that can be called.
    hosts: Hosts,
    addresses: Addresses,
    routes: Routes,
    destinations: Destinations,
    authentications: Authentications,
    authorizations: Authorizations,
    credentials: Credentials,
    peers: Peers,
    readers: Readers,
    refusals: Refusals,
    current: Snapshot,
}

#[derive(Debug, Default)]
struct Namespace {
    selectors: Selectors,
    workloads: BTreeMap<Arc<str>, Arc<WorkloadRecord>>,
}

/// What has to be recomputed.
#[derive(Debug, Default)]
struct Dirty {
    hosts: BTreeSet<Host>,
    /// Hosts of which the rules alone may differ.
    rules: BTreeSet<Host>,
    /// Endpoints: service and workload.
    endpoints: BTreeSet<(Object, Arc<str>)>,
    /// Workloads: namespace and name.
    workloads: BTreeSet<(Arc<str>, Arc<str>)>,
    sidecars: bool,
    /// Routes of the Gateway API of which something else may have to be told.
    routes: BTreeSet<Object>,
}

impl Model {
    /// A mesh of nothing.
    pub fn new(settings: Settings) -> Self {
        let root = settings.root_namespace.clone();
        let current = Snapshot {
            suffix: settings.suffix.as_str().into(),
            sidecars: Arc::new(Sidecars::new(&settings.root_namespace)),
            ..Snapshot::default()
        };
        Model {
            settings,
            services: HashMap::new(),
            claims: HashMap::new(),
            namespaces: HashMap::new(),
            hosts: Hosts::default(),
            addresses: Addresses::default(),
            routes: Routes::default(),
            destinations: Destinations::default(),
            authentications: Authentications::new(&root),
            authorizations: Authorizations::new(&root),
            credentials: Credentials::default(),
            peers: Peers::new(&root),
            readers: Readers::default(),
            refusals: Refusals::default(),
            current,
        }
    }

    /// Every resource that the model knows, for a comparison with a new list of all.
    pub fn objects(&self) -> BTreeSet<Object> {
        let workloads = self.namespaces.iter().flat_map(|(namespace, it)| {
            it.workloads.keys().map(|name| Object {
                kind: ObjectKind::WorkloadEntry,
                namespace: namespace.clone(),
                name: name.clone(),
            })
        });
        let rules = self.routes.objects().chain(self.destinations.objects());
        let policies = self.authentications.objects().chain(self.authorizations.objects());
        let policies = policies.chain(self.peers.objects());
        let named = self.services.keys().chain(rules).chain(self.current.sidecars.objects());
        let secrets = self.credentials.objects().chain(self.readers.objects());
        named.chain(policies).chain(secrets).cloned().chain(workloads).collect()
    }

    /// Takes changes in, which brought the store to `version`; answers with the mesh after all of them, and with what
    /// differs.
    pub fn apply(
        &mut self,
        version: u64,
        changes: impl IntoIterator<Item = Change>,
    ) -> (Arc<Snapshot>, Affected) {
        let mut dirty = Dirty::default();
        for change in changes {
            self.take_in(change, &mut dirty);
        }
        self.authentications.forget_unused();
        let mut affected = Affected { sidecars: dirty.sidecars, ..Affected::default() };
        for host in &dirty.hosts {
            self.recompute_service(host, &mut affected);
        }
        for host in dirty.rules.difference(&dirty.hosts) {
            self.recompute_rules(host, &mut affected);
        }
        for (object, workload) in &dirty.endpoints {
            self.recompute_endpoint(object, workload, &dirty.hosts, &mut affected);
        }
        for (namespace, name) in &dirty.workloads {
            self.recompute_workload(namespace, name, &mut affected);
        }
        for host in &dirty.hosts {
            dirty.routes.extend(self.routes.concerned_by(host));
        }
        for object in &dirty.routes {
            self.recompute_status(object);
        }
        self.current.version = version;
        if let Some(rejected) = self.refusals.take_changed() {
            self.current.rejected = rejected;
        }
        (Arc::new(self.current.clone()), affected)
    }

    fn take_in(&mut self, change: Change, dirty: &mut Dirty) {
        let (object, record) = match change {
            Change::Refuse(object, reason) => return self.refusals.refuse(&object, reason),
            Change::Put(object, record) => (object, Some(record)),
            Change::Remove(object) => (object, None),
            Change::Keys(source, keys) => return self.put_keys(source, keys, dirty),
        };
        self.refusals.clear(&object);
        match (object.kind, record) {
            (_, Some(Record::Service(record))) => self.put_service(&object, Some(record), dirty),
            (_, Some(Record::Workload(record))) => self.put_workload(&object, Some(record), dirty),
            (_, Some(Record::VirtualService(record))) => {
                self.put_virtual_service(&object, Some(record), dirty);
            }
            (_, Some(Record::Route(record))) => self.put_route(&object, Some(record), dirty),
            (_, Some(Record::ReferenceGrant(record))) => {
                self.put_reference_grant(&object, Some(record), dirty);
            }
            (_, Some(Record::DestinationRule(record))) => {
                self.put_destination_rule(&object, Some(record), dirty);
            }
            (_, Some(Record::Sidecar(record))) => self.put_sidecar(&object, Some(record), dirty),
            (_, Some(Record::AuthorizationPolicy(record))) => {
                self.put_authorization_policy(&object, Some(record), dirty);
            }
            (_, Some(Record::PeerAuthentication(record))) => {
                self.put_peer_authentication(&object, Some(record), dirty);
            }
            (_, Some(Record::RequestAuthentication(record))) => {
                self.put_request_authentication(&object, Some(record), dirty);
            }
            (_, Some(Record::Secret(record))) => self.put_secret(&object, Some(record), dirty),
            (_, Some(Record::Role(record))) => self.put_role(&object, Some(record), dirty),
            (_, Some(Record::RoleBinding(record))) => {
                self.put_role_binding(&object, Some(record), dirty);
            }
            (ObjectKind::Service | ObjectKind::ServiceEntry, None) => {
                self.put_service(&object, None, dirty);
            }
            (ObjectKind::WorkloadEntry, None) => self.put_workload(&object, None, dirty),
            (ObjectKind::VirtualService, None) => self.put_virtual_service(&object, None, dirty),
            (ObjectKind::DestinationRule, None) => self.put_destination_rule(&object, None, dirty),
            (ObjectKind::Sidecar, None) => self.put_sidecar(&object, None, dirty),
            (ObjectKind::AuthorizationPolicy, None) => {
                self.put_authorization_policy(&object, None, dirty);
            }
            (ObjectKind::HttpRoute | ObjectKind::GrpcRoute, None) => {
                self.put_route(&object, None, dirty);
            }
            (ObjectKind::ReferenceGrant, None) => self.put_reference_grant(&object, None, dirty),
            (ObjectKind::PeerAuthentication, None) => {
                self.put_peer_authentication(&object, None, dirty);
            }
            (ObjectKind::RequestAuthentication, None) => {
                self.put_request_authentication(&object, None, dirty);
            }
            (ObjectKind::Secret, None) => self.put_secret(&object, None, dirty),
            (ObjectKind::Role, None) => self.put_role(&object, None, dirty),
            (ObjectKind::RoleBinding, None) => self.put_role_binding(&object, None, dirty),
        }
    }
}

#[cfg(test)]
mod tests;
