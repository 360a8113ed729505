//! Workloads, as their own sidecars see them.

use std::collections::BTreeSet;
use std::sync::Arc;

use meltemi_policy::authz::provider::Provider;
use meltemi_policy::authz::rule::AuthorizationPolicy;

use super::{Dirty, Model};
use crate::affected::Affected;
use crate::record::{Object, ObjectKind, WorkloadRecord};
use crate::selectors::selects;
use crate::sidecar::SidecarRecord;
use crate::workload::{InboundPort, Workload};

impl Model {
    pub(super) fn put_workload(
        &mut self,
        object: &Object,
        record: Option<WorkloadRecord>,
        dirty: &mut Dirty,
    ) {
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

    pub(super) fn put_sidecar(
        &mut self,
        object: &Object,
        record: Option<SidecarRecord>,
        dirty: &mut Dirty,
    ) {
        let sidecars = Arc::make_mut(&mut self.current.sidecars);
        if !sidecars.put(object, record) {
            return;
        }
        dirty.sidecars = true;
        let is_root = sidecars.is_root(&object.namespace);
        self.note_reach(&object.namespace, is_root, |_| true, dirty);
    }

    /// Notes those workloads that a resource of this namespace reaches: the namespace's, or all where it is the root namespace.
    pub(super) fn note_reach(
        &self,
        namespace: &str,
        is_root: bool,
        touches: impl Fn(&WorkloadRecord) -> bool,
        dirty: &mut Dirty,
    ) {
        let reached = self.namespaces.iter().filter(|(it, _)| is_root || ***it == *namespace);
        for (namespace, of) in reached {
            let touched = of.workloads.iter().filter(|(_, workload)| touches(workload));
            dirty.workloads.extend(touched.map(|(name, _)| (namespace.clone(), name.clone())));
        }
    }

    pub(super) fn recompute_workload(
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

    /// The authorizers that policies have asked, as far as the mesh's settings know them.
    fn extension_providers(&self, policies: &[Arc<AuthorizationPolicy>]) -> Vec<Arc<Provider>> {
        let asks = |it: &&Arc<Provider>| {
            policies.iter().any(|policy| policy.asks() == Some(it.name.as_str()))
        };
        self.settings.extension_providers.iter().filter(asks).cloned().collect()
    }

    fn build_workload(&self, namespace: &Arc<str>, name: &Arc<str>) -> Option<Workload> {
        let around = self.namespaces.get(namespace)?;
        let record = around.workloads.get(name)?;
        let services: BTreeSet<&Object> = around.selectors.candidates(&record.labels).collect();
        let modes = self.peers.modes(namespace, &record.labels);
        let (mut inbound, mut entries) = (Vec::new(), Vec::new());
        for object in services {
            let Some(service) = self.services.get(object) else { continue };
            let is_selected =
                service.selector.as_ref().is_some_and(|selector| selects(selector, &record.labels));
            if is_selected && object.kind == ObjectKind::ServiceEntry {
                entries.push((object, &*service.hosts));
            }
            for host in service.hosts.iter().filter(|_| is_selected) {
                inbound.extend(service.ports.iter().map(|port| {
                    let target_port = port.on(record);
                    InboundPort {
                        host: host.clone(),
                        service_name: service.name.clone().unwrap_or_else(|| host.as_str().into()),
                        service_namespace: object.namespace.clone(),
                        service_port: port.number,
                        port_name: port.name.clone(),
                        target_port,
                        protocol: port.protocol,
                        mode: modes.on(target_port),
                    }
                }));
            }
        }
        let authorization_policies =
            self.authorizations.find(namespace, &record.labels, &inbound, &entries);
        let request_authentications =
            self.authentications.find(namespace, &record.labels, &inbound, &entries);
        let account = record.service_account.as_deref();
        let credentials = self.credentials.find(
            namespace,
            self.destinations.credentials(namespace, &record.labels),
            |secret| self.readers.may_read(namespace, account, secret),
        );
        let extension_providers = self.extension_providers(&authorization_policies);
        Some(Workload {
            credentials,
            name: name.clone(),
            namespace: namespace.clone(),
            address: record.address.clone(),
            service_account: record.service_account.clone(),
            inbound,
            labels: record.labels.clone(),
            locality: record.locality.clone(),
            network: record.network.clone(),
            sidecar: self.current.sidecars.find(namespace, Some(&record.labels)).cloned(),
            request_authentications,
            authorization_policies,
            extension_providers,
            num_trusted_proxies: self.settings.num_trusted_proxies,
            path_normalization: self.settings.path_normalization,
        })
    }
}
