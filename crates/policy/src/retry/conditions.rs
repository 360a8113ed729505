//! Envoy's words for what is tried anew (`retryOn`), and numbers of statuses among them.

use thiserror::Error;

use super::Failed;

/// The words, in the order of their bits in [`Conditions`].
const WORDS: [&str; 17] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
    "unknown",
];

const ANY_5XX: u32 = 1 << 0;
const GATEWAY_ERROR: u32 = 1 << 1;
const RESET: u32 = 1 << 2;
const RESET_BEFORE_REQUEST: u32 = 1 << 3;
const CONNECT_FAILURE: u32 = 1 << 4;
const RATE_LIMITED: u32 = 1 << 5;
const RETRIABLE_4XX: u32 = 1 << 6;
const REFUSED_STREAM: u32 = 1 << 7;
const CANCELLED: u32 = 1 << 11;
const DEADLINE_EXCEEDED: u32 = 1 << 12;
const INTERNAL: u32 = 1 << 13;
const RESOURCE_EXHAUSTED: u32 = 1 << 14;
const UNAVAILABLE: u32 = 1 << 15;
const UNKNOWN: u32 = 1 << 16;

/// What `retryOn` names. `retriable-status-codes` and `retriable-headers` stand for the lists beside them, and
/// Istio's API has none for headers; `http3-post-connect-failure` cannot happen without HTTP/3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    words: u32,
    statuses: Box<[u16]>,
}

/// A word of `retryOn` that is none of Envoy's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` in retryOn is no condition for another attempt: take Envoy's words, as `connect-failure`, and numbers of statuses, as `503`"
)]
pub struct UnknownCondition(pub String);

impl Conditions {
    /// Reads words and numbers of statuses that are parted by commas.
    pub fn parse(retry_on: &str) -> Result<Conditions, UnknownCondition> {
        let (mut words, mut statuses) = (0, Vec::new());
        for part in retry_on.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(bit) = WORDS.iter().position(|word| *word == part) {
                words |= 1 << bit;
                continue;
            }
            match part.parse() {
                Ok(status @ 100..=599) => statuses.push(status),
                _ => return Err(UnknownCondition(part.into())),
            }
        }
        statuses.sort_unstable();
        statuses.dedup();
        Ok(Conditions { words, statuses: statuses.into() })
    }

    /// Reads as [`Conditions::parse`] does, and passes over what it does not know, as Envoy does with what requests ask for.
    pub fn known(retry_on: &str) -> Conditions {
        let known = retry_on.split(',').filter(|part| Conditions::parse(part).is_ok());
        Conditions::parse(&known.collect::<Vec<_>>().join(",")).unwrap_or_default()
    }

    /// Whether they name nothing.
    pub fn is_empty(&self) -> bool {
        self.words == 0 && self.statuses.is_empty()
    }

    /// Whether an attempt that ended so is one of what they name (Envoy, `RetryStateImpl`).
    pub fn include(&self, failed: Failed) -> bool {
        // A reset counts as the 5xx and the gateway error that the caller would get for it.
        const BROKEN: u32 = ANY_5XX | GATEWAY_ERROR | RESET;
        let by_word = match failed {
            Failed::NotConnected => BROKEN | RESET_BEFORE_REQUEST | CONNECT_FAILURE,
            Failed::RefusedStream => BROKEN | REFUSED_STREAM,
            // That the peer's proxy did not reach its application is to the caller a connection that failed.
            Failed::NotDelivered => BROKEN | RESET_BEFORE_REQUEST | CONNECT_FAILURE,
            Failed::Broken | Failed::PerTryTimedOut => BROKEN,
            Failed::Status(status) => of_status(status),
            Failed::GrpcStatus(status) => of_grpc_status(status),
            Failed::RateLimited => RATE_LIMITED,
            Failed::Overloaded | Failed::TimedOut => 0,
        };
        let status = match failed {
            Failed::Status(status) => Some(status),
            // So does Istio's proxy at the other end answer.
            Failed::NotDelivered => Some(503),
            _ => None,
        };
        self.words & by_word != 0
            || status.is_some_and(|status| self.statuses.binary_search(&status).is_ok())
    }
}

fn of_status(status: u16) -> u32 {
    match status {
        409 => RETRIABLE_4XX,
        502..=504 => ANY_5XX | GATEWAY_ERROR,
        500..=599 => ANY_5XX,
        _ => 0,
    }
}

fn of_grpc_status(status: u16) -> u32 {
    match status {
        1 => CANCELLED,
        2 => UNKNOWN,
        4 => DEADLINE_EXCEEDED,
        8 => RESOURCE_EXHAUSTED,
        13 => INTERNAL,
        14 => UNAVAILABLE,
        _ => 0,
    }
}
