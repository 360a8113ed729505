//! The counters that the data path touches: one cell block per worker, no lock, no allocation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::histogram::{Cells, Totals};

/// The HTTP metrics of one label set. Takes 640 bytes a shard; recording is six relaxed additions to
/// memory that no other worker writes.
#[derive(Debug)]
pub struct HttpSeries {
    shards: Box<[HttpShard]>,
}

/// Aligned to two cache lines: the prefetcher of x86 takes lines in pairs, so that neighbours within
/// 128 bytes would disturb each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct HttpShard {
    duration: Cells,
    request: Cells,
    response: Cells,
    request_messages: AtomicU64,
    response_messages: AtomicU64,
}

impl HttpSeries {
    pub(crate) fn new(shards: usize) -> HttpSeries {
        HttpSeries { shards: (0..shards.max(1)).map(|_| HttpShard::default()).collect() }
    }

    /// Counts one finished request: `duration` from its first byte to the response's last, sizes of
    /// headers and bodies as the caller defines them. `shard` is the index of the recording worker;
    /// indexes beyond the number of shards share, which is right but slower.
    pub fn record(
        &self,
        shard: usize,
        duration: Duration,
        request_bytes: u64,
        response_bytes: u64,
    ) {
        let shard = pick(&self.shards, shard);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        shard.duration.record(micros, micros);
        shard.request.record(request_bytes.saturating_mul(1000), request_bytes);
        shard.response.record(response_bytes.saturating_mul(1000), response_bytes);
    }

    /// Counts gRPC messages, sent by the caller and by the service.
    pub fn messages(&self, shard: usize, request: u64, response: u64) {
        let shard = pick(&self.shards, shard);
        shard.request_messages.fetch_add(request, Relaxed);
        shard.response_messages.fetch_add(response, Relaxed);
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.durations().count()
    }

    /// Durations; the sum is in microseconds.
    pub(crate) fn durations(&self) -> Totals {
        Totals::of(self.shards.iter().map(|s| &s.duration))
    }

    pub(crate) fn request_bytes(&self) -> Totals {
        Totals::of(self.shards.iter().map(|s| &s.request))
    }

    pub(crate) fn response_bytes(&self) -> Totals {
        Totals::of(self.shards.iter().map(|s| &s.response))
    }

    pub(crate) fn request_messages(&self) -> u64 {
        self.shards.iter().map(|s| s.request_messages.load(Relaxed)).sum()
    }

    pub(crate) fn response_messages(&self) -> u64 {
        self.shards.iter().map(|s| s.response_messages.load(Relaxed)).sum()
    }
}

/// The TCP metrics of one label set. Takes 128 bytes a shard.
#[derive(Debug)]
pub struct TcpSeries {
    shards: Box<[TcpShard]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct TcpShard {
    opened: AtomicU64,
    closed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl TcpSeries {
    pub(crate) fn new(shards: usize) -> TcpSeries {
        TcpSeries { shards: (0..shards.max(1)).map(|_| TcpShard::default()).collect() }
    }

    /// Counts a connection opened.
    pub fn opened(&self, shard: usize) {
        pick(&self.shards, shard).opened.fetch_add(1, Relaxed);
    }

    /// Counts a connection closed.
    pub fn closed(&self, shard: usize) {
        pick(&self.shards, shard).closed.fetch_add(1, Relaxed);
    }

    /// Counts bytes of the response direction (service to caller), as Istio means `sent`.
    pub fn sent(&self, shard: usize, bytes: u64) {
        pick(&self.shards, shard).sent.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes of the request direction (caller to service), as Istio means `received`.
    pub fn received(&self, shard: usize, bytes: u64) {
        pick(&self.shards, shard).received.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn total_opened(&self) -> u64 {
        self.shards.iter().map(|s| s.opened.load(Relaxed)).sum()
    }

    pub(crate) fn total_closed(&self) -> u64 {
        self.shards.iter().map(|s| s.closed.load(Relaxed)).sum()
    }

    pub(crate) fn total_sent(&self) -> u64 {
        self.shards.iter().map(|s| s.sent.load(Relaxed)).sum()
    }

    pub(crate) fn total_received(&self) -> u64 {
        self.shards.iter().map(|s| s.received.load(Relaxed)).sum()
    }
}

/// The worker's shard. There is always at least one.
pub(crate) fn pick<T>(shards: &[T], shard: usize) -> &T {
    match shards.get(shard) {
        Some(found) => found,
        None => &shards[shard % shards.len()],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_takes_the_memory_that_is_stated() {
        assert_eq!(size_of::<HttpShard>(), 640);
        assert_eq!(size_of::<TcpShard>(), 128);
    }

    #[test]
    fn workers_may_share_a_shard_without_losing_counts() {
        let (http, tcp) = (HttpSeries::new(3), TcpSeries::new(3));
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let (http, tcp) = (&http, &tcp);
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        http.record(worker, Duration::from_micros(700), 10, 1000);
                        http.messages(worker, 1, 2);
                        tcp.opened(worker);
                        tcp.sent(worker, 3);
                    }
                });
            }
        });
        assert_eq!(http.requests(), 80_000);
        assert_eq!(http.durations().sum, 80_000 * 700);
        assert_eq!(http.response_bytes().sum, 80_000_000);
        assert_eq!((http.request_messages(), http.response_messages()), (80_000, 160_000));
        assert_eq!((tcp.total_opened(), tcp.total_sent()), (80_000, 240_000));
    }

    proptest! {
        #[test]
        fn the_shards_sum_to_what_was_recorded(
            shards in 1usize..5,
            calls in prop::collection::vec((0usize..9, 0u64..10_000_000, 0u64..1 << 40, 0u64..1 << 40), 0..200),
        ) {
            let series = HttpSeries::new(shards);
            for (shard, micros, request, response) in &calls {
                series.record(*shard, Duration::from_micros(*micros), *request, *response);
            }
            prop_assert_eq!(series.requests(), calls.len() as u64);
            for (totals, sum) in [
                (series.durations(), calls.iter().map(|c| c.1).sum::<u64>()),
                (series.request_bytes(), calls.iter().map(|c| c.2).sum()),
                (series.response_bytes(), calls.iter().map(|c| c.3).sum()),
            ] {
                prop_assert_eq!(totals.count(), calls.len() as u64);
                prop_assert_eq!(totals.sum, sum);
            }
        }
    }
}
