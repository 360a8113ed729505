//! Routes of the Gateway API: for whom they are, what goes before what, what is told of them.

use meltemi_policy::route::rule::{Action, Api, HttpMatch, HttpRoute, PathMatch};

use super::rules::{object, put, record as virtual_service};
use super::*;
use crate::routes::{
    Parent, ParentOf, Rank, RankedRule, ReferenceGrantRecord, Referent, RouteRecord,
};

const HOST: &str = "hello.shop.svc.cluster.local";

/// A route with a rule to each of these hosts; their letters are their ranks.
fn record(parents: &[(&str, Option<u16>)], to: &[(&str, u32)]) -> RouteRecord {
    let parents = parents.iter().map(|(namespace, port)| Parent {
        of: ParentOf::Host(format!("hello.{namespace}.{SUFFIX}").parse().unwrap()),
        namespace: (*namespace).into(),
        port: *port,
    });
    let rules = to.iter().map(|(host, rank)| RankedRule {
        rank: [*rank; 5] as Rank,
        rule: HttpRoute {
            name: (*host).to_owned(),
            matches: vec![HttpMatch {
                uri: Some(PathMatch::Exact(format!("/{host}"))),
                ..HttpMatch::default()
            }],
            ..super::rules::route_to(host)
        },
    });
    RouteRecord {
        created: "2026".into(),
        parents: parents.collect(),
        rules: rules.collect(),
        ..RouteRecord::default()
    }
}

fn route(kind: ObjectKind, namespace: &str, name: &str, record: RouteRecord) -> Change {
    Change::Put(object(kind, namespace, name), Record::Route(record))
}

fn http(namespace: &str, name: &str, record: RouteRecord) -> Change {
    route(ObjectKind::HttpRoute, namespace, name, record)
}

/// The rules of a host: who sees them, and the names of each, with its port.
fn seen(snapshot: &Snapshot, host: &str) -> Vec<(String, Vec<String>)> {
    let services = snapshot.service(host).map(|it| it.rules.virtual_services.clone());
    let rules = services.iter().flat_map(|it| it.iter());
    rules
        .map(|rule| {
            let http = rule.http.iter().map(|it| {
                let name = match it.action {
                    Action::Itself => "itself",
                    Action::Nowhere => "nowhere",
                    _ => &it.name,
                };
                let ports = it.matches.iter().filter_map(|it| it.port);
                ports.fold(name.to_owned(), |name, port| format!("{name}:{port}"))
            });
            (
                format!("{}/{} {}", rule.namespace, rule.name, rule.export_to.join(",")),
                http.collect(),
            )
        })
        .collect()
}

fn is(found: Vec<(String, Vec<String>)>, expected: &[(&str, &[&str])]) {
    let expected: Vec<(String, Vec<String>)> = expected
        .iter()
        .map(|(rule, http)| ((*rule).into(), http.iter().map(|it| (*it).into()).collect()))
        .collect();
    assert_eq!(found, expected);
}

fn flaw(snapshot: &Snapshot, object: &Object) -> String {
    snapshot.rejected().get(object).cloned().unwrap_or_default()
}

#[test]
fn routes_of_one_service_are_one_rule_in_the_order_of_their_matches() {
    let mut model = model();
    let young =
        RouteRecord { created: "2027".into(), ..record(&[("shop", None)], &[("c", 2), ("d", 5)]) };
    let (snapshot, affected) = model.apply(
        1,
        [
            service("shop", "hello"),
            http("shop", "a-young", young),
            http("shop", "z-old", record(&[("shop", None)], &[("a", 2), ("b", 3)])),
            http("shop", "b-old", record(&[("shop", None)], &[("e", 2)])),
        ],
    );
    assert!(affected.services.iter().any(|it| it.as_str() == HOST));
    is(seen(&snapshot, HOST), &[("shop/b-old ", &["d", "b", "e", "a", "c"])]);
    let rule = &snapshot.service(HOST).unwrap().rules.virtual_services[0];
    assert_eq!((rule.api, rule.hosts.as_slice()), (Api::Gateway, &[HOST.to_owned()][..]));

    let (_, affected) =
        model.apply(2, [http("shop", "b-old", record(&[("shop", None)], &[("e", 2)]))]);
    assert!(affected.is_empty(), "nothing is new: {affected:?}");
    let gone = ["a-young", "z-old", "b-old"];
    let gone = gone.map(|name| Change::Remove(object(ObjectKind::HttpRoute, "shop", name)));
    let (snapshot, affected) = model.apply(3, gone);
    assert_eq!(affected.services.len(), 1);
    is(seen(&snapshot, HOST), &[]);
}

