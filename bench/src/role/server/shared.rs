//! Processor sharing: every request that is being served gets the same share of the cores that there are, and one at most.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// A server's work in progress. Time comes in as what has passed since its beginning, and never goes back.
#[derive(Debug)]
pub(super) struct Shared {
    /// Up to when everything is computed.
    now: Duration,
    /// Seconds of work that each job has had which was there from the beginning.
    served: f64,
    /// Seconds of work done in a second, for all jobs together.
    cores: f64,
    jobs: BinaryHeap<Reverse<Job>>,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    /// What `served` is when it is done.
    done_at: f64,
    id: u64,
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.done_at.total_cmp(&other.done_at).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Job {}

impl Shared {
    /// Nothing to do, for so many cores.
    pub(super) fn new(cores: f64) -> Shared {
        Shared { now: Duration::ZERO, served: 0.0, cores, jobs: BinaryHeap::new() }
    }

    /// Seconds of work of one job in a second.
    fn rate(&self) -> f64 {
        (self.cores / self.jobs.len().max(1) as f64).min(1.0)
    }

    /// Takes in a job of so many seconds of work. What was done before `now` must have been taken by [`Shared::advance`].
    pub(super) fn add(&mut self, id: u64, work: f64) {
        self.jobs.push(Reverse(Job { done_at: self.served + work, id }));
    }

    /// Gives or takes cores from the time of the last [`Shared::advance`] on.
    pub(super) fn set_cores(&mut self, cores: f64) {
        self.cores = cores;
    }

    /// Goes on to `now`, and gives what was done by then. Each job leaves at its very moment, however late this is called: the
    /// others have its share from then on.
    pub(super) fn advance(&mut self, now: Duration) -> Vec<u64> {
        let mut done = Vec::new();
        while let Some(due) = self.next()
            && due <= now
        {
            let Some(Reverse(job)) = self.jobs.pop() else { break };
            (self.served, self.now) = (job.done_at, due);
            done.push(job.id);
        }
        if !self.jobs.is_empty() {
            let passed = now.saturating_sub(self.now).as_secs_f64();
            self.served += passed * self.rate();
        }
        self.now = self.now.max(now);
        done
    }

    /// When the next job is done, if nothing else comes.
    pub(super) fn next(&self) -> Option<Duration> {
        let Reverse(job) = self.jobs.peek()?;
        let left = (job.done_at - self.served).max(0.0) / self.rate();
        // Without any cores: never, which is far enough away.
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::from_secs(1 << 32));
        Some(self.now + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn two_jobs_share_a_core() {
        let mut server = Shared::new(1.0);
        server.add(1, 1.0);
        assert_eq!(server.next(), Some(seconds(1.0)));
        assert!(server.advance(seconds(0.5)).is_empty());
        server.add(2, 1.0);
        // Half a second of work is left of the first, which takes a second now.
        assert_eq!(server.next(), Some(seconds(1.5)));
        // However late it is asked, the second one had the whole core from then on.
        assert_eq!(server.advance(seconds(1.9)), [1]);
        assert_eq!(server.next(), Some(seconds(2.0)));
        assert_eq!(server.advance(seconds(5.0)), [2]);
        assert_eq!(server.next(), None);
    }

    #[test]
    fn a_job_has_one_core_at_most_however_many_there_are() {
        let mut server = Shared::new(2.0);
        server.add(1, 1.0);
        server.add(2, 1.0);
        assert_eq!(server.next(), Some(seconds(1.0)));
        server.add(3, 0.5);
        assert_eq!(server.next(), Some(seconds(0.75)));
    }

    #[test]
    fn fewer_cores_count_from_when_they_are_set() {
        let mut server = Shared::new(1.0);
        server.add(1, 1.0);
        assert!(server.advance(seconds(0.5)).is_empty());
        server.set_cores(0.5);
        assert_eq!(server.next(), Some(seconds(1.5)));
        server.set_cores(0.0);
        assert!(server.advance(seconds(100.0)).is_empty());
    }

    #[test]
    fn work_is_neither_lost_nor_made() {
        let mut server = Shared::new(1.5);
        let mut done = Vec::new();
        for id in 0..300_u32 {
            done.extend(server.advance(seconds(f64::from(id) * 0.01)));
            server.add(id.into(), 0.02);
        }
        // Six seconds of work, at one and a half a second while there are two jobs.
        done.extend(server.advance(seconds(3.999)));
        assert!(done.len() < 300);
        done.extend(server.advance(seconds(4.1)));
        done.sort_unstable();
        assert_eq!(done, (0..300).collect::<Vec<u64>>());
    }
}
