use std::time::Duration;

use super::*;
use crate::retry::{Failed, RetryPolicy};

fn header(name: &str, value: &str) -> Header {
    Header { name: name.into(), value: value.into() }
}

fn ops(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> HeaderOperations {
    let all =
        |list: &[(&str, &str)]| list.iter().map(|(name, value)| header(name, value)).collect();
    let remove = remove.iter().map(|name| name.to_string()).collect();
    HeaderOperations { set: all(set), add: all(add), remove }
}

fn rewriting(path: PathMatch, rewrite: PathRewrite) -> HttpTable {
    let rewrite = Some(Rewrite { uri: Some(rewrite), authority: None });
    only(HttpRoute { rewrite, ..route("it", vec![uri(path)]) })
}

/// Numbers that are spread over all of `u64`, the same in every run.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Whether a count is within three standard deviations of its share.
fn is_share(count: u32, of: u32, share: f64) -> bool {
    let deviation = (f64::from(of) * share * (1.0 - share)).sqrt();
    (f64::from(count) - f64::from(of) * share).abs() <= 3.0 * deviation
}

#[test]
fn destinations_get_their_share() {
    let all = [("a", 10), ("b", 0), ("c", 75), ("d", 15)];
    let list = all.iter().map(|(host, weight)| destination(host, *weight)).collect();
    let table = only(acting("it", Action::Route(list)));
    let found = table.find(&Call::get("/")).unwrap();
    let mut random = numbers();
    let mut counts = BTreeMap::new();
    for _ in 0..100_000 {
        let target = found.destination(random()).unwrap();
        assert_eq!(all[target.index].0, target.destination.host);
        *counts.entry(target.destination.host.as_str()).or_insert(0) += 1;
    }
    assert!(!counts.contains_key("b"));
    for (host, weight) in all.iter().filter(|(_, weight)| *weight > 0) {
        assert!(is_share(counts[host], 100_000, f64::from(*weight) / 100.0), "{counts:?}");
    }
}

#[test]
fn the_only_destination_gets_all() {
    for weight in [0, 1, 30, u32::MAX] {
        let list = vec![destination("a", weight)];
        let table = only(acting("it", Action::Route(list)));
        let found = table.find(&Call::get("/")).unwrap();
        for random in [0, 1, u64::MAX] {
            assert_eq!(found.destination(random).unwrap().destination.host, "a");
        }
    }
}

#[test]
fn paths_are_rewritten() {
    let put = |text: &str| PathRewrite::Prefix(text.into());
    let full = |text: &str| PathRewrite::Full(text.into());
    let parts = |pattern: &str, rewrite: &str| PathRewrite::Regex {
        pattern: pattern.into(),
        rewrite: rewrite.into(),
    };
    for (path, rewrite, asked, expected) in [
        (prefix("/a"), put("/x"), "/a/b?c=d", "/x/b?c=d"),
        (prefix("/a/"), put("/"), "/a/b", "/b"),
        (prefix("/a"), put("/"), "/a/b", "//b"),
        (prefix("/a"), put("/x"), "/ab", "/xb"),
        (prefix("/"), put("/x/"), "/b", "/x/b"),
        (regex("*"), put("/x/"), "/b", "/x/b"),
        (exact("/a"), put("/x"), "/a?b", "/x?b"),
        (regex("/a.*"), put("/x"), "/ab?c", "/x?c"),
        (segments("/a"), put("/x"), "/a/b", "/x/b"),
        (segments("/a"), put("/x/"), "/a/b", "/x/b"),
        (segments("/a/"), put("/"), "/a/b", "/b"),
        (segments("/a"), put("/"), "/a", "/"),
        (segments("/a"), put(""), "/a?b", "/?b"),
        (segments("/"), put("/x"), "/a", "/x/a"),
        (prefix("/a"), full("/x"), "/a/b?c", "/x?c"),
        (prefix("/a"), put("x"), "/a/b", "/x/b"),
        (prefix("/"), parts("/v([0-9]+)/(.*)", r"/\2/v\1\\"), "/v1/a?v2/", r"/a/v1\?v2/"),
        (prefix("/"), parts("a", r"[\0]"), "/abab", "/[a]b[a]b"),
        (prefix("/"), parts("(x)?b", r"\1c"), "/abxb", "/acxc"),
        (prefix("/"), parts("nothing", "x"), "/a?b", "/a?b"),
        (prefix("/"), parts(".*", ""), "/a?b", "/?b"),
    ] {
        let table = rewriting(path.clone(), rewrite.clone());
        let mut out = b"before ".to_vec();
        assert!(table.find(&Call::get(asked)).unwrap().rewrite_path(asked.as_bytes(), &mut out));
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, format!("before {expected}"), "{path:?} {rewrite:?}");
    }
    let table = only(route("it", vec![]));
    let mut out = Vec::new();
    assert!(!table.find(&Call::get("/a")).unwrap().rewrite_path(b"/a", &mut out));
    assert!(out.is_empty());
}

