//! What is counted of a route that has a name for statistics: Envoy's statistics of a virtual host's route.
//!
//! Names and meanings are those of Envoy's page on the router filter, `vhost.HOST.route.PREFIX.`; an Istio
//! VirtualService gives the prefix (`http[].match[].statPrefix`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::Word;
use crate::histogram::{Cells, Totals};
use crate::series::pick;

/// The labels of one route's figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteLabels {
    /// `HOST:PORT`, as Istio names Envoy's virtual hosts (`envoy_virtual_host`).
    pub virtual_host: Word,
    /// The name for statistics (`envoy_route`).
    pub route: Word,
}

/// What can happen to a request on a route, beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteEvent {
    /// An attempt is made.
    Attempt,
    /// A retry is made.
    Retry,
    /// No retry, since as many were made as the rule allows.
    RetryLimitExceeded,
    /// No retry, since too many are under way.
    RetryOverflow,
    /// A retry brought an answer that ends the request.
    RetrySuccess,
    /// The time for the whole answer is over.
    Timeout,
}

/// How many kinds of events there are.
const EVENTS: usize = RouteEvent::Timeout as usize + 1;
/// Statuses of one class, 200 to 299 say.
const CLASS: usize = 100;
/// The classes, 1xx to 5xx.
const CLASSES: usize = 5;

/// The figures of one route. Takes 384 bytes a shard, and 800 more for each class of statuses that came.
#[derive(Debug)]
pub struct RouteSeries {
    shards: Box<[Shard]>,
}

/// Aligned as the standard metrics' shards are, so that workers do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    time: Cells,
    events: [AtomicU64; EVENTS],
    /// By class, then by what is below the hundred.
    codes: [OnceLock<Box<[AtomicU64; CLASS]>>; CLASSES],
}

impl RouteSeries {
    pub(crate) fn new(shards: usize) -> RouteSeries {
        RouteSeries { shards: (0..shards.max(1)).map(|_| Shard::default()).collect() }
    }

    /// Counts a request that was answered with this status; `shard` is the index of the recording worker.
    pub fn answered(&self, shard: usize, status: u16) {
        let (class, below) = (usize::from(status) / CLASS, usize::from(status) % CLASS);
        let shard = pick(&self.shards, shard);
        // A status of three digits and no class is nobody's, and cannot be counted as any.
        if let Some(codes) = class.checked_sub(1).and_then(|class| shard.codes.get(class)) {
            let codes = codes.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
            codes[below].fetch_add(1, Relaxed);
        }
    }

    /// Counts an event.
    pub fn event(&self, shard: usize, event: RouteEvent) {
        pick(&self.shards, shard).events[event as usize].fetch_add(1, Relaxed);
    }

    /// Counts how long an endpoint's whole answer took, from when all of the request had come.
    pub fn took(&self, shard: usize, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        pick(&self.shards, shard).time.record(micros, micros);
    }

    /// Times so far; the sum is in microseconds.
    pub(crate) fn times(&self) -> Totals {
        Totals::of(self.shards.iter().map(|shard| &shard.time))
    }

    pub(crate) fn events(&self, event: RouteEvent) -> u64 {
        self.shards.iter().map(|shard| shard.events[event as usize].load(Relaxed)).sum()
    }

    /// The statuses that came, and how often.
    pub(crate) fn codes(&self) -> Vec<(u16, u64)> {
        let mut codes = Vec::new();
        for class in 0..CLASSES {
            for below in 0..CLASS {
                let of = |shard: &Shard| {
                    shard.codes[class].get().map_or(0, |codes| codes[below].load(Relaxed))
                };
                let count: u64 = self.shards.iter().map(of).sum();
                if count > 0 {
                    codes.push((((class + 1) * CLASS + below) as u16, count));
                }
            }
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_the_memory_that_is_stated_and_add_up() {
        assert_eq!(size_of::<Shard>(), 384);
        let series = RouteSeries::new(2);
        for (shard, status) in [(0, 200), (1, 200), (1, 503), (0, 599), (0, 100), (7, 404)] {
            series.answered(shard, status);
        }
        // What is no status is left out.
        for status in [0, 99, 600, u16::MAX] {
            series.answered(0, status);
        }
        assert_eq!(series.codes(), [(100, 1), (200, 2), (404, 1), (503, 1), (599, 1)]);
        series.event(0, RouteEvent::Attempt);
        series.event(1, RouteEvent::Attempt);
        series.event(1, RouteEvent::Timeout);
        assert_eq!(series.events(RouteEvent::Attempt), 2);
        assert_eq!(series.events(RouteEvent::Timeout), 1);
        assert_eq!(series.events(RouteEvent::Retry), 0);
        series.took(0, Duration::from_millis(3));
        assert_eq!((series.times().count(), series.times().sum), (1, 3000));
    }
}
