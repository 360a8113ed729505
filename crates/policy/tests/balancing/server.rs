//! A server under processor sharing whose capacity changes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use meltemi_policy::balance::{Meter, Report};

/// A request at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// The server's progress at which it is done.
    done_at: u64,
    pub id: u64,
    pub caller: usize,
    pub came: Duration,
}

/// Every request gets the same share of what the server has, and at most one core of it.
#[derive(Debug)]
pub struct Server {
    cores: f64,
    /// Nanoseconds of work that each request has had which was here all the time.
    progress: u64,
    now: Duration,
    jobs: BinaryHeap<Reverse<Job>>,
    meter: Meter,
    /// Told apart from the events of earlier states.
    pub version: u64,
}

impl Server {
    pub fn new(cores: f64) -> Server {
        let (now, jobs) = (Duration::ZERO, BinaryHeap::new());
        Server { cores, progress: 0, now, jobs, meter: Meter::default(), version: 0 }
    }

    fn rate(&self) -> f64 {
        (self.cores / self.jobs.len().max(1) as f64).min(1.0)
    }

    /// How long one of those that are here, and so many more, would take for a core's second of work.
    pub fn slowness(&self, more: usize) -> f64 {
        (self.jobs.len() + more) as f64 / self.cores
    }

    fn advance(&mut self, now: Duration) {
        let passed = (now - self.now).as_nanos() as f64;
        self.progress += (passed * self.rate()) as u64;
        self.now = now;
        self.version += 1;
    }

    pub fn set_cores(&mut self, cores: f64, now: Duration) {
        self.advance(now);
        self.cores = cores;
    }

    pub fn take(&mut self, id: u64, caller: usize, work: Duration, now: Duration) {
        self.advance(now);
        self.meter.begin(now);
        let done_at = self.progress + work.as_nanos() as u64;
        self.jobs.push(Reverse(Job { done_at, id, caller, came: now }));
    }

    /// When the next request is done.
    pub fn next(&self) -> Option<Duration> {
        let Reverse(job) = self.jobs.peek()?;
        let left = job.done_at.saturating_sub(self.progress) as f64 / self.rate();
        Some(self.now + Duration::from_nanos(left.ceil() as u64))
    }

    /// The request that is done now, and what the server says of itself.
    pub fn finish(&mut self, now: Duration) -> Option<(Job, Report)> {
        self.advance(now);
        let Reverse(job) = self.jobs.pop()?;
        // As a proxy does it: a request counts itself until its answer is over.
        self.meter.answer(job.came, now);
        let report = self.report(now);
        self.meter.end();
        Some((job, report))
    }

    /// Drops a request that its caller no longer waits for.
    pub fn cancel(&mut self, id: u64, now: Duration) -> bool {
        self.advance(now);
        let before = self.jobs.len();
        let came = self.jobs.iter().find(|it| it.0.id == id).map(|it| it.0.came);
        self.jobs.retain(|it| it.0.id != id);
        if let Some(came) = came {
            self.meter.give_up(came);
            self.meter.end();
        }
        self.jobs.len() < before
    }

    pub fn report(&self, now: Duration) -> Report {
        Meter::report(std::iter::once(&self.meter), now)
    }
}
