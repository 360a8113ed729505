//! Which endpoints are asked for their load besides the calls, where those are too few to tell of it (Prequal's probes).

use std::time::Duration;

use super::Balancer;
use crate::balance::draws::Draws;
use crate::balance::observed::Report;

impl Balancer {
    /// An endpoint to be asked for its load now, beside a call that is made; `None` where nobody should be. Between calls there
    /// is none, and where calls alone tell enough there is none either. Only one is asked that `is_reachable`. What it says comes
    /// by [`Balancer::hear`].
    pub fn probe(
        &self,
        now: Duration,
        random: u64,
        is_reachable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let learning = self.layout.learning.as_ref()?;
        let mut draws = Draws::new(random);
        let view = self.view.load();
        let level = view.priority(draws.next(), 0)?;
        let (group, members) = view.priorities[level].group(&mut draws)?;
        let pool = learning.pool(level, group)?;
        let observed = |index: u32| learning.observed(index);
        let is_reachable = |index: u32| is_reachable(index as usize);
        pool.probe(now, &mut draws, members, observed, is_reachable).map(|index| index as usize)
    }

    /// Notes an endpoint's word that came as an answer to a probe.
    pub fn hear(&self, index: usize, report: Report, now: Duration) {
        if let Some(learning) = &self.layout.learning {
            learning.hear(index as u32, report, now);
        }
    }
}

#[cfg(test)]
mod tests;
