//! The counts of one endpoint: a block a worker, made when the worker first calls it.

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use meltemi_policy::outcome::{CLASSES, Class, OCTAVE, OCTAVES, Tally, bucket};
use meltemi_policy::outlier::Out;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Which endpoint is counted, in the registry's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The service's canonical host.
    pub(crate) host: Arc<str>,
    /// The service's port.
    pub(crate) port: u16,
    /// `NAMESPACE/NAME`.
    pub(crate) workload: String,
    /// The workload's own address and port.
    pub(crate) address: (String, u16),
    /// `region/zone/subzone`, empty where unknown.
    pub(crate) locality: String,
}

/// The counts of one endpoint.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(super) named: Named,
    shards: Box<[OnceLock<Box<Shard>>]>,
    /// That the endpoint was ejected since the last report.
    ejected: Mutex<Option<Out>>,
    urgent: Arc<Notify>,
}

/// What one worker has counted. Aligned to two cache lines, which the prefetcher of x86 takes together.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    issued: AtomicU64,
    calls: AtomicU64,
    failures: [AtomicU64; CLASSES],
    sent: AtomicU64,
    received: AtomicU64,
    micros: AtomicU64,
    /// Not taken with the rest: it is what is under way now.
    in_flight: AtomicI64,
    /// By doubling, each made with the first call that took so long: an endpoint's calls take few of them.
    latency: [OnceLock<Box<Octave>>; OCTAVES],
}

/// Counts of the buckets of a doubling.
type Octave = [AtomicU32; OCTAVE];

impl Default for Shard {
    fn default() -> Self {
        Shard {
            issued: AtomicU64::default(),
            calls: AtomicU64::default(),
            failures: Default::default(),
            sent: AtomicU64::default(),
            received: AtomicU64::default(),
            micros: AtomicU64::default(),
            in_flight: AtomicI64::default(),
            latency: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Counted {
    pub(super) fn new(named: Named, workers: usize, urgent: Arc<Notify>) -> Counted {
        let shards = (0..workers).map(|_| OnceLock::new()).collect();
        Counted { named, shards, ejected: Mutex::default(), urgent }
    }

    /// An index beyond the workers shares with another.
    fn shard(&self, worker: usize) -> &Shard {
        self.shards[worker % self.shards.len()].get_or_init(Box::default)
    }

    /// Has the control plane told at once that we call the endpoint no longer.
    pub(crate) fn tell_ejected(&self, out: Out) {
        *self.ejected.lock() = Some(out);
        self.urgent.notify_one();
    }

    /// What was counted since the last time, and whether the endpoint was ejected; `None` if there is nothing to tell.
    pub(super) fn take(&self) -> Option<(Tally, Option<Out>)> {
        let mut tally = Tally::default();
        let mut in_flight = 0;
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            shard.take(&mut tally);
            in_flight += shard.in_flight.load(Relaxed);
        }
        tally.in_flight = in_flight.max(0).unsigned_abs();
        let ejected = self.ejected.lock().take();
        (!tally.is_empty() || ejected.is_some()).then_some((tally, ejected))
    }
}

impl Shard {
    fn take(&self, tally: &mut Tally) {
        tally.issued += self.issued.swap(0, Relaxed);
        let calls = self.calls.swap(0, Relaxed);
        if calls == 0 {
            return;
        }
        tally.calls += calls;
        for (sum, count) in tally.failures.iter_mut().zip(&self.failures) {
            *sum += count.swap(0, Relaxed);
        }
        tally.sent += self.sent.swap(0, Relaxed);
        tally.received += self.received.swap(0, Relaxed);
        tally.micros += self.micros.swap(0, Relaxed);
        for (octave, counts) in self.latency.iter().enumerate() {
            let Some(counts) = counts.get() else { continue };
            for (step, count) in counts.iter().enumerate() {
                // Most are empty, and a line that nobody writes stays with its worker.
                if count.load(Relaxed) > 0 {
                    tally.latency.add(octave * OCTAVE + step, count.swap(0, Relaxed).into());
                }
            }
        }
    }
}

/// A call under way. Dropped without an end, its caller gave it up: it is under way no longer, and nothing else is known.
#[derive(Debug)]
pub(crate) struct Ongoing<C: Deref<Target = Counted>> {
    counted: C,
    worker: usize,
    since: Instant,
}

impl<C: Deref<Target = Counted>> Ongoing<C> {
    /// A call that began then.
    pub(crate) fn new(counted: C, worker: usize, since: Instant) -> Self {
        let shard = counted.shard(worker);
        shard.issued.fetch_add(1, Relaxed);
        shard.in_flight.fetch_add(1, Relaxed);
        Ongoing { counted, worker, since }
    }

    /// It has ended, with so many bytes of the request's body and of the answer's.
    pub(crate) fn end(self, failure: Option<Class>, sent: u64, received: u64) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let shard = self.counted.shard(self.worker);
        // The count last: who takes meanwhile sees none without the rest, or all of it the next time.
        let bucket = bucket(micros);
        let octave = shard.latency[bucket / OCTAVE].get_or_init(Box::default);
        octave[bucket % OCTAVE].fetch_add(1, Relaxed);
        shard.micros.fetch_add(micros, Relaxed);
        if sent > 0 {
            shard.sent.fetch_add(sent, Relaxed);
        }
        if received > 0 {
            shard.received.fetch_add(received, Relaxed);
        }
        if let Some(class) = failure {
            shard.failures[class as usize].fetch_add(1, Relaxed);
        }
        shard.calls.fetch_add(1, Relaxed);
    }
}

impl<C: Deref<Target = Counted>> Drop for Ongoing<C> {
    fn drop(&mut self) {
        self.counted.shard(self.worker).in_flight.fetch_sub(1, Relaxed);
    }
}
