//! What is known of one host: its service, its endpoints, and what was built of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;

use super::compile::{EndpointPlan, ServicePlan};
use super::{Endpoint, Service};

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
    /// Whose turn it is, by port; outlives what is built.
    turns: BTreeMap<u16, Arc<AtomicU64>>,
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
}

/// Endpoints that left; to be told so once they can no longer be picked.
pub(super) type Left = Vec<Arc<Endpoint>>;

impl Hosted {
    /// The service with its endpoints, if both are known.
    pub(super) fn built(&self) -> Option<&Arc<Service>> {
        self.built.as_ref()
    }

    /// Takes an endpoint in. One whose content is the same as before stays the same.
    pub(super) fn put(
        &mut self,
        member: &str,
        version: String,
        body: Bytes,
        plan: EndpointPlan,
        left: &mut Left,
    ) {
        match self.members.get_mut(member) {
            Some(known) if known.body == body => known.version = version,
            Some(known) => {
                left.extend(std::mem::take(&mut known.on).into_values());
                *known = Member { version, body, plan, on: BTreeMap::new() };
            }
            None => {
                let added = Member { version, body, plan, on: BTreeMap::new() };
                self.members.insert(member.into(), added);
            }
        }
    }

    /// Takes an endpoint out.
    pub(super) fn remove(&mut self, member: &str, left: &mut Left) {
        if let Some(removed) = self.members.remove(member) {
            left.extend(removed.on.into_values());
        }
    }

    /// Takes all endpoints out.
    pub(super) fn clear(&mut self, left: &mut Left) {
        for (_, member) in std::mem::take(&mut self.members) {
            left.extend(member.on.into_values());
        }
    }

    /// Name, version and content of each endpoint.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &str, &Bytes)> {
        self.members.iter().map(|(name, it)| (&**name, it.version.as_str(), &it.body))
    }

    /// Builds the service anew of what is known now, sharing with the one before whatever did not change. A port that is
    /// new begins with `first_turn`.
    pub(super) fn build(&mut self, first_turn: u32, left: &mut Left) {
        let Some(plan) = self.service.as_ref().filter(|_| self.listed) else {
            for member in self.members.values_mut() {
                left.extend(std::mem::take(&mut member.on).into_values());
            }
            self.built = None;
            return;
        };
        for member in self.members.values_mut() {
            member.serve(plan, left);
        }
        let before = self.built.as_deref();
        let mut clusters = Vec::with_capacity(plan.ports.len());
        for port in &plan.ports {
            let on = self.members.values().filter_map(|member| member.on.get(&port.number));
            let endpoints: Vec<Arc<Endpoint>> = on.cloned().collect();
            let turn = self.turns.entry(port.number);
            let turn = turn.or_insert_with(|| Arc::new(AtomicU64::new(first_turn.into()))).clone();
            let before = before.and_then(|service| service.cluster(port.number));
            let same = before.filter(|before| {
                is_same(before.endpoints(), &endpoints) && plan.describes(port, before)
            });
            clusters.push(match same {
                Some(same) => same.clone(),
                None => Arc::new(plan.cluster(port, endpoints, turn)),
            });
        }
        self.turns.retain(|number, _| plan.ports.iter().any(|port| port.number == *number));
        if !before.is_some_and(|before| plan.is(before) && is_same(&before.clusters, &clusters)) {
            self.built = Some(Arc::new(plan.service(clusters)));
        }
    }
}

impl Member {
    /// Brings what is built in line with the service's ports.
    fn serve(&mut self, plan: &ServicePlan, left: &mut Left) {
        let is_served = |number: &u16| plan.ports.iter().any(|port| port.number == *number);
        let dropped = self.on.extract_if(.., |number, _| !is_served(number));
        left.extend(dropped.map(|(_, endpoint)| endpoint));
        for port in &plan.ports {
            if self.on.contains_key(&port.number) {
                continue;
            }
            if let Some(endpoint) = self.plan.build(port.number) {
                self.on.insert(port.number, Arc::new(endpoint));
            }
        }
    }
}

/// Whether both hold the very same values.
fn is_same<T>(before: &[Arc<T>], after: &[Arc<T>]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| Arc::ptr_eq(a, b))
}
