//! The mesh at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{Host, service_host};

use crate::record::Object;
use crate::service::Service;
use crate::shards::Shards;
use crate::workload::Workload;

/// Everything that the mesh knows at one moment. Immutable; what did not change is shared with the snapshot before.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) suffix: Arc<str>,
    pub(crate) services: Shards<String, Arc<Service>>,
    pub(crate) workloads: Shards<(Arc<str>, Arc<str>), Arc<Workload>>,
    pub(crate) rejected: Arc<BTreeMap<Object, String>>,
}

impl Snapshot {
    /// The version of the store that it shows.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The service of exactly this host; a wildcard host is its own name.
    pub fn service(&self, host: &str) -> Option<&Arc<Service>> {
        self.services.get(host)
    }

    /// The service that a workload of `namespace` means by a name: the exact host; else `NAME` of the own namespace,
    /// `NAME.NAMESPACE` or `NAME.NAMESPACE.svc`; else the longest wildcard that covers it.
    pub fn find(&self, asked: &str, namespace: &str) -> Option<&Arc<Service>> {
        let name = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
        self.services
            .get(&name)
            .or_else(|| self.services.get(&self.full_name(&name, namespace)?))
            .or_else(|| self.find_wildcard(&name))
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

    /// All services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter().map(|(_, service)| service)
    }

    /// How many services there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// A workload as its own sidecar sees it.
    pub fn workload(&self, namespace: &str, name: &str) -> Option<&Arc<Workload>> {
        self.workloads.get(&(Arc::from(namespace), Arc::from(name)))
    }

    /// Resources that were set aside, and why.
    pub fn rejected(&self) -> &BTreeMap<Object, String> {
        &self.rejected
    }

    /// The full host of a short name.
    fn full_name(&self, name: &str, namespace: &str) -> Option<String> {
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

    fn find_wildcard(&self, name: &str) -> Option<&Arc<Service>> {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(found) = self.services.get(&format!("*.{parent}")) {
                return Some(found);
            }
            rest = parent;
        }
        self.services.get("*")
    }
}
