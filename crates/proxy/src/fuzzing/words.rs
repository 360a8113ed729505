//! What a request says beside where it goes: what it asks of the proxy beside it, and what it is hashed by.

use std::time::{Duration, Instant};

use meltemi_policy::destination::rule::{HashKey, HttpCookie};
use meltemi_policy::retry::RetryPolicy;

use crate::http::h1::encode;
use crate::http::h1::parse::{self, Limits};
use crate::http::h2::convert;
use crate::http::head::RequestHead;
use crate::http::known::Known;
use crate::outbound::deadline::Deadline;
use crate::outbound::overrides::{MOST_RETRIES, Overrides};
use crate::outbound::sticky::{self, Sticky};

/// A request's `x-envoy-*` fields and its `grpc-timeout`: what asks the proxy goes no further, all else does, and what is asked
/// for is bounded.
pub fn overrides(bytes: &[u8]) {
    let mut head = RequestHead::default();
    let Ok(Some(_)) = parse::request(bytes, Limits::CALLER, &mut head) else { return };
    let all = head.fields.len();
    let asking = head.fields.iter().filter(|(known, _, _)| known.is_asking()).count();
    let (rule, timeout) = (RetryPolicy::default(), Some(Duration::from_secs(5)));
    let asked = Overrides::take(&mut head, &rule, timeout);
    assert_eq!(asked.is_some(), asking > 0);
    assert_eq!(head.fields.len(), all - asking);
    assert!(Overrides::take(&mut head, &rule, timeout).is_none(), "it is asked once");
    if let Some(asked) = asked {
        let (retry, timeout) = asked.way();
        assert!(retry.attempts <= MOST_RETRIES.max(rule.attempts));
        let one = retry.per_try_timeout;
        assert!(one.is_none_or(|one| !one.is_zero() && timeout.is_none_or(|all| one < all)));
    }
    let now = Instant::now();
    if let Some(deadline) = Deadline::of(&head, None, now) {
        assert!(head.fields.find(Known::GrpcTimeout).is_some());
        assert_eq!(deadline.left(now), deadline.at().map(|at| at - now));
    }
}

/// What a request is hashed by. The next hop hashes it alike, over HTTP/1.1 and over HTTP/2, and a cookie that is made for it
/// leads its holder to the same place.
pub fn hash_key(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let key = match choice % 3 {
        0 => HashKey::HttpHeaderName("x-user".into()),
        1 => HashKey::HttpQueryParameterName("user".into()),
        _ => HashKey::HttpCookie(HttpCookie {
            name: "user".into(),
            path: "/".into(),
            ttl_ms: Some(1000),
            attributes: Vec::new(),
        }),
    };
    let mut head = RequestHead::default();
    let Ok(Some(_)) = parse::request(bytes, Limits::CALLER, &mut head) else { return };
    let of = |head: &RequestHead| sticky::by(&key, head, 80, "default/a", || 7);
    let first = of(&head);
    if let Sticky { hash, set_cookie: Some(cookie) } = &first {
        let mut next = RequestHead::default();
        let pair = cookie.split(';').next().unwrap_or_default();
        next.fields.push(b"cookie", pair.as_bytes());
        assert_eq!(of(&next), Sticky { hash: *hash, set_cookie: None }, "{cookie}");
        return;
    }
    let mut written = Vec::new();
    encode::request(&mut written, &head);
    let mut next = RequestHead::default();
    if let Ok(Some(_)) = parse::request(&written, Limits::PASSED_ON, &mut next) {
        assert_eq!(of(&next), first, "over HTTP/1.1");
    }
    next.clear();
    convert::fields(&convert::header_map(&head.fields), &mut next.fields);
    if next.fields.len() == head.fields.len() {
        next.set_target(head.target());
        next.set_authority(head.authority());
        assert_eq!(of(&next), first, "over HTTP/2");
    }
}
