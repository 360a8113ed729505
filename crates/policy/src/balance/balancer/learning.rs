//! What a balancer has learned of its endpoints, for the algorithms that go by it.

use std::sync::Arc;
use std::time::Duration;

use crate::balance::draws::Draws;
use crate::balance::endpoint::Endpoint;
use crate::balance::learned::{self, Pool};
use crate::balance::locality::Group;
use crate::balance::observed::{Observed, Report, Told};
use crate::destination::rule::SimpleLoadBalancer;

/// What is known of each endpoint, and which of them spoke last.
#[derive(Debug)]
pub(super) struct Learning {
    observed: Box<[Arc<Observed>]>,
    /// For `LEARNED`, the rest: a pool for each group of each priority.
    pools: Box<[Pool]>,
    /// The first pool of each priority.
    firsts: Box<[usize]>,
    /// The pool of each endpoint; of one that is in no group there is none.
    pool_of: Box<[u32]>,
}

impl Learning {
    /// `None` where the algorithm needs nothing of the kind.
    pub(super) fn new(
        endpoints: &[Endpoint<'_>],
        levels: &[Vec<Group>],
        simple: Option<SimpleLoadBalancer>,
    ) -> Option<Learning> {
        let simple = simple.filter(|simple| simple.observes())?;
        let observe = |endpoint: &Endpoint<'_>| endpoint.observed.cloned().unwrap_or_default();
        let mut learning = Learning {
            observed: endpoints.iter().map(observe).collect(),
            pools: Box::default(),
            firsts: Box::default(),
            pool_of: Box::default(),
        };
        if simple == SimpleLoadBalancer::Learned {
            let mut pool_of = vec![u32::MAX; endpoints.len()];
            let groups = (0u32..).zip(levels.iter().flatten());
            for (pool, index) in groups.clone().flat_map(|(pool, group)| {
                group.members.iter().map(move |index| (pool, *index as usize))
            }) {
                pool_of[index] = pool;
            }
            learning.pools = groups.map(|(_, group)| Pool::new(group.members.len())).collect();
            learning.pool_of = pool_of.into();
            let counts = levels.iter().map(Vec::len);
            let firsts = counts.scan(0, |next, count| Some(std::mem::replace(next, *next + count)));
            learning.firsts = firsts.collect();
        }
        Some(learning)
    }

    pub(super) fn observed(&self, index: u32) -> &Observed {
        &self.observed[index as usize]
    }

    /// The pool of a group. `None` unless the algorithm is `LEARNED`.
    pub(super) fn pool(&self, level: usize, group: usize) -> Option<&Pool> {
        self.pools.get(self.firsts.get(level)? + group)
    }

    /// Notes an endpoint's own word.
    pub(super) fn hear(&self, index: u32, report: Report, now: Duration) {
        let Some(seen) = self.observed.get(index as usize) else { return };
        let Some(pool) = self.pool_of.get(index as usize) else { return };
        seen.note(report, now);
        if let Some(pool) = self.pools.get(*pool as usize) {
            pool.put(index);
        }
    }

    /// Notes what a call told. `random` and the members of its group say whether one more may be avoided.
    pub(super) fn tell(
        &self,
        index: u32,
        told: &Told,
        now: Duration,
        random: u64,
        members: &[u32],
    ) {
        let Some(seen) = self.observed.get(index as usize) else { return };
        if self.pools.is_empty() {
            seen.time(told.took, now);
            return;
        }
        if let Some(report) = told.report {
            self.hear(index, report, now);
        }
        if seen.is_failing(told.is_failure) {
            let mut draws = Draws::new(random);
            let observed = |index: u32| self.observed(index);
            if learned::may_avoid(&mut draws, members, observed, now) {
                seen.avoid(now);
            }
        }
    }
}
