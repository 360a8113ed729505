//! Services: who has a host, its endpoints, its address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use meltemi_names::Host;

use super::owners::{self, Claim};
use super::{Dirty, Model};
use crate::affected::{Affected, EndpointChange};
use crate::endpoint::Endpoint;
use crate::record::{Allocation, Object, ObjectKind, ServiceRecord, WorkloadRecord};
use crate::selectors::selects;
use crate::service::Service;

impl Model {
    pub(super) fn put_service(
        &mut self,
        object: &Object,
        record: Option<ServiceRecord>,
        dirty: &mut Dirty,
    ) {
        let record = record.map(Arc::new);
        let before = match record.clone() {
            Some(record) => self.services.insert(object.clone(), record),
            None => self.services.remove(object),
        };
        if before == record {
            return;
        }
        if object.kind == ObjectKind::ServiceEntry {
            let hosts = record.as_ref().map(|record| record.hosts.as_slice());
            self.note_entry(object, hosts, dirty);
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

    pub(super) fn recompute_service(&mut self, host: &Host, affected: &mut Affected) {
        let owners = self.owners_of(host);
        self.note_shadows(host, &owners);
        let next = owners.iter().filter_map(|object| self.build_service(host, object)).collect();
        let mut next = self.with_address(host, next);
        if next.is_empty() {
            self.claims.remove(host);
            next.extend(self.build_virtual_host(host));
        }
        self.swap_in(host, next, affected);
    }

    /// Who has a host: the first, and those that some namespaces see in its place.
    fn owners_of(&self, host: &Host) -> Vec<Object> {
        let claims = self.claims.get(host).into_iter().flatten();
        let claims = claims.filter_map(|(created, object)| {
            let export_to = &self.services.get(object)?.export_to;
            Some(Claim { created, object, export_to })
        });
        owners::seen(claims).into_iter().cloned().collect()
    }

    /// Puts what a host is now, the first of several before the others, in the place of what it was, and notes what of it
    /// differs.
    pub(super) fn swap_in(&mut self, host: &Host, next: Vec<Service>, affected: &mut Affected) {
        let before: Vec<_> = self.current.versions(host.as_str()).cloned().collect();
        note_endpoints(host, &before, &next, affected);
        let is_same = before.len() == next.len()
            && before.iter().zip(&next).all(|(before, next)| before.is_like(next));
        if !is_same {
            affected.services.insert(host.clone());
        }
        match next.is_empty() {
            false => self.hosts.insert(host),
            true => self.hosts.remove(host),
        }
        self.index_addresses(host, &before, &next);
        self.current.services.remove(host.as_str());
        self.current.virtual_hosts.remove(host.as_str());
        let mut next = next.into_iter().map(Arc::new);
        if let Some(first) = next.next() {
            let hosts = match first.is_virtual {
                true => &mut self.current.virtual_hosts,
                false => &mut self.current.services,
            };
            hosts.insert(host.to_string(), first);
        }
        match next.len() {
            0 => drop(self.current.others.remove(host.as_str())),
            _ => drop(self.current.others.insert(host.to_string(), next.collect())),
        }
    }

    /// Notes by which addresses a host can be found.
    fn index_addresses(&mut self, host: &Host, before: &[Arc<Service>], next: &[Service]) {
        let index = &mut self.current.addresses;
        for ip in before.iter().flat_map(|it| ips(it)) {
            if index.get(&ip) == Some(host) {
                index.remove(&ip);
            }
        }
        for ip in next.iter().flat_map(ips) {
            index.insert(ip, host.clone());
        }
    }

    /// The services of a host, with an address where they need one and have none. It is the host's, the same for all.
    fn with_address(&mut self, host: &Host, mut services: Vec<Service>) -> Vec<Service> {
        let allocation = |model: &Self, service: &Service| {
            let record = model.services.get(&service.object);
            let is_without = service.addresses.is_empty() && !host.is_wildcard();
            let is_name = is_without && host.as_str().parse::<IpAddr>().is_err();
            record.map(|it| it.allocation).filter(|_| is_name).unwrap_or(Allocation::Off)
        };
        let wanted: Vec<Allocation> = services.iter().map(|it| allocation(self, it)).collect();
        if wanted.iter().all(|it| *it == Allocation::Off) {
            self.addresses.release(host);
            return services;
        }
        let address = self.addresses.allocate(host).map(|address| address.to_string());
        for (service, wanted) in services.iter_mut().zip(wanted) {
            if wanted != Allocation::Off {
                service.addresses = address.iter().cloned().collect();
                service.has_public_addresses = wanted == Allocation::Public;
            }
        }
        services
    }

    fn note_shadows(&mut self, host: &Host, owners: &[Object]) {
        for (_, object) in self.claims.get(host).into_iter().flatten() {
            let shadow = owners.first().filter(|_| !owners.contains(object));
            self.refusals.shadow(object, host, shadow);
        }
    }

    fn build_service(&self, host: &Host, object: &Object) -> Option<Service> {
        let record = self.services.get(object)?;
        let mut service = Service::new(host, object, record, self.rules_of(host));
        let selected = record.selector.iter().flat_map(|selector| {
            let namespace = self.namespaces.get(&object.namespace);
            let workloads = namespace.into_iter().flat_map(|namespace| &namespace.workloads);
            workloads.filter(|(_, workload)| selects(selector, &workload.labels) && workload.ready)
        });
        let inline = record.inline.iter().map(|(name, workload)| (name, workload));
        let itself = record.self_named.then(|| self_named(host));
        let itself = itself.iter().map(|(name, workload)| (name, workload));
        let given = inline.chain(itself);
        let endpoints = selected.map(|(name, workload)| (name, &**workload)).chain(given);
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
        Endpoint::new(name, &object.namespace, workload, &record.ports, trust_domain, &self.peers)
    }

    /// Recomputes one endpoint of a service, in place.
    pub(super) fn recompute_endpoint(
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
            // Inline endpoints are not any workload's, even if they bear its name.
            let is_inline = record.inline.iter().any(|(inline, _)| inline == name);
            let place = self.current.versions(host.as_str()).position(|it| it.object == *object);
            if let Some(at) = place.filter(|_| !is_inline) {
                self.replace_endpoint(host, at, name, next.as_ref(), affected);
            }
        }
    }

    /// Puts an endpoint in its place in one of the services of a host.
    fn replace_endpoint(
        &mut self,
        host: &Host,
        at: usize,
        name: &Arc<str>,
        next: Option<&Arc<Endpoint>>,
        affected: &mut Affected,
    ) {
        let snapshot = &mut self.current;
        let Some(mut service) = snapshot.versions(host.as_str()).nth(at).cloned() else { return };
        let before = service.endpoints.get(name);
        if before == next {
            return;
        }
        note_endpoint(affected, host, name, next.is_none());
        let others = snapshot.others.get(host.as_str()).cloned();
        // The old snapshot may share all of it; then it is copied, once for all changes of this round.
        match at {
            0 => drop(snapshot.services.remove(host.as_str())),
            _ => drop(snapshot.others.remove(host.as_str())),
        }
        let endpoints = Arc::make_mut(&mut Arc::make_mut(&mut service).endpoints);
        match next.cloned() {
            Some(next) => drop(endpoints.insert(name.clone(), next)),
            None => drop(endpoints.remove(name)),
        }
        match (at.checked_sub(1), others) {
            (Some(at), Some(others)) => {
                let others = others
                    .iter()
                    .enumerate()
                    .map(|(place, it)| if place == at { service.clone() } else { it.clone() });
                snapshot.others.insert(host.to_string(), others.collect());
            }
            _ => drop(snapshot.services.insert(host.to_string(), service)),
        }
    }
}

/// The single addresses that stand for a service.
fn ips(service: &Service) -> impl Iterator<Item = IpAddr> {
    service.addresses.iter().filter_map(|address| address.parse().ok())
}

/// The endpoint of a host that is resolved as it is.
fn self_named(host: &Host) -> (Arc<str>, WorkloadRecord) {
    let workload =
        WorkloadRecord { address: host.to_string(), ready: true, ..WorkloadRecord::default() };
    (host.as_str().into(), workload)
}

/// Notes the endpoints of a host that differ. Where it has several services, and these are other ones than before, callers
/// may go from one to another: then that is all of them.
fn note_endpoints(host: &Host, before: &[Arc<Service>], next: &[Service], affected: &mut Affected) {
    let of = |it: &Service| (it.object.clone(), it.export_to.clone());
    let is_single = before.len() <= 1 && next.len() <= 1;
    let is_same = is_single || before.iter().map(|it| of(it)).eq(next.iter().map(of));
    let pairs = before.len().max(next.len());
    let find = |at: usize, name: &Arc<str>| {
        let old = before.get(at).and_then(|it| it.endpoints.get(name));
        (old, next.get(at).and_then(|it| it.endpoints.get(name)))
    };
    let differs = |name: &Arc<str>| {
        !is_same || (0..pairs).map(|at| find(at, name)).any(|(old, new)| old != new)
    };
    let old = before.iter().flat_map(|it| it.endpoints.keys());
    for name in old.chain(next.iter().flat_map(|it| it.endpoints.keys())) {
        if differs(name) {
            let is_there = next.iter().any(|it| it.endpoints.contains_key(name));
            note_endpoint(affected, host, name, !is_there);
        }
    }
}

fn note_endpoint(affected: &mut Affected, host: &Host, name: &Arc<str>, removed: bool) {
    affected.endpoints.insert(EndpointChange {
        host: host.clone(),
        workload: name.clone(),
        removed,
    });
}
