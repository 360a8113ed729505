//! Routes of the Gateway API that are attached to services (GAMMA), and the rules that they make together for a host.

mod merge;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::route::rule::{HttpRoute, VirtualService};
use serde_json::Value;

use super::{Touched, led_by};
use crate::record::{Object, ObjectKind};

/// An `HTTPRoute` or a `GRPCRoute`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteRecord {
    /// When it was created (RFC 3339).
    pub created: String,
    /// What of the mesh it is attached to.
    pub parents: Vec<Parent>,
    /// Its rules, one for each match.
    pub rules: Vec<RankedRule>,
    /// The services of other namespaces to which rules lead, by their hosts.
    pub foreign: BTreeMap<String, Referent>,
    /// What of it has no effect, and why.
    pub flaws: Vec<String>,
    /// Its generation, of which its status tells.
    pub generation: u64,
    /// The parents as they were given, in the order of `parents`.
    pub given: Vec<Value>,
    /// Whom it names as those who are called or get copies.
    pub backends: Vec<Backend>,
    /// What it asks for that there is not here.
    pub unsupported: Vec<String>,
}

/// One that a route names as called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The field.
    pub path: String,
    /// The host and the port, or why nothing of this kind can be called.
    pub to: Result<(Host, Option<u16>), String>,
}

/// A service, or a service entry, that a route is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Which one.
    pub of: ParentOf,
    /// Its namespace. In that of the route it is a producer's route, which is for all callers; else it is a consumer's, which is
    /// for callers of the route's namespace (GEP-1294).
    pub namespace: Arc<str>,
    /// The port; all where it is left out.
    pub port: Option<u16>,
}

/// What a route is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentOf {
    /// The host of a service.
    Host(Host),
    /// All hosts of a service entry.
    Entry(Object),
}

/// A service of another namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referent {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

/// What goes before what among matches: the first number that differs decides, and the greater goes first.
pub type Rank = [u32; 5];

/// A rule with no more than one match.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedRule {
    /// Its place among the rules of all routes of a service.
    pub rank: Rank,
    /// The rule.
    pub rule: HttpRoute,
}

/// A `ReferenceGrant`: what of it is about routes and services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceGrantRecord {
    /// Routes of this kind in this namespace may refer to others.
    pub from: Vec<(ObjectKind, Arc<str>)>,
    /// To this service of the grant's namespace; to all of them where no name is given.
    pub to: Vec<Option<Arc<str>>>,
}

/// A way in which a route is attached to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Attachment {
    is_producer: bool,
    port: Option<u16>,
}

/// The rule of some routes of one host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Merged {
    /// The oldest of the routes.
    pub(super) first: Object,
    /// When that was created.
    pub(super) created: String,
    pub(super) rule: Arc<VirtualService>,
}

#[derive(Debug, Default)]
pub(super) struct Attached {
    records: HashMap<Object, Arc<RouteRecord>>,
    /// By namespace.
    grants: HashMap<Arc<str>, HashMap<Object, ReferenceGrantRecord>>,
    /// The hosts of service entries.
    entries: HashMap<Object, Vec<Host>>,
    /// The routes that name a service entry, whether that exists or not.
    by_entry: HashMap<Object, BTreeSet<Object>>,
    /// The routes that lead to services of a namespace that is not theirs.
    by_referred: HashMap<Arc<str>, BTreeSet<Object>>,
    /// The routes that name a host as called.
    by_backend: HashMap<Host, BTreeSet<Object>>,
    /// The routes of each host.
    by_host: HashMap<Host, BTreeMap<Object, BTreeSet<Attachment>>>,
    /// The hosts of each route.
    hosts: HashMap<Object, BTreeSet<Host>>,
    merged: HashMap<Host, Vec<Merged>>,
    /// The hosts of which a rule leads to a host.
    leading: HashMap<Host, BTreeSet<Host>>,
}

