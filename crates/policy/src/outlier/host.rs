//! What is known of one endpoint: failures in a row, the counts of an interval, whether and since when it is ejected.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Reason;
use super::settings::Settings;

/// The endpoint is in.
const IN: u64 = 0;

/// How a request to an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered with this status. (A gRPC answer counts by the HTTP status that stands for its own.)
    Answered(u16),
    /// It could not be reached, or broke off: counts as 503 unless failures of the way are split off.
    Unreachable,
    /// It took too long: counts as 504 unless failures of the way are split off.
    TimedOut,
    /// The proxy before it took no more for it, by a limit of its workload's: a 503 by a rule, as with Envoy, and nothing where no
    /// rule says so, since it does what it is told.
    Overloaded,
    /// A connection was made whose bytes nobody understands (TCP): it could be reached.
    Connected,
}

impl Outcome {
    /// Whether the endpoint, or the way to it, failed.
    pub fn is_failure(self) -> bool {
        match self {
            Outcome::Answered(status) => (500..600).contains(&status),
            Outcome::Unreachable | Outcome::TimedOut | Outcome::Overloaded => true,
            Outcome::Connected => false,
        }
    }
}

/// That an endpoint is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Out {
    /// Why.
    pub reason: Reason,
    /// How long still, at least: it comes back with the first sweep after that.
    pub left: Duration,
}

/// A number of failures in a row was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    ServerErrors,
    GatewayErrors,
    LocalFailures,
}

/// What is known of one endpoint. Belongs to the endpoint, not to a configuration: it outlives changes of both.
#[derive(Debug, Default)]
pub struct Host {
    server_errors: AtomicU32,
    gateway_errors: AtomicU32,
    local_failures: AtomicU32,
    /// Requests of this interval by where their result came from, and how many went well: the endpoint's own answers, and the
    /// way to it. Counted only where a rule looks at them: all workers would write to the same line for every request.
    external: Counts,
    local: Counts,
    /// Nanoseconds at which the endpoint may come back; [`IN`] while it is in.
    out_until: AtomicU64,
    /// Why it is out, as a place in [`Reason::ALL`]; says nothing while it is in.
    reason: AtomicU8,
    /// Ejections in a row, one less with each interval that it stays in.
    ejections: AtomicU32,
    /// The last finding of another caller's that was told.
    told: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU32,
    succeeded: AtomicU32,
}

/// Counts of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) total: u32,
    pub(super) succeeded: u32,
}

/// An interval of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    pub(super) external: Count,
    pub(super) local: Count,
    pub(super) is_ejected: bool,
}

impl Counts {
    fn add(&self, is_success: bool) {
        self.total.fetch_add(1, Relaxed);
        if is_success {
            self.succeeded.fetch_add(1, Relaxed);
        }
    }

    fn take(&self) -> Count {
        // A request that ends between the two has its success counted in the next interval.
        let succeeded = self.succeeded.swap(0, Relaxed);
        let total = self.total.swap(0, Relaxed);
        Count { total: total.max(succeeded), succeeded }
    }
}

impl Host {
    /// Whether it is ejected.
    pub fn is_ejected(&self) -> bool {
        self.out_until.load(Relaxed) != IN
    }

    /// Why it is ejected and for how long still; `None` while it is in.
    pub fn out(&self, now: Duration) -> Option<Out> {
        let until = self.out_until.load(Relaxed);
        let reason = Reason::ALL.get(usize::from(self.reason.load(Relaxed))).copied()?;
        let left = Duration::from_nanos(until.saturating_sub(nanos(now)));
        (until != IN).then_some(Out { reason, left })
    }

    /// Whether a finding of another caller's was not told before.
    pub(super) fn is_news(&self, id: u64) -> bool {
        id != 0 && self.told.swap(id, Relaxed) != id
    }

