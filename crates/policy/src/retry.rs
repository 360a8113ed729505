//! Whether a failed attempt may be made anew, when, and how long it may take.
//!
//! The default is Istio's policy (two retries on `connect-failure,refused-stream,unavailable,cancelled` and
//! 503), with one departure: an attempt that may have reached the application is repeated only
//! if its method is idempotent (RFC 9110, section 9.2.2). Repeating a POST that got a 503 is how
//! payments are made twice. A rule that names `retryOn` gets exactly what it names.

use std::time::Duration;

use crate::route::rule::RetryRule;

mod conditions;

pub use conditions::{Conditions, UnknownCondition};

/// Istio's number of retries where no rule says another.
pub const DEFAULT_ATTEMPTS: u32 = 2;
/// Envoy's base of the back-off.
const DEFAULT_BACK_OFF: Duration = Duration::from_millis(25);
/// The shortest base that is taken: without one, retries would be a storm.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(1);
/// The back-off grows to so many times its base (Envoy's `max_interval`).
const GROWTH: u32 = 10;

/// What is known of an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// No connection to the endpoint could be made.
    NotConnected,
    /// The endpoint refused the stream without looking at it (HTTP/2 `REFUSED_STREAM`).
    RefusedStream,
    /// It provably never reached the application for another reason: nothing was sent, or the peer's proxy
    /// said so.
    NotDelivered,
    /// It broke before any answer; the application may have seen it.
    Broken,
    /// One attempt took longer than it may; the application may have seen it.
    PerTryTimedOut,
    /// The application answered with this status.
    Status(u16),
    /// The application answered with this status of gRPC.
    GrpcStatus(u16),
    /// The answer says that a rate limit is reached (`x-envoy-ratelimited`).
    RateLimited,
    /// The peer's proxy took it for one too many, by a limit of its workload's. Never tried anew, as Envoy has it with answers that
    /// bear `x-envoy-overloaded`: three attempts of each request are the last that somebody needs who has too many.
    Overloaded,
    /// The time for the whole request is over.
    TimedOut,
}

impl Failed {
    /// What an answer says: its status, that of gRPC if it stands in the head (or in the trailers of an answer
    /// without a body), and whether it bears `x-envoy-ratelimited`. It need not be a failure:
    /// [`RetryPolicy::again`] decides.
    pub fn of_answer(status: u16, grpc_status: Option<u16>, is_rate_limited: bool) -> Failed {
        match grpc_status {
            _ if is_rate_limited => Failed::RateLimited,
            Some(grpc) if grpc != 0 && status == 200 => Failed::GrpcStatus(grpc),
            _ => Failed::Status(status),
        }
    }

    /// Whether the application provably saw nothing of it.
    pub fn is_undelivered(self) -> bool {
        matches!(self, Failed::NotConnected | Failed::RefusedStream | Failed::NotDelivered)
    }
}

/// How often, on what and where to try anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub attempts: u32,
    /// How long one attempt may take.
    pub per_try_timeout: Option<Duration>,
    /// On what.
    pub on: RetryOn,
    /// On what else, as the caller itself asks.
    pub also: Conditions,
    /// The back-off's base.
    pub back_off: Duration,
    /// Whether endpoints that failed are passed over.
    pub ignore_previous_hosts: bool,
    /// Whether endpoints of other localities and priorities are preferred for another attempt.
    pub remote_localities: bool,
}

/// On what to try anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RetryOn {
    /// Only where another attempt can do no harm.
    #[default]
    Safe,
    /// On these.
    Named(Conditions),
}

/// When another attempt begins, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextAttempt {
    /// To be waited before it.
    pub wait: Duration,
    /// The most that it may take.
    pub timeout: Option<Duration>,
}

impl Default for RetryPolicy {
    /// Istio's default: two retries, Envoy's back-off, each at another endpoint.
    fn default() -> Self {
        RetryPolicy {
            attempts: DEFAULT_ATTEMPTS,
            per_try_timeout: None,
            on: RetryOn::Safe,
            also: Conditions::default(),
            back_off: DEFAULT_BACK_OFF,
            ignore_previous_hosts: true,
            remote_localities: false,
        }
    }
}

impl RetryPolicy {
    /// The policy of a rule: what it leaves out is as by default.
    pub fn from_rule(rule: &RetryRule) -> Result<RetryPolicy, UnknownCondition> {
        let on = match Conditions::parse(&rule.retry_on)? {
            named if named.is_empty() => RetryOn::Safe,
            named => RetryOn::Named(named),
        };
        let back_off = rule.backoff_ms.map_or(DEFAULT_BACK_OFF, Duration::from_millis);
        Ok(RetryPolicy {
            attempts: rule.attempts,
            per_try_timeout: rule
                .per_try_timeout_ms
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis),
            on,
            also: Conditions::default(),
            back_off: back_off.max(SHORTEST_BACK_OFF),
            ignore_previous_hosts: rule.retry_ignore_previous_hosts.unwrap_or(true),
            remote_localities: rule.retry_remote_localities,
        })
    }

    /// Whether another attempt is to be made after `made` attempts, the last of which ended so.
    /// `replayable`: the whole request can be sent again.
    pub fn again(&self, made: u32, method: &[u8], failed: Failed, replayable: bool) -> bool {
        if made > self.attempts || !replayable {
            return false;
        }
        let by_rule = match &self.on {
            RetryOn::Safe => is_safe(method, failed),
            RetryOn::Named(conditions) => conditions.include(failed),
        };
        by_rule || self.also.include(failed)
    }

    /// Whether an answer that is no failure need not be looked at: nothing that is named could be about it.
    pub fn spares_success(&self) -> bool {
        self.on == RetryOn::Safe && self.also.is_empty()
    }

    /// When retry number `retry` (1 is the first) begins and how long it may take, if `left` is what is left of the
    /// time for the whole request and an attempt takes at least `least`. `None` if it could not finish: then it is
    /// not to be started.
    ///
    /// The wait is Envoy's fully jittered exponential back-off, in [0, (2^retry - 1) x base) and never more than ten
    /// times the base; where less time is left it is drawn from that.
    pub fn next_attempt(
        &self,
        retry: u32,
        random: u64,
        left: Option<Duration>,
        least: Duration,
    ) -> Option<NextAttempt> {
        let steps = 1u32.checked_shl(retry).map_or(GROWTH, |power| (power - 1).min(GROWTH));
        let mut range = self.back_off.saturating_mul(steps);
        if let Some(left) = left {
            let room = left.checked_sub(least).filter(|room| !room.is_zero())?;
            range = range.min(room);
        }
        let nanos = u64::try_from(range.as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0));
        Some(NextAttempt { wait, timeout: self.attempt_timeout(left.map(|left| left - wait)) })
    }

    /// The most that an attempt may take, if `left` is what is left of the time for the whole request.
    pub fn attempt_timeout(&self, left: Option<Duration>) -> Option<Duration> {
        match (self.per_try_timeout, left) {
            (Some(one), Some(left)) => Some(one.min(left)),
            (one, left) => one.or(left),
        }
    }
}

/// Whether another attempt can do no harm.
fn is_safe(method: &[u8], failed: Failed) -> bool {
    match failed {
        _ if failed.is_undelivered() => true,
        Failed::Broken | Failed::PerTryTimedOut | Failed::Status(503) => is_idempotent(method),
        _ => false,
    }
}

/// Whether repeating a request of this method has the same effect as making it once
/// (RFC 9110, section 9.2.2).
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

#[cfg(test)]
mod tests;
