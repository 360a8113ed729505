//! Who may do what with a workload: `AuthorizationPolicy`s, by the workloads that they are for.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::authz::rule::AuthorizationPolicy;

use crate::record::Object;
use crate::selectors::selects;
use crate::workload::InboundPort;

/// An `AuthorizationPolicy` resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationPolicyRecord {
    /// The labels of its workloads; `None` for all of the namespace.
    pub selector: Option<BTreeMap<String, String>>,
    /// The names of the service entries of its namespace that it is attached to.
    pub entries: Vec<Arc<str>>,
    /// Whether all that it is attached to is nothing that a sidecar stands for.
    pub is_elsewhere: bool,
    /// The policy as it travels.
    pub policy: Arc<AuthorizationPolicy>,
    /// What has no effect of it, or another one than it says.
    pub flaw: Option<String>,
}

/// All `AuthorizationPolicy`s, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Authorizations {
    root: Arc<str>,
    of: BTreeMap<Arc<str>, BTreeMap<Object, AuthorizationPolicyRecord>>,
}

impl Authorizations {
    pub(crate) fn new(root: &str) -> Self {
        Authorizations { root: root.into(), ..Authorizations::default() }
    }

    /// Whether what stands in a namespace is for all of them.
    pub(crate) fn is_root(&self, namespace: &str) -> bool {
        *self.root == *namespace
    }

    /// Every resource.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.of.values().flat_map(BTreeMap::keys)
    }

    /// Sets or removes one; answers with the one before if that changes anything.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        record: Option<AuthorizationPolicyRecord>,
    ) -> Option<Replaced> {
        let of = self.of.entry(object.namespace.clone()).or_default();
        if of.get(object) == record.as_ref() {
            return None;
        }
        let now = record.clone();
        let before = match record {
            Some(record) => of.insert(object.clone(), record),
            None => of.remove(object),
        };
        if of.is_empty() {
            self.of.remove(&object.namespace);
        }
        Some(Replaced { before, now })
    }

    /// Those that are for a workload with these services: of the root namespace, then of its own, each that selects it or
    /// is attached to one of its services, and each that does neither.
    pub(crate) fn find(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        inbound: &[InboundPort],
        entries: &[(&Object, &[Host])],
    ) -> Vec<Arc<AuthorizationPolicy>> {
        let root = Some(&*self.root).filter(|root| *root != namespace);
        let of = root.into_iter().chain([namespace]).filter_map(|namespace| self.of.get(namespace));
        let is_attached = |policy: &AuthorizationPolicy| {
            let is_host = |host: &String| inbound.iter().any(|port| port.host.as_str() == host);
            policy.services.is_empty() || policy.services.iter().any(is_host)
        };
        let all = of.flat_map(BTreeMap::values).filter(|it| it.may_be_for(labels));
        let with_hosts = all.map(|it| it.with_hosts(entries));
        with_hosts.flatten().filter(|policy| is_attached(policy)).collect()
    }
}

impl AuthorizationPolicyRecord {
    /// The policy for a workload that these entries select: the hosts of those that it is attached to are services like others.
    /// `None` where it is attached to entries alone, and to none of them.
    fn with_hosts(&self, entries: &[(&Object, &[Host])]) -> Option<Arc<AuthorizationPolicy>> {
        if self.entries.is_empty() {
            return Some(self.policy.clone());
        }
        let is_meant = |object: &Object| {
            *object.namespace == *self.policy.namespace && self.entries.contains(&object.name)
        };
        let meant = entries.iter().filter(|(object, _)| is_meant(object));
        let hosts = meant.flat_map(|(_, hosts)| *hosts).map(ToString::to_string);
        let mut policy = AuthorizationPolicy::clone(&self.policy);
        policy.services.extend(hosts);
        (!policy.services.is_empty()).then(|| policy.into())
    }

    /// Whether it may be for a workload with these labels, whatever services it stands for.
    fn may_be_for(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.is_elsewhere && self.selector.as_ref().is_none_or(|it| selects(it, labels))
    }
}

/// A resource that has changed.
#[derive(Debug)]
pub(crate) struct Replaced {
    before: Option<AuthorizationPolicyRecord>,
    now: Option<AuthorizationPolicyRecord>,
}

impl Replaced {
    /// Whether a workload with these labels may be touched by it.
    pub(crate) fn touches(&self, labels: &BTreeMap<String, String>) -> bool {
        let both = [&self.before, &self.now];
        both.into_iter().flatten().any(|record| record.may_be_for(labels))
    }
}
