use proptest::prelude::*;

use super::*;

const NEVER: Duration = Duration::ZERO;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn named(retry_on: &str) -> RetryPolicy {
    let rule = RetryRule { attempts: 2, retry_on: retry_on.into(), ..RetryRule::default() };
    RetryPolicy::from_rule(&rule).unwrap()
}

#[test]
fn only_what_is_safe_is_repeated() {
    let policy = RetryPolicy::default();
    for (made, method, failed, replayable, again) in [
        (1, "GET", Failed::NotDelivered, true, true),
        (1, "POST", Failed::NotDelivered, true, true),
        (2, "POST", Failed::NotDelivered, true, true),
        (3, "POST", Failed::NotDelivered, true, false),
        (1, "POST", Failed::NotDelivered, false, false),
        (1, "POST", Failed::NotConnected, true, true),
        (1, "POST", Failed::RefusedStream, true, true),
        (1, "GET", Failed::Broken, true, true),
        (1, "POST", Failed::Broken, true, false),
        (1, "PATCH", Failed::Broken, true, false),
        (1, "GET", Failed::PerTryTimedOut, true, true),
        (1, "POST", Failed::PerTryTimedOut, true, false),
        (1, "GET", Failed::Status(503), true, true),
        (1, "POST", Failed::Status(503), true, false),
        (1, "POST", Failed::GrpcStatus(14), true, false),
        (1, "GET", Failed::RateLimited, true, false),
        (1, "GET", Failed::Status(500), true, false),
        (1, "GET", Failed::Status(200), true, false),
        (1, "GET", Failed::TimedOut, true, false),
        (1, "GET", Failed::Overloaded, true, false),
    ] {
        let got = policy.again(made, method.as_bytes(), failed, replayable);
        assert_eq!(got, again, "{made} {method} {failed:?} {replayable}");
    }
}

#[test]
fn a_rule_gets_exactly_what_it_names() {
    use Failed::*;
    let all = [
        NotConnected,
        RefusedStream,
        NotDelivered,
        Broken,
        PerTryTimedOut,
        Status(200),
        Status(409),
        Status(429),
        Status(500),
        Status(503),
        Status(504),
        GrpcStatus(1),
        GrpcStatus(2),
        GrpcStatus(4),
        GrpcStatus(5),
        GrpcStatus(8),
        GrpcStatus(13),
        GrpcStatus(14),
        RateLimited,
        Overloaded,
        TimedOut,
    ];
    let resets = [NotConnected, RefusedStream, NotDelivered, Broken, PerTryTimedOut];
    let with = |more: &[Failed]| [&resets[..], more].concat();
    for (retry_on, expected) in [
        ("5xx", with(&[Status(500), Status(503), Status(504)])),
        ("gateway-error", with(&[Status(503), Status(504)])),
        ("reset", with(&[])),
        ("reset-before-request", vec![NotConnected, NotDelivered]),
        ("connect-failure", vec![NotConnected, NotDelivered]),
        ("refused-stream", vec![RefusedStream]),
        ("envoy-ratelimited", vec![RateLimited]),
        ("retriable-4xx", vec![Status(409)]),
        ("retriable-status-codes", vec![]),
        ("retriable-headers", vec![]),
        ("http3-post-connect-failure", vec![]),
        ("cancelled", vec![GrpcStatus(1)]),
        ("unknown", vec![GrpcStatus(2)]),
        ("deadline-exceeded", vec![GrpcStatus(4)]),
        ("resource-exhausted", vec![GrpcStatus(8)]),
        ("internal", vec![GrpcStatus(13)]),
        ("unavailable", vec![GrpcStatus(14)]),
        ("429", vec![Status(429)]),
        ("503", vec![NotDelivered, Status(503)]),
        ("retriable-status-codes, 500,429 ,", vec![Status(429), Status(500)]),
        ("refused-stream,unavailable,409", vec![RefusedStream, Status(409), GrpcStatus(14)]),
    ] {
        let policy = named(retry_on);
        for failed in all {
            let got = policy.again(1, b"POST", failed, true);
            assert_eq!(got, expected.contains(&failed), "{retry_on} after {failed:?}");
        }
    }
}

#[test]
fn a_rule_without_words_keeps_the_default_conditions() {
    let policy = named(" , ");
    assert_eq!(policy.on, RetryOn::Safe);
    assert!(policy.again(1, b"GET", Failed::Status(503), true));
    assert!(!policy.again(1, b"POST", Failed::Status(503), true));
}