#[test]
fn a_folded_prefix_is_rewritten_by_its_length() {
    let rewrite = Some(Rewrite { uri: Some(PathRewrite::Prefix("/x".into())), authority: None });
    let one = HttpMatch { ignore_uri_case: true, ..uri(prefix("/Api")) };
    let table = only(HttpRoute { rewrite, ..route("it", vec![one]) });
    let mut out = Vec::new();
    table.find(&Call::get("/aPI/b")).unwrap().rewrite_path(b"/aPI/b", &mut out);
    assert_eq!(out, b"/x/b");
}

#[test]
fn headers_are_changed_at_both_levels_in_envoys_order() {
    let of = |level: &str| {
        let value = |what: &str| format!("{level}-{what}");
        let request = ops(&[("X-A", &value("set"))], &[("X-B", &value("add"))], &["X-C"]);
        let response = ops(&[("X-R", &value("set"))], &[], &[]);
        Headers { request, response }
    };
    let compiled = |count: usize| {
        let one = HttpRouteDestination { headers: of("own"), ..destination("a", 1) };
        let action = Action::Route(vec![one; count]);
        only(HttpRoute { headers: of("route"), ..acting("it", action) })
    };
    let (remove, set, add) = (HeaderEdit::Remove, HeaderEdit::Set, HeaderEdit::Add);
    let level = |level: &str| {
        let value = |what: &str| format!("{level}-{what}").into();
        [set("x-a".into(), value("set")), add("x-b".into(), value("add"))]
    };
    let removal = || [remove("x-c".into())];
    let single =
        [removal().to_vec(), removal().to_vec(), level("route").to_vec(), level("own").to_vec()];
    let several =
        [removal().to_vec(), level("own").to_vec(), removal().to_vec(), level("route").to_vec()];
    for (count, expected) in [(1, single.concat()), (2, several.concat())] {
        let table = compiled(count);
        let found = table.find(&Call::get("/")).unwrap();
        let target = found.destination(0).unwrap();
        assert_eq!(target.request_headers(), expected);
        assert_eq!(target.response_headers().len(), 2);
        assert_eq!(found.response_headers(), [set("x-r".into(), "route-set".into())]);
    }
}

#[test]
fn the_authority_is_rewritten_by_the_rewrite_or_a_header() {
    let host = |value: &str| Headers {
        request: ops(&[("Host", value), (":path", "/x")], &[], &["host"]),
        ..Headers::default()
    };
    for (rewrite, route_host, own_host, single, several) in [
        (Some("r"), Some("h"), Some("o"), Some("r"), Some("o")),
        (None, Some("h"), Some("o"), Some("h"), Some("o")),
        (None, None, Some("o"), Some("o"), Some("o")),
        (Some("r"), None, None, Some("r"), Some("r")),
        (None, None, None, None, None),
    ] {
        for (count, expected) in [(1, single), (2, several)] {
            let headers = own_host.map(host).unwrap_or_default();
            let one = HttpRouteDestination { headers, ..destination("a", 1) };
            let rewrite = rewrite.map(|it| Rewrite { uri: None, authority: Some(it.into()) });
            let headers = route_host.map(host).unwrap_or_default();
            let base = acting("it", Action::Route(vec![one; count]));
            let table = only(HttpRoute { rewrite, headers, ..base });
            let target = table.find(&Call::get("/")).unwrap().destination(0).unwrap();
            assert_eq!(target.authority(), expected);
            assert_eq!(target.request_headers(), []);
        }
    }
    let added = Headers { request: ops(&[], &[(":authority", "x")], &[]), ..Headers::default() };
    let table = only(HttpRoute { headers: added, ..route("it", vec![]) });
    let target = table.find(&Call::get("/")).unwrap().destination(0).unwrap();
    assert_eq!(target.authority(), Some("x"));
}

