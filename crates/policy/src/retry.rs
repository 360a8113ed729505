//! Whether a failed attempt may be made anew.
//!
//! Istio's default policy (two retries on `connect-failure,refused-stream,unavailable,cancelled` and
//! 503), with one departure: an attempt that may have reached the application is repeated only
//! if its method is idempotent (RFC 9110, section 9.2.2). Repeating a POST that got a 503 is how
//! payments are made twice.

/// What is known of an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It provably never reached the application: no connection, a refused stream, nothing sent, or
    /// the peer's proxy said so.
    NotDelivered,
    /// It broke before any answer; the application may have seen it.
    Broken,
    /// The application answered with this status.
    Status(u16),
    /// The time for the whole request is over.
    TimedOut,
}

/// How often and on what to try anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    /// Istio's default: two retries.
    fn default() -> Self {
        RetryPolicy { attempts: 2 }
    }
}

impl RetryPolicy {
    /// Whether another attempt is to be made after `made` attempts, the last of which ended so.
    /// `replayable`: the whole request can be sent again.
    pub fn again(&self, made: u32, method: &[u8], failed: Failed, replayable: bool) -> bool {
        if made > self.attempts || !replayable {
            return false;
        }
        match failed {
            Failed::NotDelivered => true,
            Failed::Broken | Failed::Status(503) => is_idempotent(method),
            Failed::Status(_) | Failed::TimedOut => false,
        }
    }
}

/// Whether repeating a request of this method has the same effect as making it once
/// (RFC 9110, section 9.2.2).
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_is_repeated() {
        let policy = RetryPolicy::default();
        for (made, method, failed, replayable, again) in [
            (1, "GET", Failed::NotDelivered, true, true),
            (1, "POST", Failed::NotDelivered, true, true),
            (2, "POST", Failed::NotDelivered, true, true),
            (3, "POST", Failed::NotDelivered, true, false),
            (1, "POST", Failed::NotDelivered, false, false),
            (1, "GET", Failed::Broken, true, true),
            (1, "POST", Failed::Broken, true, false),
            (1, "PATCH", Failed::Broken, true, false),
            (1, "GET", Failed::Status(503), true, true),
            (1, "POST", Failed::Status(503), true, false),
            (1, "GET", Failed::Status(500), true, false),
            (1, "GET", Failed::TimedOut, true, false),
        ] {
            let got = policy.again(made, method.as_bytes(), failed, replayable);
            assert_eq!(got, again, "{made} {method} {failed:?} {replayable}");
        }
    }
}
