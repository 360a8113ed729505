//! The virtual services, with their delegates merged in, and which of them are for a host.

mod attached;
mod delegate;
mod status;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::route::rule::{Action, Destination, MESH, VirtualService};

use crate::hosts::ByHost;
use crate::record::Object;

use attached::{Attached, Merged};
pub use attached::{
    Backend, Parent, ParentOf, Rank, RankedRule, ReferenceGrantRecord, Referent, RouteRecord,
};
pub use status::{RouteCondition, RouteParentStatus, RouteStatus};

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
    /// Routes, and hosts that they are no more attached to, or perhaps in another way.
    pub(crate) left: Vec<(Object, Host)>,
    /// What of virtual services and routes leads nowhere, and why; `None` where all is well.
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
    /// The routes of the Gateway API.
    attached: Attached,
}

impl Routes {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.records.keys().chain(self.attached.objects())
    }

    /// Sets or removes a route of the Gateway API.
    pub(crate) fn put_route(
        &mut self,
        object: &Object,
        record: Option<RouteRecord>,
        touched: &mut Touched,
    ) {
        self.attached.put(object, record, touched);
    }

    /// Sets or removes a `ReferenceGrant`.
    pub(crate) fn put_grant(
        &mut self,
        object: &Object,
        record: Option<ReferenceGrantRecord>,
        touched: &mut Touched,
    ) {
        self.attached.put_grant(object, record, touched);
    }

    /// A route of the Gateway API.
    pub(crate) fn route(&self, object: &Object) -> Option<&RouteRecord> {
        self.attached.record(object)
    }

    /// Whether a route may not lead to a host of another namespace, and why.
    pub(crate) fn forbidden(&self, object: &Object, host: &Host) -> Option<String> {
        self.attached.forbidden(object, host)
    }

    /// The route of a more special kind that takes a port of a host which this one is for too.
    pub(crate) fn displacing(&self, object: &Object, host: &Host) -> Option<&Object> {
        self.attached.displacing(object, host)
    }

    /// The routes to whose status it matters what a host is.
    pub(crate) fn concerned_by(&self, host: &Host) -> BTreeSet<Object> {
        self.attached.concerned_by(host)
    }

    /// Notes which hosts a service entry has.
    pub(crate) fn put_entry(
        &mut self,
        object: &Object,
        hosts: Option<&[Host]>,
        touched: &mut Touched,
    ) {
        self.attached.put_entry(object, hosts, touched);
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

    /// The rules of which a host covers this one, in Istio's order. Routes of the Gateway API name the host exactly, and
    /// stand among the virtual services that do so too by their age, those of consumers before all.
    pub(crate) fn of(&self, host: &Host) -> Arc<[Arc<VirtualService>]> {
        let mut covering: VecDeque<&Object> = self.by_host.covering(host).into();
        let mut exact = self.by_host.naming(host).count();
        let mut found = Vec::new();
        for merged in self.attached.of(host) {
            let is_consumer = !merged.rule.export_to.is_empty();
            while !is_consumer
                && exact > 0
                && covering.front().is_some_and(|it| self.is_older(it, merged))
            {
                found.extend(covering.pop_front().and_then(|it| self.rules.get(it).cloned()));
                exact -= 1;
            }
            found.push(merged.rule.clone());
        }
        found.extend(covering.into_iter().filter_map(|object| self.rules.get(object).cloned()));
        found.into()
    }

    /// Whether a virtual service is older than the oldest of some routes.
    fn is_older(&self, object: &Object, merged: &Merged) -> bool {
        let record = self.records.get(object);
        record.is_some_and(|it| (&it.created, object) < (&merged.created, &merged.first))
    }

    /// The rules that lead to a host.
    pub(crate) fn leading_to(&self, host: &Host) -> Arc<[Arc<VirtualService>]> {
        let leading = self.leading.get(host).into_iter().flatten();
        let services = leading.filter_map(|object| self.rules.get(object));
        services.chain(self.attached.leading_to(host)).cloned().collect()
    }

    /// The virtual services for sidecars that name exactly this host, and the producers' routes for it, the older first; with
    /// each the one before it that takes all its calls, because every namespace sees it.
    pub(crate) fn overlapping(&self, host: &Host) -> Vec<(Object, Option<Object>)> {
        let mut merged = self.attached.of(host).iter().find(|it| it.rule.export_to.is_empty());
        let producers_under = |owner: &Option<Object>| {
            let producers = self.attached.producers(host);
            producers.map(|it| (it.clone(), owner.clone())).collect::<Vec<_>>()
        };
        let mut owner: Option<Object> = None;
        let mut found = Vec::new();
        for object in self.by_host.naming(host) {
            let Some(rule) = self.rules.get(object).filter(|rule| rule.binds_to(MESH)) else {
                continue;
            };
            if let Some(merged) = merged.take_if(|merged| !self.is_older(object, merged)) {
                found.extend(producers_under(&owner));
                owner = owner.or_else(|| Some(merged.first.clone()));
            }
            found.push((object.clone(), owner.clone()));
            let is_for_all = rule.export_to.is_empty() || rule.export_to.iter().any(|to| to == "*");
            owner = owner.or_else(|| is_for_all.then(|| object.clone()));
        }
        if merged.is_some() {
            found.extend(producers_under(&owner));
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
            let usable = to.iter().filter(|it| it.unusable.is_none());
            destinations.extend(usable.map(|it| &it.destination));
        }
        destinations.extend(route.mirrors.iter().map(|mirror| &mirror.destination));
    }
    let connections = rule.tls.iter().flat_map(|it| &it.route);
    let connections = connections.chain(rule.tcp.iter().flat_map(|it| &it.route));
    destinations.extend(connections.map(|it| &it.destination));
    destinations.iter().filter_map(|it| it.host.parse().ok()).collect()
}
