//! Delegates: who stands in for whose route, and what is told of those that lead nowhere.

use meltemi_policy::route::rule::{HttpMatch, HttpRoute, PathMatch, StringMatch, VirtualService};

use super::rules::{object, put, record, route_to};
use super::*;
use crate::routes::VirtualServiceRecord;

/// A root whose routes are these, of which some delegate.
fn root(name: &str, host: &str, routes: Vec<(HttpRoute, Option<(&str, &str)>)>) -> Change {
    let mut record = record("shop", name, &[host], &[]);
    for (at, (route, delegate)) in routes.into_iter().enumerate() {
        record.rule.http.push(route);
        if let Some((namespace, name)) = delegate {
            record.delegates.insert(at, object(ObjectKind::VirtualService, namespace, name));
        }
    }
    put(record)
}

/// A virtual service without hosts.
fn delegate(namespace: &str, name: &str, http: Vec<HttpRoute>, export_to: &[&str]) -> Change {
    let record = record(namespace, name, &[], &[]);
    let export_to = export_to.iter().map(|it| (*it).to_owned()).collect();
    let rule = VirtualService { http, export_to, ..record.rule };
    put(VirtualServiceRecord { rule, ..record })
}

fn on(uri: PathMatch, route: HttpRoute) -> HttpRoute {
    let matches = vec![HttpMatch { uri: Some(uri), ..HttpMatch::default() }];
    HttpRoute { matches, ..route }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.into())
}

/// The host's routes: name, first path, timeout.
fn seen(snapshot: &Snapshot, host: &str) -> Vec<(String, Option<PathMatch>, Option<u64>)> {
    let Some(service) = snapshot.service(host) else { return Vec::new() };
    let routes = service.rules.virtual_services[0].http.iter();
    let uri = |route: &HttpRoute| route.matches.first().and_then(|it| it.uri.clone());
    routes.map(|route| (route.name.clone(), uri(route), route.timeout_ms)).collect()
}

fn flaw(snapshot: &Snapshot, name: &str) -> Option<String> {
    snapshot.rejected().get(&object(ObjectKind::VirtualService, "shop", name)).cloned()
}

const HOST: &str = "a.example.com";

#[test]
fn a_delegates_routes_stand_in_the_place_of_the_roots() {
    let mut model = model();
    let named = |name: &str, route: HttpRoute| HttpRoute { name: name.into(), ..route };
    let of_root = HttpRoute { timeout_ms: Some(7), ..on(prefix("/a"), route_to("")) };
    let root = root(
        "root",
        HOST,
        vec![
            (named("root", of_root), Some(("team", "d"))),
            (named("last", route_to("x.com")), None),
        ],
    );
    let (snapshot, _) = model.apply(1, [root]);
    assert_eq!(seen(&snapshot, HOST), [("last".into(), None, None)], "an unknown one is left out");
    assert!(flaw(&snapshot, "root").unwrap().contains("there is no VirtualService team/d"));

    let routes = vec![
        named(
            "exact",
            HttpRoute {
                timeout_ms: Some(9),
                ..on(PathMatch::Exact("/a/b".into()), route_to("b.com"))
            },
        ),
        named("outside", on(prefix("/c"), route_to("c.com"))),
        route_to("d.com"),
    ];
    let (snapshot, affected) = model.apply(2, [delegate("team", "d", routes.clone(), &[])]);
    assert!(affected.services.contains(&HOST.parse().unwrap()));
    assert_eq!(
        seen(&snapshot, HOST),
        [
            ("root-exact".into(), Some(PathMatch::Exact("/a/b".into())), Some(9)),
            ("root".into(), Some(prefix("/a")), Some(7)),
            ("last".into(), None, None),
        ]
    );
    let reason = flaw(&snapshot, "root").unwrap();
    assert!(reason.contains("http[1] of VirtualService team/d"), "{reason}");
    assert!(snapshot.service("b.com").is_none(), "where a route leads is no host of its own");

    let (snapshot, _) = model.apply(3, [delegate("team", "d", routes[2..].to_vec(), &["."])]);
    assert!(flaw(&snapshot, "root").unwrap().contains("not exported to namespace shop"));
    let (snapshot, _) = model.apply(4, [delegate("team", "d", routes[2..].to_vec(), &["shop"])]);
    assert_eq!(flaw(&snapshot, "root"), None);
    assert_eq!(seen(&snapshot, HOST).len(), 2);
    let (snapshot, _) =
        model.apply(5, [Change::Remove(object(ObjectKind::VirtualService, "team", "d"))]);
    assert_eq!(seen(&snapshot, HOST).len(), 1);
}