    pub(super) fn record(&self, outcome: Outcome, settings: &Settings) -> Option<Reached> {
        let status = match (outcome, settings.split_external_local_origin_errors) {
            (Outcome::Overloaded, _) if !settings.counts_overload => return None,
            (Outcome::Overloaded, is_split) => {
                if is_split {
                    self.record_way(true, settings);
                }
                503
            }
            (Outcome::Answered(status), true) => {
                self.record_way(true, settings);
                status
            }
            (Outcome::Connected, true) => return self.record_way(true, settings),
            (Outcome::Unreachable | Outcome::TimedOut, true) => {
                return self.record_way(false, settings);
            }
            (Outcome::Answered(status), false) => status,
            (Outcome::Connected, false) => 200,
            (Outcome::Unreachable, false) => 503,
            (Outcome::TimedOut, false) => 504,
        };
        self.record_status(status, settings)
    }

    fn record_status(&self, status: u16, settings: &Settings) -> Option<Reached> {
        let is_failure = (500..600).contains(&status);
        if settings.counts() {
            self.external.add(!is_failure);
        }
        if !is_failure {
            reset(&self.server_errors);
            reset(&self.gateway_errors);
            return None;
        }
        let gateway = if matches!(status, 502..=504) {
            count_up(&self.gateway_errors, settings.consecutive_gateway_failure)
        } else {
            reset(&self.gateway_errors);
            false
        };
        let server = count_up(&self.server_errors, settings.consecutive_5xx);
        // Both counts go on whichever ejects; the stricter kind is named first.
        match (gateway, server) {
            (true, _) => Some(Reached::GatewayErrors),
            (false, true) => Some(Reached::ServerErrors),
            (false, false) => None,
        }
    }

    fn record_way(&self, is_success: bool, settings: &Settings) -> Option<Reached> {
        if settings.counts() {
            self.local.add(is_success);
        }
        if is_success {
            reset(&self.local_failures);
            return None;
        }
        let reached = count_up(&self.local_failures, settings.consecutive_local_origin_failure);
        reached.then_some(Reached::LocalFailures)
    }

    /// Takes it out; `false` if it is out already.
    pub(super) fn eject(&self, reason: Reason, now: Duration, settings: &Settings) -> bool {
        // Where the longest time is reached, more steps would only have to be undone.
        let next = |ejections: u32| {
            let is_longest = settings.ejection_time(ejections) >= settings.max_ejection_time;
            (ejections == 0 || !is_longest).then_some(ejections + 1)
        };
        let nth = self.ejections.load(Relaxed);
        let nth = next(nth).unwrap_or(nth);
        let until = nanos(now.saturating_add(settings.ejection_time(nth))).max(1);
        if self.out_until.compare_exchange(IN, until, Relaxed, Relaxed).is_err() {
            return false;
        }
        self.reason.store(reason as u8, Relaxed);
        self.ejections.store(nth, Relaxed);
        true
    }

    /// Takes it in again if its time is over; `true` if that was so. Without an ejection a step of the ejection time is undone.
    pub(super) fn come_back(&self, now: Duration) -> bool {
        let until = self.out_until.load(Relaxed);
        if until == IN {
            let one_less = |ejections: u32| ejections.checked_sub(1);
            // A failed update is one at 0 already.
            let _ = self.ejections.fetch_update(Relaxed, Relaxed, one_less);
            return false;
        }
        if until > nanos(now) {
            return false;
        }
        reset(&self.server_errors);
        reset(&self.gateway_errors);
        reset(&self.local_failures);
        self.out_until.store(IN, Relaxed);
        true
    }

    /// The counts since the last time.
    pub(super) fn take_window(&self) -> Window {
        Window {
            external: self.external.take(),
            local: self.local.take(),
            is_ejected: self.is_ejected(),
        }
    }
}

/// Counts up; `true` if that reaches the limit, and begins anew then. A limit of 0 is never reached.
fn count_up(count: &AtomicU32, limit: u32) -> bool {
    if limit == 0 {
        return false;
    }
    let reached = count.fetch_add(1, Relaxed).saturating_add(1) >= limit;
    if reached {
        count.store(0, Relaxed);
    }
    reached
}

/// Only writes where there is something to reset: a cache line that nobody writes is shared by all cores.
fn reset(count: &AtomicU32) {
    if count.load(Relaxed) != 0 {
        count.store(0, Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
