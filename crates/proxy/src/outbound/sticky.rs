//! What a request is hashed by, where the same endpoint is to serve the same thing.

use std::time::Duration;

use meltemi_names::{is_cookie_text, is_header_name};
use meltemi_policy::balance::hash;
use meltemi_policy::destination::rule::{CookieAttribute, HashKey, HttpCookie};
use meltemi_policy::route::{Request, find_parameter};

use crate::config::Cluster;
use crate::http::head::RequestHead;
use crate::http::known::Known;
use crate::outbound::view::View;

/// The hash, and the cookie that the answer has to set so that the next request has it too.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sticky {
    pub(crate) hash: Option<u64>,
    pub(crate) set_cookie: Option<String>,
}

/// Finds what the cluster's policy hashes requests by. `own` is our workload's name; `random` becomes the value of a cookie
/// that is made here.
pub(crate) fn find(
    cluster: &Cluster,
    head: &RequestHead,
    own: &str,
    random: impl FnOnce() -> u64,
) -> Sticky {
    let balancer = cluster.policy.load_balancer.as_ref();
    let Some(rule) = balancer.and_then(|it| it.consistent_hash.as_ref()) else {
        return Sticky::default();
    };
    match &rule.key {
        None => Sticky::default(),
        Some(key) => by(key, head, cluster.port, own, random),
    }
}

/// What a request to a port is hashed by.
pub(crate) fn by(
    key: &HashKey,
    head: &RequestHead,
    port: u16,
    own: &str,
    random: impl FnOnce() -> u64,
) -> Sticky {
    let of = |value: Option<&[u8]>| Sticky { hash: value.map(hash), set_cookie: None };
    match key {
        HashKey::HttpHeaderName(name) => of(View { head, port }.header(name).as_deref()),
        HashKey::HttpQueryParameterName(name) => of(find_parameter(head.target(), name.as_bytes())),
        // The application beside this proxy is the one caller, and is called from a loopback address like all others: its
        // workload's name stands for it.
        HashKey::UseSourceIp => of(Some(own.as_bytes())),
        HashKey::HttpCookie(cookie) => match crumb(head, cookie.name.as_bytes()) {
            Some(value) => of(Some(value)),
            None => bake(cookie, random),
        },
    }
}

/// A cookie's value.
fn crumb<'h>(head: &'h RequestHead, name: &[u8]) -> Option<&'h [u8]> {
    let pairs = head.fields.find_all(Known::Cookie).flat_map(|value| value.split(|it| *it == b';'));
    let mut pairs = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    });
    let value = pairs.find(|(own, _)| *own == name)?.1;
    Some(value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value))
}

/// Whether a cookie made by the rule is one cookie, and breaks no answer (RFC 6265, section 4.1.1). The control plane lets no
/// other rule through; a proxy does not rely on that for what it writes into answers.
fn is_whole(rule: &HttpCookie) -> bool {
    let is_attribute = |it: &CookieAttribute| is_header_name(&it.name) && is_cookie_text(&it.value);
    is_header_name(&rule.name)
        && is_cookie_text(&rule.path)
        && rule.attributes.iter().all(is_attribute)
}

/// Makes a cookie, if the rule has a life for it.
fn bake(rule: &HttpCookie, random: impl FnOnce() -> u64) -> Sticky {
    let Some(ttl) = rule.ttl_ms.filter(|_| is_whole(rule)) else { return Sticky::default() };
    let value = format!("{:016x}", random());
    let mut cookie = format!("{}=\"{value}\"", rule.name);
    if ttl > 0 {
        cookie += &format!("; Max-Age={}", Duration::from_millis(ttl).as_secs());
    }
    if !rule.path.is_empty() {
        cookie += &format!("; Path={}", rule.path);
    }
    for attribute in &rule.attributes {
        cookie += &match &*attribute.value {
            "" => format!("; {}", attribute.name),
            value => format!("; {}={value}", attribute.name),
        };
    }
    cookie += "; HttpOnly";
    Sticky { hash: Some(hash(value.as_bytes())), set_cookie: Some(cookie) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_and_made() {
        let mut head = RequestHead::default();
        head.fields.push(b"cookie", b"a=1; user=\"x y\" ;b");
        head.fields.push(b"cookie", b"c=3");
        for (name, value) in
            [("a", Some("1")), ("user", Some("x y")), ("c", Some("3")), ("b", None), ("d", None)]
        {
            assert_eq!(crumb(&head, name.as_bytes()), value.map(str::as_bytes), "{name}");
        }
        let rule = HttpCookie {
            name: "user".into(),
            path: "/shop".into(),
            ttl_ms: Some(60_000),
            attributes: Vec::new(),
        };
        let made = bake(&rule, || 7);
        let expected = "user=\"0000000000000007\"; Max-Age=60; Path=/shop; HttpOnly";
        assert_eq!(made.set_cookie.as_deref(), Some(expected));
        assert_eq!(made.hash, Some(hash(b"0000000000000007")));
        assert_eq!(bake(&HttpCookie { ttl_ms: None, ..rule.clone() }, || 7), Sticky::default());
        let attribute = |name: &str, value: &str| HttpCookie {
            attributes: vec![CookieAttribute { name: name.into(), value: value.into() }],
            ..rule.clone()
        };
        assert!(bake(&attribute("SameSite", "Lax"), || 7).set_cookie.is_some());
        for broken in [
            HttpCookie { name: "a\r\nset-cookie: b".into(), ..rule.clone() },
            HttpCookie { name: "a b".into(), ..rule.clone() },
            HttpCookie { path: "/; Domain=example.com".into(), ..rule.clone() },
            HttpCookie { path: "/\r\nx: y".into(), ..rule.clone() },
            attribute("a;b", ""),
            attribute("", "b"),
            attribute("a", "b\nc: d"),
        ] {
            assert_eq!(bake(&broken, || 7), Sticky::default(), "{broken:?}");
        }
    }
}