#[test]
fn circles_and_roots_in_the_place_of_delegates_are_told() {
    let mut model = model();
    let leads = |name: &str, host: &str, to: &str| {
        root(name, host, vec![(route_to(""), Some(("shop", to))), (route_to("x.com"), None)])
    };
    let (snapshot, _) = model.apply(
        1,
        [
            leads("a", "a.com", "b"),
            leads("b", "b.com", "c"),
            leads("c", "c.com", "a"),
            leads("self", "s.com", "self"),
        ],
    );
    for (name, host) in [("a", "a.com"), ("b", "b.com"), ("c", "c.com"), ("self", "s.com")] {
        assert!(flaw(&snapshot, name).unwrap().contains("in a circle"), "{name}");
        assert_eq!(seen(&snapshot, host).len(), 1, "{name}: its other route is in effect");
    }
    let (snapshot, _) =
        model.apply(2, [Change::Remove(object(ObjectKind::VirtualService, "shop", "c"))]);
    assert!(
        flaw(&snapshot, "a").unwrap().contains("has hosts of its own"),
        "{:?}",
        flaw(&snapshot, "a")
    );
    assert!(flaw(&snapshot, "b").unwrap().contains("there is no"));
}

/// What of a delegate's match lies within a root's.
#[test]
fn matches_are_combined_or_in_conflict() {
    let exact = |text: &str| StringMatch::Exact(text.into());
    let uri = |uri: PathMatch| HttpMatch { uri: Some(uri), ..HttpMatch::default() };
    let regex = || PathMatch::Regex("/a.*".into());
    let header =
        |it: StringMatch| HttpMatch { headers: [("x".into(), it)].into(), ..HttpMatch::default() };
    let port = |port| HttpMatch { port: Some(port), ..HttpMatch::default() };
    let gateways = |names: &[&str]| HttpMatch {
        gateways: names.iter().map(|it| (*it).to_owned()).collect(),
        ..HttpMatch::default()
    };
    let label = |value: &str| HttpMatch {
        source_labels: [("app".into(), value.into())].into(),
        ..HttpMatch::default()
    };
    let cases = [
        (uri(prefix("/a")), uri(prefix("/a/b")), Some(uri(prefix("/a/b")))),
        (uri(prefix("/a/b")), uri(prefix("/a")), None),
        (uri(PathMatch::Exact("/a".into())), uri(prefix("/a")), None),
        (uri(regex()), uri(prefix("/a")), None),
        (uri(prefix("/a")), uri(regex()), None),
        (uri(regex()), HttpMatch::default(), Some(uri(regex()))),
        (header(exact("1")), header(exact("1")), Some(header(exact("1")))),
        (header(exact("1")), header(exact("2")), None),
        (header(StringMatch::Present), header(exact("2")), Some(header(exact("2")))),
        (header(exact("1")), header(StringMatch::Present), None),
        (port(1), port(1), Some(port(1))),
        (port(1), port(2), None),
        (label("a"), label("a"), Some(label("a"))),
        (label("a"), label("b"), None),
        (gateways(&["mesh", "n/g"]), gateways(&["mesh"]), Some(gateways(&["mesh"]))),
        (gateways(&["mesh"]), gateways(&["n/g"]), None),
        (gateways(&["mesh"]), HttpMatch::default(), Some(gateways(&["mesh"]))),
        (
            header(exact("1")),
            uri(prefix("/a")),
            Some(HttpMatch { uri: Some(prefix("/a")), ..header(exact("1")) }),
        ),
        (HttpMatch { ignore_uri_case: true, ..uri(prefix("/a")) }, uri(prefix("/a")), None),
    ];
    for (of_root, of_leaf, expected) in cases {
        let matching =
            |it: &HttpMatch| HttpRoute { matches: vec![it.clone()], ..route_to("x.com") };
        let mut model = model();
        let (snapshot, _) = model.apply(
            1,
            [
                root("root", HOST, vec![(matching(&of_root), Some(("shop", "d")))]),
                delegate("shop", "d", vec![matching(&of_leaf)], &[]),
            ],
        );
        let routes = &snapshot.service(HOST).unwrap().rules.virtual_services[0].http;
        let found = routes.first().map(|route| route.matches[0].clone());
        assert_eq!(found, expected, "{of_root:?} {of_leaf:?}");
        assert_eq!(flaw(&snapshot, "root").is_some(), expected.is_none());
    }
}