#[test]
fn timeouts_and_retries_are_the_rules() {
    let table = only(route("it", vec![]));
    let found = table.find(&Call::get("/")).unwrap();
    assert_eq!((found.timeout(), found.retry()), (None, &RetryPolicy::default()));
    let retries = RetryRule { attempts: 4, retry_on: "5xx".into(), ..RetryRule::default() };
    for (timeout_ms, expected) in [(0, None), (1500, Some(Duration::from_millis(1500)))] {
        let retries = Some(retries.clone());
        let rule = HttpRoute { timeout_ms: Some(timeout_ms), retries, ..route("it", vec![]) };
        let table = only(rule);
        let found = table.find(&Call::get("/")).unwrap();
        assert_eq!(found.timeout(), expected);
        assert!(found.retry().again(4, b"POST", Failed::Status(500), true));
    }
}

#[test]
fn faults_and_copies_take_their_share() {
    let percentage = Percentage::from_percent(12.5);
    let delay = Some(Delay { fixed_delay_ms: 30, percentage });
    let with = AbortWith::GrpcStatus(14);
    let abort = Some(Abort { with, percentage: Percentage::from_fraction(1, 3) });
    let mirror = |host: &str, percentage| Mirror {
        destination: Destination { host: host.into(), ..Destination::default() },
        percentage,
    };
    let mirrors = vec![
        mirror("all", Percentage::ALL),
        mirror("none", Percentage::NONE),
        mirror("half", Percentage::from_percent(50.0)),
    ];
    let fault = Fault { delay, abort };
    let table = only(HttpRoute { fault, mirrors, ..route("it", vec![]) });
    let found = table.find(&Call::get("/")).unwrap();
    let mut random = numbers();
    let (mut delays, mut aborts, mut halves) = (0, 0, 0);
    for _ in 0..100_000 {
        let faults = found.faults(&mut random);
        delays += u32::from(faults.delay == Some(Duration::from_millis(30)));
        aborts += u32::from(faults.abort == Some(with));
        let copies: Vec<&str> = found.mirrors(&mut random).map(|it| it.host.as_str()).collect();
        match copies[..] {
            ["all"] => {}
            ["all", "half"] => halves += 1,
            _ => panic!("{copies:?}"),
        }
    }
    assert!(is_share(delays, 100_000, 0.125), "{delays}");
    assert!(is_share(aborts, 100_000, 1.0 / 3.0), "{aborts}");
    assert!(is_share(halves, 100_000, 0.5), "{halves}");
}

#[test]
fn shares_have_bounds() {
    for (percent, expected) in
        [(-1.0, 0), (0.0, 0), (0.0001, 1), (50.0, 500_000), (200.0, 1_000_000), (f64::NAN, 0)]
    {
        assert_eq!(Percentage::from_percent(percent).parts_per_million(), expected);
    }
    for (numerator, denominator, expected) in [(1, 4, 250_000), (5, 4, 1_000_000), (1, 0, 0)] {
        let share = Percentage::from_fraction(numerator, denominator);
        assert_eq!(share.parts_per_million(), expected);
    }
}