#[test]
fn no_attempts_are_no_retries() {
    let rule = RetryRule { attempts: 0, retry_on: "5xx".into(), ..RetryRule::default() };
    let policy = RetryPolicy::from_rule(&rule).unwrap();
    assert!(!policy.again(1, b"GET", Failed::NotConnected, true));
}

#[test]
fn unknown_words_are_refused() {
    for word in ["5XX", "gateway_error", "600", "99", "reset before"] {
        let error = Conditions::parse(&format!("reset,{word}")).unwrap_err();
        assert_eq!(error, UnknownCondition(word.into()));
        assert!(error.to_string().contains(word));
    }
}

#[test]
fn the_rest_of_a_rule_is_taken_over() {
    let rule = RetryRule {
        attempts: 5,
        per_try_timeout_ms: Some(2000),
        retry_on: "5xx".into(),
        retry_remote_localities: true,
        retry_ignore_previous_hosts: Some(false),
        backoff_ms: Some(100),
    };
    let policy = RetryPolicy::from_rule(&rule).unwrap();
    assert_eq!((policy.attempts, policy.per_try_timeout), (5, Some(ms(2000))));
    assert_eq!((policy.back_off, policy.remote_localities), (ms(100), true));
    assert!(!policy.ignore_previous_hosts);
    let nothing = RetryRule {
        per_try_timeout_ms: Some(0),
        backoff_ms: Some(0),
        attempts: 2,
        ..RetryRule::default()
    };
    let policy = RetryPolicy::from_rule(&nothing).unwrap();
    assert_eq!((policy.per_try_timeout, policy.back_off), (None, ms(1)));
    assert!(policy.ignore_previous_hosts);
}

#[test]
fn an_answer_is_what_its_head_says() {
    for (status, grpc, limited, expected) in [
        (503, None, false, Failed::Status(503)),
        (200, Some(0), false, Failed::Status(200)),
        (200, Some(14), false, Failed::GrpcStatus(14)),
        (503, Some(14), false, Failed::Status(503)),
        (429, None, true, Failed::RateLimited),
    ] {
        assert_eq!(Failed::of_answer(status, grpc, limited), expected);
    }
}

#[test]
fn a_retry_that_cannot_finish_never_starts() {
    let policy = RetryPolicy::default();
    for (left, least, starts) in [
        (None, ms(1000), true),
        (Some(ms(100)), ms(10), true),
        (Some(ms(11)), ms(10), true),
        (Some(ms(10)), ms(10), false),
        (Some(ms(5)), ms(10), false),
        (Some(NEVER), NEVER, false),
    ] {
        let next = policy.next_attempt(1, u64::MAX, left, least);
        assert_eq!(next.is_some(), starts, "{left:?} {least:?}");
    }
}

#[test]
fn an_attempt_is_bounded_by_its_own_and_the_whole_time() {
    let rule = RetryRule { per_try_timeout_ms: Some(50), ..RetryRule::default() };
    let policy = RetryPolicy::from_rule(&rule).unwrap();
    assert_eq!(policy.attempt_timeout(None), Some(ms(50)));
    assert_eq!(policy.attempt_timeout(Some(ms(80))), Some(ms(50)));
    assert_eq!(policy.attempt_timeout(Some(ms(20))), Some(ms(20)));
    assert_eq!(RetryPolicy::default().attempt_timeout(None), None);
    let next = policy.next_attempt(1, 0, Some(ms(20)), NEVER).unwrap();
    assert_eq!(next, NextAttempt { wait: NEVER, timeout: Some(ms(20)) });
}

proptest! {
    /// The wait keeps Envoy's bounds, and the attempt's time is what is left of it.
    #[test]
    fn the_back_off_is_envoys(
        retry in 1u32..80,
        random: u64,
        base_ms in 1u64..1000,
        left_ms in proptest::option::of(1u64..5000),
    ) {
        let policy = RetryPolicy { back_off: ms(base_ms), ..RetryPolicy::default() };
        let next = policy.next_attempt(retry, random, left_ms.map(ms), NEVER).unwrap();
        let steps = if retry < 4 { (1 << retry) - 1 } else { 10 };
        prop_assert!(next.wait < ms(base_ms * steps));
        match left_ms {
            None => prop_assert_eq!(next.timeout, None),
            Some(left) => {
                prop_assert!(next.wait < ms(left));
                prop_assert_eq!(next.timeout, Some(ms(left) - next.wait));
            }
        }
    }
}
