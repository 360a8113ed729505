//! What is counted of requests whose rule has a name for statistics: Envoy's figures of a route.
//!
//! As Envoy's router has it: a request is counted when somebody was called for it, or could not be; what a rule answers
//! itself, and faults, are not.

use std::cell::RefCell;
use std::sync::Arc;

use meltemi_policy::route::Decision;
use meltemi_telemetry::{ResponseFlags, RouteEvent, RouteLabels, RouteSeries};

use super::decide::Spot;
use crate::finish::outcome::Outcome;
use crate::upstream::replay::Whole;
use crate::worker::Worker;

/// The figures of a port's routes, by the numbers of their names: found once while the configuration stays.
#[derive(Debug, Default)]
pub(super) struct Counted(RefCell<Vec<Option<Arc<RouteSeries>>>>);

impl Counted {
    fn find(&self, number: usize, make: impl FnOnce() -> Arc<RouteSeries>) -> Arc<RouteSeries> {
        let mut known = self.0.borrow_mut();
        if known.len() <= number {
            known.resize(number + 1, None);
        }
        known[number].get_or_insert_with(make).clone()
    }
}

/// Where one request is counted.
#[derive(Debug)]
pub(crate) struct Counting {
    series: Arc<RouteSeries>,
    shard: usize,
}

impl Counting {
    /// Where this request is counted; none where its rule has no name for statistics.
    pub(super) fn of(worker: &Worker, spot: &Spot, decision: &Decision<'_>) -> Option<Counting> {
        let (number, prefix) = decision.stat_prefix()?;
        let series = spot.counted.find(number, || {
            worker.shared.metrics.route(&RouteLabels {
                virtual_host: format!("{}:{}", spot.service.host, spot.port).as_str().into(),
                route: prefix.into(),
            })
        });
        Some(Counting { series, shard: worker.index })
    }

    /// Counts an event.
    pub(super) fn event(&self, event: RouteEvent) {
        self.series.event(self.shard, event);
    }

    /// Counts a request that was answered, by whomever.
    pub(super) fn answered(&self, outcome: &Outcome) {
        self.series.answered(self.shard, outcome.status);
    }

    /// Counts how an answer ended that an endpoint had begun.
    pub(super) fn passed_back(&self, whole: Option<&Whole>, outcome: &Outcome) {
        if outcome.flags.contains(ResponseFlags::UT) {
            self.event(RouteEvent::Timeout);
        }
        // As with Envoy, an answer that ended before its request has no time.
        if let (true, Some(whole)) = (outcome.flags.is_empty(), whole.and_then(|it| it.get())) {
            self.series.took(self.shard, whole.elapsed());
        }
    }
}