#[test]
fn a_consumers_routes_are_for_its_namespace_and_replace_the_producers() {
    let mut model = model();
    let (snapshot, _) = model.apply(
        1,
        [
            service("shop", "hello"),
            http("shop", "p", record(&[("shop", None)], &[("a", 1)])),
            http("far", "c", record(&[("shop", None)], &[("b", 1)])),
            http("far", "d", record(&[("shop", None)], &[("c", 2)])),
        ],
    );
    is(seen(&snapshot, HOST), &[("far/c .", &["c", "b"]), ("shop/p ", &["a"])]);
}

#[test]
fn a_route_of_a_port_is_for_that_port_alone() {
    let mut model = model();
    let p80 =
        || http("shop", "p80", record(&[("shop", Some(80)), ("shop", Some(81))], &[("a", 1)]));
    let (snapshot, _) = model.apply(1, [service("shop", "hello"), p80()]);
    let of_p80 = ["a:80", "a:81", "nowhere:80:81"];
    is(seen(&snapshot, HOST), &[("shop/p80 ", &[&of_p80[..], &["itself"]].concat())]);
    let consumer = http("far", "c", record(&[("shop", Some(81))], &[("b", 1)]));
    let (snapshot, _) = model.apply(2, [consumer]);
    let far = [&["b:81", "nowhere:81"], &of_p80[..], &["itself"]].concat();
    is(
        seen(&snapshot, HOST),
        &[("far/c .", &far), ("shop/p80 ", &[&of_p80[..], &["itself"]].concat())],
    );
    let whole = http("shop", "whole", record(&[("shop", None)], &[("w", 2)]));
    let (snapshot, _) = model.apply(3, [whole]);
    is(
        seen(&snapshot, HOST),
        &[
            ("far/c .", &["b:81", "nowhere:81", "w", "a:80", "a:81"]),
            ("shop/p80 ", &["w", "a:80", "a:81"]),
        ],
    );
}

#[test]
fn grpc_routes_go_before_http_routes_of_the_same_port() {
    let mut model = model();
    let grpc =
        |port| route(ObjectKind::GrpcRoute, "shop", "g", record(&[("shop", port)], &[("g", 1)]));
    let (snapshot, _) = model.apply(
        1,
        [
            service("shop", "hello"),
            http("shop", "h", record(&[("shop", None)], &[("h", 1)])),
            grpc(Some(80)),
        ],
    );
    is(seen(&snapshot, HOST), &[("shop/g ", &["g:80", "nowhere:80", "h"])]);
    let (snapshot, _) = model.apply(2, [grpc(None)]);
    is(seen(&snapshot, HOST), &[("shop/g ", &["g"])]);
    let h = object(ObjectKind::HttpRoute, "shop", "h");
    assert!(flaw(&snapshot, &h).contains("GRPCRoute shop/g"), "{:?}", snapshot.rejected());
    let gone = object(ObjectKind::GrpcRoute, "shop", "g");
    let (snapshot, _) = model.apply(3, [Change::Remove(gone)]);
    assert!(snapshot.rejected().is_empty());
    is(seen(&snapshot, HOST), &[("shop/h ", &["h"])]);
}

#[test]
fn of_routes_and_virtual_services_the_older_counts_but_consumers_go_first() {
    let mut model = model();
    let service_of = |name: &str, created: &str, host: &str| {
        let mut record = virtual_service("shop", name, &[host], &["x.com"]);
        record.created = created.into();
        put(record)
    };
    let (snapshot, _) = model.apply(
        1,
        [
            service("shop", "hello"),
            service_of("old", "2020", HOST),
            service_of("young", "2027", HOST),
            service_of("wide", "2019", "*.shop.svc.cluster.local"),
            http("shop", "p", record(&[("shop", None)], &[("a", 1)])),
            http("far", "c", record(&[("shop", None)], &[("b", 1)])),
        ],
    );
    let names: Vec<String> = seen(&snapshot, HOST).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(names, ["far/c .", "shop/old ", "shop/p ", "shop/young ", "shop/wide "]);
    let told = |kind, name| flaw(&snapshot, &object(kind, "shop", name));
    assert!(told(ObjectKind::HttpRoute, "p").contains("VirtualService shop/old"));
    assert!(told(ObjectKind::VirtualService, "young").contains("VirtualService shop/old"));
    let old = object(ObjectKind::VirtualService, "shop", "old");
    let (snapshot, _) = model.apply(2, [Change::Remove(old)]);
    let told = |kind, name| flaw(&snapshot, &object(kind, "shop", name));
    assert_eq!(told(ObjectKind::HttpRoute, "p"), "");
    assert!(told(ObjectKind::VirtualService, "young").contains("HTTPRoute shop/p"));
}

/// A route to a service of another namespace.
fn foreign(name: &str) -> RouteRecord {
    let to = format!("bye.far.{SUFFIX}");
    let referent = Referent { namespace: "far".into(), name: name.into() };
    RouteRecord {
        foreign: [(to.clone(), referent)].into(),
        ..record(&[("shop", None)], &[(&to, 1)])
    }
}

