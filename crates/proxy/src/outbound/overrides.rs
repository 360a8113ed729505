//! What the application asks of the sidecar beside it, by Envoy's header fields of its router: another timeout, other retries.
//! They are for this sidecar alone and go no further ("HTTP header manipulation" and "Router" in Envoy's documentation; the timeout
//! is a part of Istio's task "Request Timeouts").

use std::time::Duration;

use meltemi_policy::retry::{Conditions, RetryPolicy};

use crate::http::head::{Fields, RequestHead};
use crate::http::known::Known;

/// More retries than this are never made for the asking.
pub(crate) const MOST_RETRIES: u32 = 100;

/// What a request asks for itself.
#[derive(Debug, PartialEq)]
pub(crate) struct Overrides {
    retry: RetryPolicy,
    timeout: Option<Duration>,
}

impl Overrides {
    /// Takes the fields out of a request, and what they make of the rule's retries and timeout. `None`, and nothing allocated,
    /// where it asks for nothing. What cannot be read counts as not there.
    pub(crate) fn take(
        head: &mut RequestHead,
        retry: &RetryPolicy,
        timeout: Option<Duration>,
    ) -> Option<Box<Overrides>> {
        let fields = &mut head.fields;
        if !fields.iter().any(|(known, _, _)| known.is_asking()) {
            return None;
        }
        let asked = Overrides::read(fields, retry, timeout);
        fields.retain(|known, _, _| !known.is_asking());
        Some(Box::new(asked))
    }

    fn read(fields: &Fields, retry: &RetryPolicy, timeout: Option<Duration>) -> Overrides {
        // Without a limit where it is zero, as a rule's.
        let timeout = match number(fields, Known::UpstreamTimeout) {
            Some(ms) => Some(ms).filter(|ms| *ms > 0).map(Duration::from_millis),
            None => timeout,
        };
        let mut retry = retry.clone();
        if let Some(ms) = number(fields, Known::PerTryTimeout) {
            let one = Duration::from_millis(ms);
            let is_shorter = timeout.is_none_or(|all| one < all);
            retry.per_try_timeout = Some(one).filter(|it| !it.is_zero() && is_shorter);
        }
        retry.also = conditions(fields);
        if let Some(most) = number(fields, Known::MaxRetries) {
            retry.attempts = u32::try_from(most).unwrap_or(u32::MAX).min(MOST_RETRIES);
        } else if retry.attempts == 0 && !retry.also.is_empty() {
            // Envoy's number where neither says one.
            retry.attempts = 1;
        }
        Overrides { retry, timeout }
    }

    /// The retries, and the timeout of the whole answer.
    pub(crate) fn way(&self) -> (&RetryPolicy, Option<Duration>) {
        (&self.retry, self.timeout)
    }
}

fn text(fields: &Fields, known: Known) -> Option<&str> {
    std::str::from_utf8(fields.find(known)?).ok().map(str::trim)
}

fn number(fields: &Fields, known: Known) -> Option<u64> {
    text(fields, known)?.parse().ok()
}

/// On what to try anew. Statuses count only where the word for them is there.
fn conditions(fields: &Fields) -> Conditions {
    let words = |known| text(fields, known).unwrap_or_default();
    let (http, grpc) = (words(Known::RetryOn), words(Known::RetryGrpcOn));
    let with_statuses = http.split(',').any(|word| word.trim() == "retriable-status-codes");
    let statuses = if with_statuses { words(Known::RetriableStatusCodes) } else { "" };
    Conditions::known(&[http, grpc, statuses].join(","))
}

#[cfg(test)]
mod tests {
    use meltemi_policy::retry::Failed;

    use super::*;

    fn taken(fields: &[(&str, &str)], retry: &RetryPolicy) -> Option<Overrides> {
        let mut head = RequestHead::default();
        fields.iter().for_each(|(name, value)| head.fields.push(name.as_bytes(), value.as_bytes()));
        head.fields.push(b"x-kept", b"1");
        let asked = Overrides::take(&mut head, retry, Some(Duration::from_secs(5)));
        assert_eq!(head.fields.len(), 1, "what was asked here goes no further");
        asked.map(|it| *it)
    }

    #[test]
    fn what_asks_for_nothing_costs_nothing() {
        assert_eq!(taken(&[], &RetryPolicy::default()), None);
    }

    #[test]
    fn a_timeout_takes_the_place_of_the_rules() {
        for (value, expected) in [
            ("200", Some(200)),
            ("60000", Some(60_000)),
            ("0", None),
            ("soon", Some(5000)),
            ("-1", Some(5000)),
        ] {
            let fields = [("x-envoy-upstream-rq-timeout-ms", value)];
            let asked = taken(&fields, &RetryPolicy::default()).unwrap();
            assert_eq!(asked.timeout, expected.map(Duration::from_millis), "{value}");
        }
        for (value, expected) in [("200", Some(200)), ("5000", None), ("0", None)] {
            let fields = [("x-envoy-upstream-rq-per-try-timeout-ms", value)];
            let asked = taken(&fields, &RetryPolicy::default()).unwrap();
            let expected = expected.map(Duration::from_millis);
            assert_eq!(asked.retry.per_try_timeout, expected, "{value}");
        }
    }

    #[test]
    fn retries_come_beside_the_rules() {
        let again = |asked: &Overrides, failed| asked.retry.again(1, b"POST", failed, true);
        let asked =
            taken(&[("x-envoy-retry-on", "5xx, nonsense")], &RetryPolicy::default()).unwrap();
        assert!(again(&asked, Failed::Status(500)) && again(&asked, Failed::NotConnected));
        assert!(!again(&asked, Failed::Status(404)) && !asked.retry.spares_success());
        let none = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
        let asked = taken(&[("x-envoy-retry-grpc-on", "unavailable")], &none).unwrap();
        assert!(again(&asked, Failed::GrpcStatus(14)) && !again(&asked, Failed::GrpcStatus(2)));
        assert_eq!(asked.retry.attempts, 1);
        let statuses = ("x-envoy-retriable-status-codes", "404,418");
        let asked = taken(&[statuses], &none).unwrap();
        assert!(!again(&asked, Failed::Status(404)));
        let fields = [("x-envoy-retry-on", "retriable-status-codes"), statuses];
        assert!(again(&taken(&fields, &none).unwrap(), Failed::Status(404)));
        for (value, expected) in [("0", 0), ("7", 7), ("4000000000", 100), ("many", 2)] {
            let fields = [("x-envoy-max-retries", value)];
            let asked = taken(&fields, &RetryPolicy::default()).unwrap();
            assert_eq!(asked.retry.attempts, expected, "{value}");
        }
    }
}
