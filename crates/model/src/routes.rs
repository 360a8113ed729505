//! The virtual services, with their delegates merged in, and which of them are for a host.

mod delegate;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::route::rule::{Action, Destination, MESH, VirtualService};

use crate::hosts::ByHost;
use crate::record::Object;

/// A `VirtualService` resource.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualServiceRecord {
    /// When it was created (RFC 3339).
    pub created: String,
    /// The hosts, in full; none in one that others delegate to.
    pub hosts: Vec<Host>,
    /// The rule. Its routes that delegate have no destination.
    pub rule: VirtualService,
    /// The virtual services to which routes delegate, by the place of the route.
    pub delegates: BTreeMap<usize, Object>,
}

/// What a change of a virtual service touches.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Hosts, wildcards among them, whose rules change.
    pub(crate) hosts: BTreeSet<Host>,
    /// Hosts to which rules led, or lead now.
    pub(crate) led: BTreeSet<Host>,
    /// What of virtual services leads nowhere, and why; `None` where all is well.
    pub(crate) flaws: Vec<(Object, Option<String>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    records: HashMap<Object, Arc<VirtualServiceRecord>>,
    /// The rules of those with hosts, with their delegates.
    rules: HashMap<Object, Arc<VirtualService>>,
    by_host: ByHost,
    /// Who delegates to a virtual service, whether that exists or not.
    roots: HashMap<Object, BTreeSet<Object>>,
    /// Which virtual services lead to a host.
    leading: HashMap<Host, BTreeSet<Object>>,
}

impl Routes {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.records.keys()
    }

    /// Sets or removes a virtual service.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        record: Option<VirtualServiceRecord>,
        touched: &mut Touched,
    ) {
        let record = record.map(Arc::new);
        let before = match record.clone() {
            Some(record) => self.records.insert(object.clone(), record),
            None => self.records.remove(object),
        };
        if before == record {
            return;
        }
        if let Some(before) = &before {
            before.hosts.iter().for_each(|it| self.by_host.remove(it, &before.created, object));
            for delegate in before.delegates.values() {
                forget(&mut self.roots, delegate, object);
            }
        }
        if let Some(record) = &record {
            record.hosts.iter().for_each(|it| self.by_host.insert(it, &record.created, object));
            for delegate in record.delegates.values() {
                self.roots.entry(delegate.clone()).or_default().insert(object.clone());
            }
        }
        let place = |record: &Option<Arc<VirtualServiceRecord>>| {
            record.as_ref().map(|record| (record.created.clone(), record.hosts.clone()))
        };
        if place(&before) != place(&record) {
            // Another order of rules is a change too.
            let both = [&before, &record].into_iter().flatten();
            touched.hosts.extend(both.flat_map(|record| record.hosts.iter().cloned()));
        }
        for object in self.leading_through(object) {
            self.merge(&object, touched);
        }
    }

    /// A virtual service and all that delegate to it, on whatever way: what is told of a circle concerns each.
    fn leading_through(&self, object: &Object) -> BTreeSet<Object> {
        let mut found = BTreeSet::new();
        let mut open = vec![object];
        while let Some(object) = open.pop() {
            if found.insert(object.clone()) {
                open.extend(self.roots.get(object).into_iter().flatten());
            }
        }
        found
    }

    /// Makes the rule of a virtual service anew.
    fn merge(&mut self, object: &Object, touched: &mut Touched) {
        let record = self.records.get(object).filter(|record| !record.hosts.is_empty());
        let merged = record.map(|record| delegate::merge(object, record, &self.records));
        let (next, flaw) = merged.unzip();
        touched.flaws.push((object.clone(), flaw.flatten()));
        let before = self.rules.get(object);
        if before.map(|it| &**it) == next.as_ref() {
            return;
        }
        for (rule, is_new) in [(before.cloned().as_deref(), false), (next.as_ref(), true)] {
            let Some(rule) = rule else { continue };
            // They were hosts when the rule was read.
            touched.hosts.extend(rule.hosts.iter().filter_map(|host| host.parse().ok()));
            for host in led_by(rule) {
                if is_new {
                    self.leading.entry(host.clone()).or_default().insert(object.clone());
                } else {
                    forget(&mut self.leading, &host, object);
                }
                touched.led.insert(host);
            }
        }
        match next {
            Some(next) => drop(self.rules.insert(object.clone(), Arc::new(next))),
            None => drop(self.rules.remove(object)),
        }
    }

    /// The rules of which a host covers this one, in Istio's order.
    pub(crate) fn of(&self, host: &Host) -> Arc<[Arc<VirtualService>]> {
        let covering = self.by_host.covering(host).into_iter();
        covering.filter_map(|object| self.rules.get(object).cloned()).collect()
    }

    /// The rules that lead to a host.
    pub(crate) fn leading_to(&self, host: &Host) -> Arc<[Arc<VirtualService>]> {
        let leading = self.leading.get(host).into_iter().flatten();
        leading.filter_map(|object| self.rules.get(object).cloned()).collect()
    }

    /// The virtual services for sidecars that name exactly this host, the older first; with each the one before it that takes
    /// all its calls, because every namespace sees it.
    pub(crate) fn overlapping(&self, host: &Host) -> Vec<(Object, Option<Object>)> {
        let mut owner: Option<Object> = None;
        let mut found = Vec::new();
        for object in self.by_host.naming(host) {
            let Some(rule) = self.rules.get(object).filter(|rule| rule.binds_to(MESH)) else {
                continue;
            };
            found.push((object.clone(), owner.clone()));
            let is_for_all = rule.export_to.is_empty() || rule.export_to.iter().any(|to| to == "*");
            owner = owner.or_else(|| is_for_all.then(|| object.clone()));
        }
        found
    }

    /// The first virtual service for sidecars that names exactly this host, so that it can be called.
    pub(crate) fn naming(&self, host: &Host) -> Option<&Object> {
        let is_for_sidecars = |it: &&Object| self.rules.get(it).is_some_and(|it| it.binds_to(MESH));
        self.by_host.naming(host).find(is_for_sidecars)
    }
}

/// Takes one out of a key's set.
fn forget<K: std::hash::Hash + Eq>(
    sets: &mut HashMap<K, BTreeSet<Object>>,
    key: &K,
    object: &Object,
) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(object);
    if set.is_empty() {
        sets.remove(key);
    }
}

/// The hosts to which a rule leads.
fn led_by(rule: &VirtualService) -> BTreeSet<Host> {
    let mut destinations: Vec<&Destination> = Vec::new();
    for route in &rule.http {
        if let Action::Route(to) = &route.action {
            destinations.extend(to.iter().map(|it| &it.destination));
        }
        destinations.extend(route.mirrors.iter().map(|mirror| &mirror.destination));
    }
    let connections = rule.tls.iter().flat_map(|it| &it.route);
    let connections = connections.chain(rule.tcp.iter().flat_map(|it| &it.route));
    destinations.extend(connections.map(|it| &it.destination));
    destinations.iter().filter_map(|it| it.host.parse().ok()).collect()
}
