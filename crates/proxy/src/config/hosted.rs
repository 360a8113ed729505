//! What is known of one host: its service, its endpoints, and what was built of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use meltemi_policy::balance::LabelIndex;

use super::cluster::Lasting;
use super::compile::{EndpointPlan, PortPlan, ServicePlan};
use super::{Cluster, Endpoint, Own, Service};

/// One host, as long as a name leads to it.
#[derive(Debug, Default)]
pub(super) struct Hosted {
    /// The names that lead here, also those that the control plane denies at present.
    pub(super) names: BTreeSet<Arc<str>>,
    /// `None` while the control plane says that there is none.
    pub(super) service: Option<ServicePlan>,
    /// Whether the control plane has told which endpoints there are.
    pub(super) listed: bool,
    /// The endpoints by the last part of their resource names.
    members: BTreeMap<Arc<str>, Member>,
    /// By port and subset, what outlives what is built.
    lasting: BTreeMap<(u16, Option<Arc<str>>), Lasting>,
    built: Option<Arc<Service>>,
}

/// One endpoint resource.
#[derive(Debug)]
struct Member {
    version: String,
    body: Bytes,
    plan: EndpointPlan,
    /// What was built of it, by service port.
    on: BTreeMap<u16, Arc<Endpoint>>,
    /// What was built of the description before this one, until the next build.
    before: BTreeMap<u16, Arc<Endpoint>>,
}

/// Endpoints that left; to be told so once they can no longer be picked.
pub(super) type Left = Vec<Arc<Endpoint>>;

impl Hosted {
    /// The service with its endpoints, if both are known.
    pub(super) fn built(&self) -> Option<&Arc<Service>> {
        self.built.as_ref()
    }

    /// Takes an endpoint in. One whose content is the same as before stays the same.
    pub(super) fn put(&mut self, member: &str, version: String, body: Bytes, plan: EndpointPlan) {
        match self.members.get_mut(member) {
            Some(known) if known.body == body => known.version = version,
            Some(known) => {
                (known.version, known.body, known.plan) = (version, body, plan);
                // One that was not built of since holds what was seen last already.
                if known.before.is_empty() {
                    known.before = std::mem::take(&mut known.on);
                } else {
                    known.on.clear();
                }
            }
            None => {
                let (on, before) = Default::default();
                self.members.insert(member.into(), Member { version, body, plan, on, before });
            }
        }
    }

    /// Takes an endpoint out.
    pub(super) fn remove(&mut self, member: &str, left: &mut Left) {
        if let Some(removed) = self.members.remove(member) {
            removed.give_up(left);
        }
    }

    /// Takes all endpoints out.
    pub(super) fn clear(&mut self, left: &mut Left) {
        for (_, member) in std::mem::take(&mut self.members) {
            member.give_up(left);
        }
    }

    /// Name, version and content of each endpoint.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &str, &Bytes)> {
        self.members.iter().map(|(name, it)| (&**name, it.version.as_str(), &it.body))
    }

    /// Builds the service anew of what is known now, sharing with the one before whatever did not change. A port that is
    /// new begins with `first_turn`.
    pub(super) fn build(&mut self, first_turn: u32, own: &Own, left: &mut Left) {
        let Some(plan) = self.service.as_ref().filter(|_| self.listed) else {
            for member in self.members.values_mut() {
                left.extend(std::mem::take(&mut member.on).into_values());
                left.extend(std::mem::take(&mut member.before).into_values());
            }
            self.built = None;
            return;
        };
        for member in self.members.values_mut() {
            member.serve(plan, left);
        }
        let before = self.built.as_deref();
        let names: Vec<&str> = plan.rules.chosen.subsets.iter().map(|it| &*it.name).collect();
        self.lasting.retain(|(number, subset), _| {
            plan.ports.iter().any(|port| port.number == *number)
                && subset.as_deref().is_none_or(|subset| names.contains(&subset))
        });
        let mut building = Building { plan, first_turn, own, lasting: &mut self.lasting };
        let mut clusters = Vec::with_capacity(plan.ports.len());
        let mut subsets = Vec::new();
        for port in &plan.ports {
            let on = self.members.values().filter_map(|member| member.on.get(&port.number));
            let endpoints: Vec<Arc<Endpoint>> = on.cloned().collect();
            let known = before.and_then(|service| service.cluster(port.number));
            let index = LabelIndex::new(endpoints.iter().map(|it| &it.labels));
            for subset in &plan.rules.chosen.subsets {
                let found = index.find(&subset.labels).into_iter();
                let part = found.map(|index| endpoints[index].clone()).collect();
                let known = before.and_then(|service| service.subset(port.number, &subset.name));
                subsets.push(building.cluster(port, Some(&subset.name), part, known));
            }
            clusters.push(building.cluster(port, None, endpoints, known));
        }
        let is_as_before = before.is_some_and(|before| {
            plan.is(before)
                && is_same(&before.clusters, &clusters)
                && is_same(&before.subsets, &subsets)
        });
        if !is_as_before {
            self.built = Some(Arc::new(plan.service(clusters, subsets)));
        }
    }
}

/// What clusters of a service are built with.
struct Building<'a> {
    plan: &'a ServicePlan,
    first_turn: u32,
    own: &'a Own,
    lasting: &'a mut BTreeMap<(u16, Option<Arc<str>>), Lasting>,
}

impl Building<'_> {
    /// The cluster of these endpoints: the one before, if nothing of it changed.
    fn cluster(
        &mut self,
        port: &PortPlan,
        subset: Option<&str>,
        endpoints: Vec<Arc<Endpoint>>,
        before: Option<&Arc<Cluster>>,
    ) -> Arc<Cluster> {
        let is_as_before = |before: &&Arc<Cluster>| {
            is_same(before.endpoints(), &endpoints) && self.plan.describes(port, before)
        };
        if let Some(before) = before.filter(is_as_before) {
            return before.clone();
        }
        let key = (port.number, subset.map(Into::into));
        let first_turn = self.first_turn;
        let lasting = self.lasting.entry(key).or_insert_with(|| Lasting::new(first_turn));
        let words = self.plan.words(port, subset);
        Arc::new(Cluster::new(words, endpoints, self.own, lasting))
    }
}

impl Member {
    /// Its endpoints are no longer there.
    fn give_up(self, left: &mut Left) {
        left.extend(self.on.into_values());
        left.extend(self.before.into_values());
    }

    /// Brings what is built in line with the service's ports.
    fn serve(&mut self, plan: &ServicePlan, left: &mut Left) {
        let is_served = |number: &u16| plan.ports.iter().any(|port| port.number == *number);
        let dropped = self.on.extract_if(.., |number, _| !is_served(number));
        left.extend(dropped.map(|(_, endpoint)| endpoint));
        let before = std::mem::take(&mut self.before);
        for port in &plan.ports {
            if self.on.contains_key(&port.number) {
                continue;
            }
            if let Some(endpoint) = self.plan.build(port.number, before.get(&port.number)) {
                self.on.insert(port.number, Arc::new(endpoint));
            }
        }
        let stays = |number: &u16, old: &Endpoint| {
            self.on.get(number).is_some_and(|new| Arc::ptr_eq(&new.presence, &old.presence))
        };
        left.extend(
            before.into_iter().filter(|(number, old)| !stays(number, old)).map(|(_, old)| old),
        );
    }
}

/// Whether both hold the very same values.
fn is_same<T>(before: &[Arc<T>], after: &[Arc<T>]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| Arc::ptr_eq(a, b))
}