fn grant(namespace: &str, from: &str, to: Option<&str>) -> Change {
    let record = ReferenceGrantRecord {
        from: vec![(ObjectKind::HttpRoute, from.into())],
        to: vec![to.map(Into::into)],
    };
    Change::Put(object(ObjectKind::ReferenceGrant, namespace, "it"), Record::ReferenceGrant(record))
}

#[test]
fn services_of_other_namespaces_are_called_where_a_grant_allows_it() {
    for (kind, grants, is_allowed) in [
        (ObjectKind::HttpRoute, vec![], false),
        (ObjectKind::HttpRoute, vec![grant("far", "shop", None)], true),
        (ObjectKind::HttpRoute, vec![grant("far", "shop", Some("bye"))], true),
        (ObjectKind::HttpRoute, vec![grant("far", "shop", Some("other"))], false),
        (ObjectKind::HttpRoute, vec![grant("far", "near", None)], false),
        (ObjectKind::HttpRoute, vec![grant("shop", "shop", None)], false),
        (ObjectKind::GrpcRoute, vec![grant("far", "shop", None)], false),
    ] {
        let mut model = model();
        let told = format!("{kind:?} {grants:?}");
        model.apply(1, [service("shop", "hello"), service("far", "bye")]);
        model.apply(2, [route(kind, "shop", "it", foreign("bye"))]);
        let (snapshot, affected) = model.apply(3, grants);
        let rule = &snapshot.service(HOST).unwrap().rules.virtual_services[0];
        let Action::Route(to) = &rule.http[0].action else { panic!("{rule:?}") };
        assert_eq!(to[0].unusable.is_none(), is_allowed, "{told}");
        let bye = snapshot.service(&format!("bye.far.{SUFFIX}")).unwrap();
        assert_eq!(bye.rules.leading_here.len(), usize::from(is_allowed), "{told}");
        assert_eq!(!affected.services.is_empty(), is_allowed, "{told}");
        let flaw = flaw(&snapshot, &object(kind, "shop", "it"));
        assert_eq!(flaw.contains("ReferenceGrant"), !is_allowed, "{told}: {flaw}");
    }
}

#[test]
fn routes_follow_the_hosts_of_a_service_entry() {
    let mut model = model();
    let entry = object(ObjectKind::ServiceEntry, "shop", "out");
    let parent =
        Parent { of: ParentOf::Entry(entry.clone()), namespace: "shop".into(), port: None };
    let route = RouteRecord { parents: vec![parent], ..record(&[], &[("a", 1)]) };
    model.apply(1, [http("shop", "it", route)]);
    for hosts in [&["a.com", "b.com"][..], &["b.com"]] {
        let record = Record::Service(service_record(hosts, None));
        let (snapshot, _) = model.apply(2, [Change::Put(entry.clone(), record)]);
        for host in ["a.com", "b.com"] {
            assert_eq!(seen(&snapshot, host).len(), usize::from(hosts.contains(&host)), "{host}");
        }
    }
}

/// Any route or grant that comes or goes, over the hosts of [`super::any_change`].
pub(super) fn any_change() -> impl Strategy<Value = Change> {
    let namespace = || prop::sample::select(vec!["n", "m"]);
    let name = || prop::sample::select(vec!["a", "b"]);
    let kind = || prop::sample::select(vec![ObjectKind::HttpRoute, ObjectKind::GrpcRoute]);
    let parent = (namespace(), prop::option::of(80..82u16), any::<bool>()).prop_map(
        |(namespace, port, is_entry)| {
            let host = format!("x.{namespace}.{SUFFIX}").parse().unwrap();
            let of = match is_entry {
                true => ParentOf::Entry(object(ObjectKind::ServiceEntry, "n", "a")),
                false => ParentOf::Host(host),
            };
            Parent { of, namespace: namespace.into(), port }
        },
    );
    let created = prop::sample::select(vec!["2020", "2021"]);
    let parents = prop::collection::vec(parent, 0..3);
    let put = (kind(), namespace(), name(), parents, namespace(), created).prop_map(
        |(kind, namespace, name, parents, to, created)| {
            let host = format!("y.{to}.{SUFFIX}");
            let mut record = record(&[], &[(&host, 1), ("ext.example.com", 2)]);
            record.parents = parents;
            record.created = created.into();
            if to != namespace {
                let referent = Referent { namespace: to.into(), name: "y".into() };
                record.foreign = [(host, referent)].into();
            }
            route(kind, namespace, name, record)
        },
    );
    prop_oneof![
        put,
        (namespace(), namespace()).prop_map(|(namespace, from)| grant(namespace, from, None)),
        namespace().prop_map(|namespace| {
            Change::Remove(object(ObjectKind::ReferenceGrant, namespace, "it"))
        }),
        (kind(), namespace(), name())
            .prop_map(|(kind, namespace, name)| Change::Remove(object(kind, namespace, name))),
    ]
}
