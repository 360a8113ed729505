//! Services: who has a host, its endpoints, its address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use meltemi_names::Host;

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
        let owner = self.claims.get(host).and_then(owner_of).cloned();
        self.note_shadows(host, owner.as_ref());
        let next = owner.and_then(|object| self.build_service(host, &object));
        if next.is_none() {
            self.claims.remove(host);
        }
        let next = self.with_address(host, next);
        let next = next.or_else(|| self.build_virtual_host(host));
        self.swap_in(host, next, affected);
    }

    /// Puts what a host is now in the place of what it was, and notes what of it differs.
    pub(super) fn swap_in(&mut self, host: &Host, next: Option<Service>, affected: &mut Affected) {
        let before = self.current.service(host.as_str()).cloned();
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
        match &next {
            Some(_) => self.hosts.insert(host),
            None => self.hosts.remove(host),
        }
        self.index_addresses(host, before.as_deref(), next.as_ref());
        self.current.services.remove(host.as_str());
        self.current.virtual_hosts.remove(host.as_str());
        if let Some(next) = next {
            let hosts = match next.is_virtual {
                true => &mut self.current.virtual_hosts,
                false => &mut self.current.services,
            };
            hosts.insert(host.to_string(), Arc::new(next));
        }
    }

    /// Notes by which addresses a host can be found.
    fn index_addresses(&mut self, host: &Host, before: Option<&Service>, next: Option<&Service>) {
        let index = &mut self.current.addresses;
        for ip in ips(before) {
            if index.get(&ip) == Some(host) {
                index.remove(&ip);
            }
        }
        for ip in ips(next) {
            index.insert(ip, host.clone());
        }
    }

    /// The service with an address, if it needs one and has none.
    fn with_address(&mut self, host: &Host, service: Option<Service>) -> Option<Service> {
        let record = service.as_ref().and_then(|service| self.services.get(&service.object));
        let allocation = record.map(|it| it.allocation).unwrap_or_default();
        let is_wanted = allocation != Allocation::Off
            && service.as_ref().is_some_and(|service| service.addresses.is_empty())
            && !host.is_wildcard()
            && host.as_str().parse::<IpAddr>().is_err();
        if !is_wanted {
            self.addresses.release(host);
            return service;
        }
        let address = self.addresses.allocate(host).map(|address| address.to_string());
        service.map(|service| Service {
            addresses: address.into_iter().collect(),
            has_public_addresses: allocation == Allocation::Public,
            ..service
        })
    }

    fn note_shadows(&mut self, host: &Host, owner: Option<&Object>) {
        for (_, object) in self.claims.get(host).into_iter().flatten() {
            let shadow = owner.filter(|owner| *owner != object);
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
}

/// The single addresses that stand for a service.
fn ips(service: Option<&Service>) -> impl Iterator<Item = IpAddr> {
    let addresses = service.into_iter().flat_map(|service| service.addresses.iter());
    addresses.filter_map(|address| address.parse().ok())
}

/// The endpoint of a host that is resolved as it is.
fn self_named(host: &Host) -> (Arc<str>, WorkloadRecord) {
    let workload =
        WorkloadRecord { address: host.to_string(), ready: true, ..WorkloadRecord::default() };
    (host.as_str().into(), workload)
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
