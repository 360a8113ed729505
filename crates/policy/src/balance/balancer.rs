//! The endpoints of a service or subset, laid out for choices.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use self::layout::Layout;
use self::view::View;
use super::draws::{Draws, mix};
use super::endpoint::{Client, Endpoint};
use super::observed::Told;
use crate::destination::rule::{SimpleLoadBalancer, TrafficPolicy};

mod layout;
mod learning;
mod probing;
mod view;

/// What a choice depends on besides endpoints and their load.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// A random number of the request, evenly spread over all 64 bits.
    pub random: u64,
    /// The time, for endpoints that warm up.
    pub now: Duration,
    /// The [`hash`](super::hash()) of what the request is hashed by. `None` where it has no such thing: any endpoint then.
    pub hash: Option<u64>,
    /// Priorities, by bit, that are not to be used while another one has endpoints: those that a retry has tried, with
    /// `retryRemoteLocalities`. See [`Balancer::priority`].
    pub avoid: u64,
    /// Whether a retry stays in its priority although all of it was tried, as it does with a `retries` of the user's that lacks
    /// `retryRemoteLocalities`: Envoy chooses the priority by its load, and of that another host only while there is one.
    pub stays: bool,
}

/// Chooses among the endpoints of a service or subset. Shared by all threads; a choice takes no lock.
#[derive(Debug)]
pub struct Balancer {
    layout: Layout,
    view: ArcSwap<View>,
    /// Who is ejected, by index. The lock is held by whoever makes the next view.
    ejected: Mutex<Box<[bool]>>,
}

impl Balancer {
    /// Lays out endpoints as the policy says (its `load_balancer` and `outlier_detection`). Choices are indices into them.
    /// `turn` is the turn of round robin, which the next balancer of the same service can go on with.
    pub fn new(
        endpoints: &[Endpoint<'_>],
        policy: &TrafficPolicy,
        client: &Client<'_>,
        turn: Arc<AtomicU64>,
    ) -> Balancer {
        let layout = Layout::new(endpoints, policy, client, turn);
        let ejected: Box<[bool]> = endpoints.iter().map(|endpoint| endpoint.is_ejected).collect();
        let view = View::new(&layout, &ejected);
        Balancer { layout, view: ArcSwap::from_pointee(view), ejected: Mutex::new(ejected) }
    }

    /// The endpoint for a request. `None` if no endpoint can be called.
    ///
    /// `load` counts the requests of an endpoint, from the moment of choice on: one that waits for its connection is load too.
    /// `is_tried` says which endpoints earlier attempts of the request went to: they are passed over while there are others, of
    /// whatever priority if [`Ask::stays`] does not forbid that.
    pub fn pick(
        &self,
        ask: &Ask,
        load: impl Fn(usize) -> u32,
        is_tried: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let view = self.view.load();
        let mut draws = Draws::new(ask.random);
        let key = ask.hash.unwrap_or_else(|| draws.next());
        // The same key must come to the same priority; another hash of it keeps that apart from its place in a table.
        let place = if self.layout.is_hashing() { mix(!key) } else { draws.next() };
        let first = view.priority(place, ask.avoid)?;
        let priority = &view.priorities[first];
        let mut choice = view::Choice { layout: &self.layout, ask, key, draws };
        if let Some(found) = choice.make(first, priority, &load, &is_tried) {
            return Some(found);
        }
        let start = choice.draws.next();
        let others = view.usable(first, start, ask.stays);
        let untried = others.map(|index| index as usize).find(|index| !is_tried(*index));
        untried.or_else(|| choice.make(first, priority, &load, &|_| false))
    }

    /// Takes ejected endpoints out (`true`) and returned ones in (`false`). Costs what a look at the endpoints of the priorities
    /// that are concerned costs; tables for consistent hashing stay as they are, so that only keys of ejected endpoints move.
    pub fn set_ejected(&self, changes: impl IntoIterator<Item = (usize, bool)>) {
        let mut ejected = self.ejected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        for (index, is_ejected) in changes {
            if let Some(old) = ejected.get_mut(index).filter(|old| **old != is_ejected) {
                *old = is_ejected;
                changed.extend(self.priority(index));
            }
        }
        if !changed.is_empty() {
            let view = self.view.load().update(&self.layout, &ejected, &changed);
            self.view.store(Arc::new(view));
        }
    }

    /// Notes what a call told of an endpoint, for algorithms that go by that. `random` is spread over all 64 bits.
    pub fn tell(&self, index: usize, told: &Told, now: Duration, random: u64) {
        let Some(learning) = &self.layout.learning else { return };
        let Some(level) = self.layout.priority(index) else { return };
        // How many may be avoided is a question of those beside it, whatever their group.
        let members = self.layout.levels[level]
            .groups
            .iter()
            .find(|group| group.members.binary_search(&(index as u32)).is_ok());
        let members = members.map_or(&[][..], |group| &group.members);
        learning.tell(index as u32, told, now, random, members);
    }

    /// Which priority an endpoint belongs to, the first being 0. `None` for one that is never called from here.
    pub fn priority(&self, index: usize) -> Option<usize> {
        self.layout.priority(index)
    }

    /// Whether the caller's own destination address is what should be called, not one of these endpoints.
    pub fn is_passthrough(&self) -> bool {
        self.layout.simple == Some(SimpleLoadBalancer::Passthrough)
    }

    /// Whether a request should be hashed.
    pub fn is_hashing(&self) -> bool {
        self.layout.is_hashing()
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many endpoints are healthy and not ejected.
    pub fn healthy(&self) -> usize {
        self.view.load().healthy
    }

    /// Whether so few endpoints are healthy somewhere that all are called there.
    pub fn is_panicking(&self) -> bool {
        self.view.load().priorities.iter().any(|priority| priority.panics)
    }
}

#[cfg(test)]
mod tests;