#[test]
fn answers_are_given_at_once() {
    let body = Some(Body::of(b"teapot".to_vec()));
    let answer = DirectResponse { status: 418, body };
    let headers = Headers { response: ops(&[("x", "y")], &[], &[]), ..Headers::default() };
    let base = acting("it", Action::DirectResponse(answer.clone()));
    let table = only(HttpRoute { headers, ..base });
    let found = table.find(&Call::get("/")).unwrap();
    assert_eq!(found.direct_response(), Some(&answer));
    assert_eq!(found.response_headers(), [HeaderEdit::Set("x".into(), "y".into())]);
    assert!(found.destination(0).is_none());
    assert!(found.redirect(&Call::get("/"), &mut Vec::new()).is_none());
    assert_eq!(Body::of(vec![0xff]), Body::Bytes(vec![0xff]));
    assert_eq!(answer.body.unwrap().as_bytes(), b"teapot");
}

fn cors() -> CorsPolicy {
    CorsPolicy {
        allow_origins: vec![
            StringMatch::Exact("https://a.com".into()),
            StringMatch::Regex(r"https://.*\.b\.com".into()),
        ],
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_headers: vec!["x-a".into()],
        expose_headers: vec!["x-b".into()],
        max_age_s: Some(86400),
        allow_credentials: true,
        unmatched_preflights: UnmatchedPreflights::Forward,
    }
}

#[test]
fn pages_of_named_origins_may_call() {
    let asking = |origin: &str| Call::get("/").with("origin", origin);
    let preflight = |origin: &str| {
        asking(origin).method("OPTIONS").with("access-control-request-method", "PUT")
    };
    let table = only(HttpRoute { cors_policy: Some(cors()), ..route("it", vec![]) });
    let decide = |call: &Call| table.find(call).unwrap().cors(call);
    let list = |headers: &[(&str, Box<str>)]| {
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    let Cors::Preflight { is_allowed: true, headers } = decide(&preflight("https://a.com")) else {
        panic!("no answer");
    };
    let expected = [
        "access-control-allow-methods: GET,PUT",
        "access-control-allow-headers: x-a",
        "access-control-max-age: 86400",
        "access-control-allow-credentials: true",
    ];
    assert_eq!(list(headers), expected);
    let Cors::Allowed { headers } = decide(&asking("https://x.b.com")) else {
        panic!("not allowed");
    };
    let expected = ["access-control-expose-headers: x-b", "access-control-allow-credentials: true"];
    assert_eq!(list(headers), expected);
    let plain_options = asking("https://a.com").method("OPTIONS");
    assert!(matches!(decide(&plain_options), Cors::Allowed { .. }));
    for call in [Call::get("/"), asking(""), asking("https://c.com"), preflight("https://c.com")] {
        assert_eq!(decide(&call), Cors::Pass, "{call:?}");
    }
}

#[test]
fn preflights_of_other_origins_can_end_here() {
    let unmatched_preflights = UnmatchedPreflights::Ignore;
    let policy = CorsPolicy { unmatched_preflights, ..cors() };
    let table = only(HttpRoute { cors_policy: Some(policy), ..route("it", vec![]) });
    let asking = Call::get("/").with("origin", "https://c.com");
    let call = asking.clone().method("OPTIONS").with("access-control-request-method", "PUT");
    let expected = Cors::Preflight { is_allowed: false, headers: &[] };
    assert_eq!(table.find(&call).unwrap().cors(&call), expected);
    assert_eq!(table.find(&asking).unwrap().cors(&asking), Cors::Pass);
}

#[test]
fn a_star_is_every_origin() {
    for origin in [StringMatch::Exact("*".into()), StringMatch::Regex(".*".into())] {
        let policy = CorsPolicy { allow_origins: vec![origin], ..CorsPolicy::default() };
        let table = only(HttpRoute { cors_policy: Some(policy), ..route("it", vec![]) });
        let call = Call::get("/").with("origin", "null");
        let cors = table.find(&call).unwrap().cors(&call);
        assert!(matches!(cors, Cors::Allowed { headers } if headers.is_empty()), "{cors:?}");
    }
}