impl Attached {
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.records.keys().chain(self.grants.values().flat_map(HashMap::keys))
    }

    /// Sets or removes a route.
    pub(super) fn put(
        &mut self,
        object: &Object,
        record: Option<RouteRecord>,
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
        for (record, is_new) in [(before, false), (record.clone(), true)] {
            let Some(record) = record else { continue };
            for entry in entries_of(&record) {
                note(&mut self.by_entry, entry.clone(), object, is_new);
            }
            for referent in record.foreign.values() {
                note(&mut self.by_referred, referent.namespace.clone(), object, is_new);
            }
            for (host, _) in record.backends.iter().filter_map(|it| it.to.as_ref().ok()) {
                note(&mut self.by_backend, host.clone(), object, is_new);
            }
        }
        self.attach(&BTreeSet::from([object.clone()]), touched);
    }

    /// Sets or removes a grant.
    pub(super) fn put_grant(
        &mut self,
        object: &Object,
        record: Option<ReferenceGrantRecord>,
        touched: &mut Touched,
    ) {
        let here = self.grants.entry(object.namespace.clone()).or_default();
        let before = match record.clone() {
            Some(record) => here.insert(object.clone(), record),
            None => here.remove(object),
        };
        if here.is_empty() {
            self.grants.remove(&object.namespace);
        }
        if before != record {
            let routes = self.by_referred.get(&object.namespace).cloned().unwrap_or_default();
            self.attach(&routes, touched);
        }
    }

    /// Notes which hosts a service entry has.
    pub(super) fn put_entry(
        &mut self,
        object: &Object,
        hosts: Option<&[Host]>,
        touched: &mut Touched,
    ) {
        if self.entries.get(object).map(Vec::as_slice) == hosts {
            return;
        }
        match hosts {
            Some(hosts) => drop(self.entries.insert(object.clone(), hosts.to_vec())),
            None => drop(self.entries.remove(object)),
        }
        let routes = self.by_entry.get(object).cloned().unwrap_or_default();
        self.attach(&routes, touched);
    }

    /// Finds anew what routes are attached to, and makes the rules of all hosts that they concern.
    fn attach(&mut self, routes: &BTreeSet<Object>, touched: &mut Touched) {
        let mut hosts = BTreeSet::new();
        for object in routes {
            for host in self.hosts.remove(object).into_iter().flatten() {
                if let Some(of_host) = self.by_host.get_mut(&host) {
                    of_host.remove(object);
                }
                touched.left.push((object.clone(), host.clone()));
                hosts.insert(host);
            }
            for (host, attachment) in self.attachments(object) {
                let of_host = self.by_host.entry(host.clone()).or_default();
                of_host.entry(object.clone()).or_default().insert(attachment);
                self.hosts.entry(object.clone()).or_default().insert(host.clone());
                hosts.insert(host);
            }
        }
        let mut concerned = routes.clone();
        for host in hosts {
            concerned.extend(self.by_host.get(&host).into_iter().flat_map(BTreeMap::keys).cloned());
            self.merge(&host, touched);
            if self.by_host.get(&host).is_some_and(BTreeMap::is_empty) {
                self.by_host.remove(&host);
            }
        }
        touched.flaws.extend(concerned.into_iter().map(|object| {
            let flaw = self.flaw(&object);
            (object, flaw)
        }));
    }

    fn attachments(&self, object: &Object) -> Vec<(Host, Attachment)> {
        let parents = self.records.get(object).into_iter().flat_map(|record| &record.parents);
        let mut found = Vec::new();
        for parent in parents {
            let is_producer = parent.namespace == object.namespace;
            let attachment = Attachment { is_producer, port: parent.port };
            let hosts = match &parent.of {
                ParentOf::Host(host) => std::slice::from_ref(host),
                ParentOf::Entry(entry) => self.entries.get(entry).map_or(&[][..], Vec::as_slice),
            };
            found.extend(hosts.iter().map(|host| (host.clone(), attachment)));
        }
        found
    }

    /// Makes the rules of a host anew.
    fn merge(&mut self, host: &Host, touched: &mut Touched) {
        let mut next = self.merge_routes(host);
        let before = self.merged.remove(host).unwrap_or_default();
        // What is the same as before stays the very same.
        for merged in &mut next {
            if let Some(same) = before.iter().find(|it| it.rule == merged.rule) {
                merged.rule = same.rule.clone();
            }
        }
        if next != before {
            touched.hosts.insert(host.clone());
        }
        let led = |merged: &[Merged]| -> BTreeSet<Host> {
            merged.iter().flat_map(|it| led_by(&it.rule)).collect()
        };
        let (led_before, led_now) = (led(&before), led(&next));
        for led in led_before.difference(&led_now) {
            note(&mut self.leading, led.clone(), host, false);
        }
        for led in &led_now {
            note(&mut self.leading, led.clone(), host, true);
        }
        if next != before {
            touched.led.extend(led_before.into_iter().chain(led_now));
        }
        if !next.is_empty() {
            self.merged.insert(host.clone(), next);
        }
    }

    fn merge_routes(&self, host: &Host) -> Vec<Merged> {
        let of_host = self.by_host.get(host).into_iter().flatten();
        let routes = of_host.filter_map(|(object, attachments)| {
            let record = self.records.get(object)?;
            let ungranted = self.ungranted(object, record).map(|(host, _)| host).collect();
            Some(merge::Route { object, record, attachments, ungranted })
        });
        merge::merge(host, routes.collect())
    }

    /// The services of other namespaces to which a route may not lead, with their hosts. GEP-1294 leaves it to meshes whether
    /// they ask for a `ReferenceGrant`; here one is needed, as it is for gateways, but for the service whose calls the route
    /// is for: these go there without it, too.
    fn ungranted<'a>(
        &'a self,
        object: &'a Object,
        record: &'a RouteRecord,
    ) -> impl Iterator<Item = (&'a str, &'a Referent)> {
        let is_granted = |referent: &Referent| {
            let here = self.grants.get(&referent.namespace);
            here.into_iter().flat_map(HashMap::values).any(|grant| {
                let mut from = grant.from.iter();
                let is_meant = |name: &Option<Arc<str>>| {
                    name.as_ref().is_none_or(|name| *name == referent.name)
                };
                from.any(|(kind, namespace)| *kind == object.kind && *namespace == object.namespace)
                    && grant.to.iter().any(is_meant)
            })
        };
        let foreign = record.foreign.iter().map(|(host, referent)| (host.as_str(), referent));
        let own = self.hosts.get(object);
        let is_own =
            move |host: &str| own.is_some_and(|own| own.iter().any(|it| it.as_str() == host));
        foreign.filter(move |(host, referent)| !is_own(host) && !is_granted(referent))
    }

    /// A route.
    pub(super) fn record(&self, object: &Object) -> Option<&RouteRecord> {
        self.records.get(object).map(|record| &**record)
    }

    /// Whether a route may not lead to a host of another namespace, and why.
    pub(super) fn forbidden(&self, object: &Object, host: &Host) -> Option<String> {
        let record = self.records.get(object)?;
        let mut ungranted = self.ungranted(object, record);
        let (_, referent) = ungranted.find(|(ungranted, _)| *ungranted == host.as_str())?;
        Some(no_grant(object, referent))
    }

    /// The route of a more special kind that takes a port of a host which this one is for too.
    pub(super) fn displacing(&self, object: &Object, host: &Host) -> Option<&Object> {
        merge::displacing(object, self.by_host.get(host)?)
    }

    /// The routes to whose status it matters what a host is.
    pub(super) fn concerned_by(&self, host: &Host) -> BTreeSet<Object> {
        let of_host = self.by_host.get(host).into_iter().flat_map(BTreeMap::keys);
        let mut found: BTreeSet<Object> = of_host.cloned().collect();
        if host.is_wildcard() {
            let covered = self.by_backend.iter().filter(|(led, _)| host.covers(led.as_str()));
            found.extend(covered.flat_map(|(_, routes)| routes).cloned());
        }
        found.extend(self.by_backend.get(host).into_iter().flatten().cloned());
        found
    }

    /// What of a route has no effect, and why.
    fn flaw(&self, object: &Object) -> Option<String> {
        let record = self.records.get(object)?;
        let mut flaws = record.flaws.clone();
        flaws.extend(self.ungranted(object, record).map(|(_, referent)| {
            format!("{}; requests to it are answered with an error", no_grant(object, referent))
        }));
        let hosts = self.hosts.get(object).into_iter().flatten();
        flaws.extend(hosts.filter_map(|host| {
            let before = merge::displacing(object, self.by_host.get(host)?)?;
            Some(format!("for the same port of {host} there is {before}, which goes before it"))
        }));
        (!flaws.is_empty()).then(|| flaws.join("; "))
    }

    /// The rules for exactly this host: each consumer's, then the producer's.
    pub(super) fn of(&self, host: &Host) -> &[Merged] {
        self.merged.get(host).map_or(&[], Vec::as_slice)
    }

    /// The routes of producers for exactly this host.
    pub(super) fn producers(&self, host: &Host) -> impl Iterator<Item = &Object> {
        let of_host = self.by_host.get(host).into_iter().flatten();
        of_host.filter(|(_, it)| it.iter().any(|it| it.is_producer)).map(|(object, _)| object)
    }

    /// The rules that lead to a host.
    pub(super) fn leading_to<'a>(
        &'a self,
        host: &'a Host,
    ) -> impl Iterator<Item = &'a Arc<VirtualService>> {
        let parents = self.leading.get(host).into_iter().flatten();
        let rules = parents.flat_map(|parent| self.of(parent)).map(|merged| &merged.rule);
        rules.filter(|rule| led_by(rule).contains(host))
    }
}

fn no_grant(object: &Object, Referent { namespace, name }: &Referent) -> String {
    format!(
        "no ReferenceGrant of namespace {namespace} lets {}s of namespace {} refer to Service {name}",
        object.kind.as_str(),
        object.namespace
    )
}

fn entries_of(record: &RouteRecord) -> impl Iterator<Item = &Object> {
    record.parents.iter().filter_map(|parent| match &parent.of {
        ParentOf::Entry(entry) => Some(entry),
        ParentOf::Host(_) => None,
    })
}

/// Puts one into a key's set, or takes it out.
fn note<K: std::hash::Hash + Eq, T: Ord + Clone>(
    sets: &mut HashMap<K, BTreeSet<T>>,
    key: K,
    one: &T,
    is_new: bool,
) {
    if is_new {
        sets.entry(key).or_default().insert(one.clone());
    } else if let Some(set) = sets.get_mut(&key) {
        set.remove(one);
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}
