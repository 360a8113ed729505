//! What stays of a balancer as endpoints fail and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::learning::Learning;
use crate::balance::endpoint::{Client, Endpoint};
use crate::balance::locality::{self, Group};
use crate::balance::maglev::Maglev;
use crate::balance::ring_hash::Ring;
use crate::balance::slow_start::SlowStart;
use crate::destination::rule::{HashTable, SimpleLoadBalancer, TrafficPolicy};

/// Envoy's panic threshold, which holds without outlier detection.
const PANIC_PERCENT: u64 = 50;
/// The endpoint is in no priority.
const NOWHERE: u32 = u32::MAX;

/// The endpoints in their priorities.
#[derive(Debug)]
pub(super) struct Layout {
    /// The algorithm; `None` for consistent hashing.
    pub(super) simple: Option<SimpleLoadBalancer>,
    pub(super) weights: Box<[u32]>,
    pub(super) healthy: Box<[bool]>,
    pub(super) levels: Box<[Level]>,
    pub(super) panic_percent: u64,
    priorities: Box<[u32]>,
    warming: Option<(SlowStart, Box<[Option<Duration>]>)>,
    /// Where the algorithm goes by what calls have told.
    pub(super) learning: Option<Learning>,
}

/// A priority.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) groups: Box<[GroupLayout]>,
    /// For consistent hashing: all of them, whatever their group.
    pub(super) table: Option<Table>,
}

/// Endpoints of a priority that are used alike.
#[derive(Debug)]
pub(super) struct GroupLayout {
    pub(super) weight: u32,
    pub(super) members: Box<[u32]>,
    pub(super) turn: Arc<AtomicU64>,
}

/// Where keys find their endpoints; the owners of places are numbered as they stand in the groups.
#[derive(Debug)]
pub(super) enum Table {
    Ring(Ring),
    Maglev(Maglev),
}

impl Layout {
    pub(super) fn new(
        endpoints: &[Endpoint<'_>],
        policy: &TrafficPolicy,
        client: &Client<'_>,
        turn: Arc<AtomicU64>,
    ) -> Layout {
        let balancer = policy.load_balancer.as_ref();
        let hashing = balancer.and_then(|balancer| balancer.consistent_hash.as_ref());
        let simple = balancer.and_then(|balancer| balancer.simple).unwrap_or_default();
        let setting = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
        let outlier = policy.outlier_detection.as_ref();
        let groups = locality::arrange(endpoints, client, setting, outlier.is_some());
        let mut priorities = vec![NOWHERE; endpoints.len()];
        for (priority, group) in
            (0..).zip(&groups).flat_map(|(at, it)| it.iter().map(move |g| (at, g)))
        {
            group.members.iter().for_each(|index| priorities[*index as usize] = priority);
        }
        let algorithm = hashing.is_none().then_some(simple);
        let learning = Learning::new(endpoints, &groups, algorithm);
        let mut turns = Turns(Some(turn.clone()), turn);
        let table = hashing.map(|hash| hash.table);
        let levels = groups.into_iter().map(|groups| level(endpoints, groups, table, &mut turns));
        let warmup = balancer.and_then(|balancer| SlowStart::new(balancer.warmup.as_ref()?));
        let ready = || endpoints.iter().map(|endpoint| endpoint.ready_since).collect();
        Layout {
            simple: algorithm,
            weights: endpoints.iter().map(|endpoint| endpoint.weight).collect(),
            healthy: endpoints.iter().map(|endpoint| endpoint.is_healthy).collect(),
            levels: levels.collect(),
            panic_percent: outlier.map_or(PANIC_PERCENT, |outlier| {
                u64::from(outlier.min_health_percent.unwrap_or(0))
            }),
            priorities: priorities.into(),
            warming: warmup.map(|warmup| (warmup, ready())),
            learning,
        }
    }

    pub(super) fn is_hashing(&self) -> bool {
        self.simple.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn priority(&self, index: usize) -> Option<usize> {
        let priority = self.priorities.get(index)?;
        (*priority != NOWHERE).then_some(*priority as usize)
    }

    /// When the last of these has its whole share.
    pub(super) fn warm_until(&self, members: &[u32]) -> Duration {
        let Some((warmup, ready)) = &self.warming else { return Duration::ZERO };
        let ends = members.iter().filter_map(|index| ready[*index as usize]);
        ends.map(|ready| warmup.end(ready)).max().unwrap_or(Duration::ZERO)
    }

    /// How much of its share an endpoint has now.
    pub(super) fn share(&self, index: u32, now: Duration) -> f64 {
        let Some((warmup, ready)) = &self.warming else { return 1.0 };
        ready[index as usize].map_or(1.0, |ready| warmup.share(ready, now))
    }
}

/// Turns for groups: the first goes on with the turn that was before, others begin where it is.
struct Turns(Option<Arc<AtomicU64>>, Arc<AtomicU64>);

impl Turns {
    fn next(&mut self) -> Arc<AtomicU64> {
        let begin = || Arc::new(AtomicU64::new(self.1.load(Ordering::Relaxed)));
        self.0.take().unwrap_or_else(begin)
    }
}

fn level(
    endpoints: &[Endpoint<'_>],
    groups: Vec<Group>,
    table: Option<HashTable>,
    turns: &mut Turns,
) -> Level {
    let table = table.map(|table| {
        let whole = groups.iter().map(|group| portion(endpoints, group)).collect::<Vec<f64>>();
        let groups = groups.iter().zip(whole);
        // The weight of a place is shared by its endpoints.
        let weighed = groups.flat_map(|(group, whole)| {
            group.members.iter().map(move |index| {
                let endpoint = &endpoints[*index as usize];
                (endpoint.name, f64::from(endpoint.weight) * whole)
            })
        });
        match table {
            HashTable::RingHash { minimum_ring_size } => {
                Table::Ring(Ring::new(weighed, minimum_ring_size))
            }
            HashTable::Maglev { table_size } => Table::Maglev(Maglev::new(weighed, table_size)),
        }
    });
    let groups = groups.into_iter().map(|group| GroupLayout {
        weight: group.weight,
        members: group.members.into(),
        turn: turns.next(),
    });
    Level { groups: groups.collect(), table }
}

/// What an endpoint of weight 1 has of its group's weight.
fn portion(endpoints: &[Endpoint<'_>], group: &Group) -> f64 {
    let weights = group.members.iter().map(|index| f64::from(endpoints[*index as usize].weight));
    let sum: f64 = weights.sum();
    f64::from(group.weight) / if sum > 0.0 { sum } else { 1.0 }
}
