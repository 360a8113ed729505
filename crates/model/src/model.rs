//! The records behind the snapshot, and the recomputation of what a change touches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_names::{Host, TrustDomain};

use crate::affected::{Affected, EndpointChange};
use crate::endpoint::Endpoint;
use crate::record::{Object, ObjectKind, Record, ServiceRecord, WorkloadRecord};
use crate::refusals::Refusals;
use crate::selectors::{Selectors, selects};
use crate::service::Service;
use crate::snapshot::Snapshot;
use crate::workload::{InboundPort, Workload};

/// What holds for the whole mesh.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The trust domain of workloads' identities.
    pub trust_domain: TrustDomain,
    /// The DNS suffix of core services, `svc.cluster.local`.
    pub suffix: String,
}

/// One change of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new or different.
    Put(Object, Record),
    /// It cannot be used, for this reason. What the resource was before stays in effect.
    Refuse(Object, String),
    /// It is gone.
    Remove(Object),
}

/// The mesh as records, from which snapshots are made. Each change costs what it touches, not the size of the mesh.
#[derive(Debug)]
pub struct Model {
    settings: Settings,
    services: HashMap<Object, Arc<ServiceRecord>>,
    /// Who claims each host, in the order of precedence.
    claims: HashMap<Host, BTreeSet<(String, Object)>>,
    namespaces: HashMap<Arc<str>, Namespace>,
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
    /// Endpoints: service and workload.
    endpoints: BTreeSet<(Object, Arc<str>)>,
    /// Workloads: namespace and name.
    workloads: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl Model {
    /// A mesh of nothing.
    pub fn new(settings: Settings) -> Self {
        let current = Snapshot { suffix: settings.suffix.as_str().into(), ..Snapshot::default() };
        Model {
            settings,
            services: HashMap::new(),
            claims: HashMap::new(),
            namespaces: HashMap::new(),
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
        self.services.keys().cloned().chain(workloads).collect()
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
        let mut affected = Affected::default();
        for host in &dirty.hosts {
            self.recompute_service(host, &mut affected);
        }
        for (object, workload) in &dirty.endpoints {
            self.recompute_endpoint(object, workload, &dirty.hosts, &mut affected);
        }
        for (namespace, name) in &dirty.workloads {
            self.recompute_workload(namespace, name, &mut affected);
        }
        self.current.version = version;
        if let Some(rejected) = self.refusals.take_changed() {
            self.current.rejected = rejected;
        }
        (Arc::new(self.current.clone()), affected)
    }

    fn take_in(&mut self, change: Change, dirty: &mut Dirty) {
        match change {
            Change::Refuse(object, reason) => self.refusals.refuse(&object, reason),
            Change::Put(object, Record::Service(record)) => {
                self.refusals.clear(&object);
                self.put_service(&object, Some(record), dirty);
            }
            Change::Put(object, Record::Workload(record)) => {
                self.refusals.clear(&object);
                self.put_workload(&object, Some(record), dirty);
            }
            Change::Remove(object) => {
                self.refusals.clear(&object);
                match object.kind {
                    ObjectKind::WorkloadEntry => {
                        self.put_workload(&object, None, dirty);
                    }
                    _ => self.put_service(&object, None, dirty),
                }
            }
        }
    }

    fn put_service(&mut self, object: &Object, record: Option<ServiceRecord>, dirty: &mut Dirty) {
        let record = record.map(Arc::new);
        let before = match record.clone() {
            Some(record) => self.services.insert(object.clone(), record),
            None => self.services.remove(object),
        };
        if before == record {
            return;
        }
        let namespace = self.namespaces.entry(object.namespace.clone()).or_default();
        for (old, is_old) in [(&before, true), (&record, false)] {
            let Some(record) = old else { continue };
            for host in &record.hosts {
                let claims = self.claims.entry(host.clone()).or_default();
                let claim = (record.created.clone(), object.clone());
                match is_old {
                    true => {
                        claims.remove(&claim);
                        self.refusals.shadow(object, host, None);
                    }
                    false => drop(claims.insert(claim)),
                }
                dirty.hosts.insert(host.clone());
            }
            let Some(selector) = &record.selector else { continue };
            match is_old {
                true => namespace.selectors.remove(selector, object),
                false => namespace.selectors.insert(selector, object),
            }
            dirty.workloads.extend(
                namespace
                    .workloads
                    .iter()
                    .filter(|(_, workload)| selects(selector, &workload.labels))
                    .map(|(name, _)| (object.namespace.clone(), name.clone())),
            );
        }
    }

    fn put_workload(&mut self, object: &Object, record: Option<WorkloadRecord>, dirty: &mut Dirty) {
        let record = record.map(Arc::new);
        let namespace = self.namespaces.entry(object.namespace.clone()).or_default();
        let before = match record.clone() {
            Some(record) => namespace.workloads.insert(object.name.clone(), record),
            None => namespace.workloads.remove(&object.name),
        };
        if before == record {
            return;
        }
        for workload in [before, record].into_iter().flatten() {
            for service in namespace.selectors.candidates(&workload.labels) {
                dirty.endpoints.insert((service.clone(), object.name.clone()));
            }
        }
        dirty.workloads.insert((object.namespace.clone(), object.name.clone()));
    }

    fn recompute_service(&mut self, host: &Host, affected: &mut Affected) {
        let owner = self.claims.get(host).and_then(owner_of).cloned();
        self.note_shadows(host, owner.as_ref());
        let next = owner.and_then(|object| self.build_service(host, &object));
        let before = self.current.services.get(host.as_str()).cloned();
        let empty = BTreeMap::new();
        let old = before.as_ref().map_or(&empty, |service| &service.endpoints);
        let new = next.as_ref().map_or(&empty, |service| &service.endpoints);
        for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
            note_endpoint(affected, host, name, old.get(name), new.get(name));
        }
        let is_same = match (&before, &next) {
            (Some(before), Some(next)) => before.is_like(next),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            affected.services.insert(host.clone());
        }
        match next {
            Some(next) => drop(self.current.services.insert(host.to_string(), Arc::new(next))),
            None => {
                self.current.services.remove(host.as_str());
                self.claims.remove(host);
            }
        }
    }

    fn note_shadows(&mut self, host: &Host, owner: Option<&Object>) {
        for (_, object) in self.claims.get(host).into_iter().flatten() {
            let shadow = owner.filter(|owner| *owner != object);
            self.refusals.shadow(object, host, shadow);
        }
    }

    fn build_service(&self, host: &Host, object: &Object) -> Option<Service> {
        let record = self.services.get(object)?;
        let mut service = Service::new(host, object, record);
        let selected = record.selector.iter().flat_map(|selector| {
            let namespace = self.namespaces.get(&object.namespace);
            let workloads = namespace.into_iter().flat_map(|namespace| &namespace.workloads);
            workloads.filter(|(_, workload)| selects(selector, &workload.labels) && workload.ready)
        });
        let inline = record.inline.iter().map(|(name, workload)| (name, workload));
        let endpoints = selected.map(|(name, workload)| (name, &**workload)).chain(inline);
        service.endpoints = Arc::new(
            endpoints
                .map(|(name, workload)| {
                    (name.clone(), Arc::new(self.endpoint(object, record, name, workload)))
                })
                .collect(),
        );
        Some(service)
    }

    fn endpoint(
        &self,
        object: &Object,
        record: &ServiceRecord,
        name: &Arc<str>,
        workload: &WorkloadRecord,
    ) -> Endpoint {
        let trust_domain = &self.settings.trust_domain;
        Endpoint::new(name, &object.namespace, workload, &record.ports, trust_domain)
    }

    /// Recomputes one endpoint of a service, in place.
    fn recompute_endpoint(
        &mut self,
        object: &Object,
        name: &Arc<str>,
        done: &BTreeSet<Host>,
        affected: &mut Affected,
    ) {
        let Some(record) = self.services.get(object).cloned() else { return };
        let workload = self
            .namespaces
            .get(&object.namespace)
            .and_then(|namespace| namespace.workloads.get(name))
            .filter(|workload| workload.ready)
            .filter(|workload| {
                record.selector.as_ref().is_some_and(|selector| selects(selector, &workload.labels))
            });
        let next =
            workload.map(|workload| Arc::new(self.endpoint(object, &record, name, workload)));
        for host in record.hosts.iter().filter(|host| !done.contains(*host)) {
            let Some(service) = self.current.services.get(host.as_str()) else { continue };
            let before = service.endpoints.get(name);
            // Inline endpoints are not any workload's, even if they bear its name.
            let is_inline = record.inline.iter().any(|(inline, _)| inline == name);
            if service.object != *object || is_inline || before == next.as_ref() {
                continue;
            }
            note_endpoint(affected, host, name, before, next.as_ref());
            let mut service = service.clone();
            // The old snapshot may share both; then they are copied, once for all changes of this round.
            self.current.services.remove(host.as_str());
            let endpoints = Arc::make_mut(&mut Arc::make_mut(&mut service).endpoints);
            match next.clone() {
                Some(next) => drop(endpoints.insert(name.clone(), next)),
                None => drop(endpoints.remove(name)),
            }
            self.current.services.insert(host.to_string(), service);
        }
    }

    fn recompute_workload(
        &mut self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        affected: &mut Affected,
    ) {
        let key = (namespace.clone(), name.clone());
        let next = self.build_workload(namespace, name);
        if self.current.workloads.get(&key).map(|it| &**it) == next.as_ref() {
            return;
        }
        affected.workloads.insert(key.clone());
        match next {
            Some(next) => drop(self.current.workloads.insert(key, Arc::new(next))),
            None => drop(self.current.workloads.remove(&key)),
        }
    }

    fn build_workload(&self, namespace: &Arc<str>, name: &Arc<str>) -> Option<Workload> {
        let around = self.namespaces.get(namespace)?;
        let record = around.workloads.get(name)?;
        let services: BTreeSet<&Object> = around.selectors.candidates(&record.labels).collect();
        let mut inbound = Vec::new();
        for object in services {
            let Some(service) = self.services.get(object) else { continue };
            let is_selected =
                service.selector.as_ref().is_some_and(|selector| selects(selector, &record.labels));
            for host in service.hosts.iter().filter(|_| is_selected) {
                inbound.extend(service.ports.iter().map(|port| InboundPort {
                    host: host.clone(),
                    service_name: service.name.clone().unwrap_or_else(|| host.as_str().into()),
                    service_namespace: object.namespace.clone(),
                    service_port: port.number,
                    target_port: port.on(record),
                    protocol: port.protocol,
                }));
            }
        }
        Some(Workload {
            name: name.clone(),
            namespace: namespace.clone(),
            service_account: record.service_account.clone(),
            inbound,
        })
    }
}

/// Who has a host: core services before service entries, older before younger.
fn owner_of(claims: &BTreeSet<(String, Object)>) -> Option<&Object> {
    let first = claims.iter().min_by_key(|(created, object)| (object.kind, created, object));
    first.map(|(_, object)| object)
}

fn note_endpoint(
    affected: &mut Affected,
    host: &Host,
    name: &Arc<str>,
    before: Option<&Arc<Endpoint>>,
    next: Option<&Arc<Endpoint>>,
) {
    if before != next {
        affected.endpoints.insert(EndpointChange {
            host: host.clone(),
            workload: name.clone(),
            removed: next.is_none(),
        });
    }
}

#[cfg(test)]
mod tests;
