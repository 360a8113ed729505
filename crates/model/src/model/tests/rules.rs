//! Which rules a host has, in which order, and what a change of one touches.

use meltemi_policy::destination::rule::DestinationRule;
use meltemi_policy::route::rule::{
    Action, Destination, HttpRoute, HttpRouteDestination, VirtualService,
};

use super::*;
use crate::destinations::DestinationRuleRecord;
use crate::routes::VirtualServiceRecord;
use crate::sidecar::SidecarRecord;

pub(super) fn object(kind: ObjectKind, namespace: &str, name: &str) -> Object {
    Object::new(kind, namespace, name)
}

/// A route to a host.
pub(super) fn route_to(host: &str) -> HttpRoute {
    let destination = Destination { host: host.into(), ..Destination::default() };
    let to = HttpRouteDestination { destination, ..HttpRouteDestination::default() };
    HttpRoute::of(Action::Route(vec![to]))
}

/// A virtual service of these hosts, with a route to each destination.
pub(super) fn record(
    namespace: &str,
    name: &str,
    hosts: &[&str],
    to: &[&str],
) -> VirtualServiceRecord {
    VirtualServiceRecord {
        created: "2026".into(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        rule: VirtualService {
            name: name.into(),
            namespace: namespace.into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            http: to.iter().map(|host| route_to(host)).collect(),
            ..VirtualService::default()
        },
        delegates: BTreeMap::new(),
    }
}

pub(super) fn put(record: VirtualServiceRecord) -> Change {
    let object = object(ObjectKind::VirtualService, &record.rule.namespace, &record.rule.name);
    Change::Put(object, Record::VirtualService(record))
}

pub(super) fn routes(name: &str, hosts: &[&str], to: &[&str]) -> Change {
    put(record("shop", name, hosts, to))
}

fn aged(name: &str, hosts: &[&str], created: &str) -> Change {
    put(VirtualServiceRecord { created: created.into(), ..record("shop", name, hosts, &["x.com"]) })
}

fn destination_rule(namespace: &str, name: &str, host: &str, created: &str) -> Change {
    let rule = DestinationRule {
        name: name.into(),
        namespace: namespace.into(),
        created: created.into(),
        host: host.into(),
        ..DestinationRule::default()
    };
    let record =
        DestinationRuleRecord { host: host.parse().unwrap(), rule, credentials: BTreeSet::new() };
    Change::Put(
        object(ObjectKind::DestinationRule, namespace, name),
        Record::DestinationRule(record),
    )
}

/// Names of a host's virtual services and destination rules.
fn rules(snapshot: &Snapshot, host: &str) -> (Vec<String>, Vec<String>) {
    let Some(service) = snapshot.service(host) else { return Default::default() };
    let rules = &service.rules;
    (
        rules.virtual_services.iter().map(|it| it.name.clone()).collect(),
        rules.destination_rules.iter().map(|it| it.name.clone()).collect(),
    )
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Any rule that comes or goes, over the hosts of [`super::any_change`].
pub(super) fn any_change() -> impl Strategy<Value = Change> {
    let hosts =
        ["x.n.svc.cluster.local", "*.n.svc.cluster.local", "v.example.com", "*.example.com", "*"];
    let host = move || prop::sample::select(hosts.to_vec());
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let created = || prop::sample::select(vec!["2020", "2021"]);
    let delegate = prop::option::of(name());
    let virtual_service =
        (name(), prop::collection::btree_set(host(), 0..3), host(), created(), delegate);
    prop_oneof![
        virtual_service.prop_map(|(name, hosts, to, created, delegate)| {
            let hosts: Vec<&str> = hosts.into_iter().collect();
            let mut record = record("n", name, &hosts, &[to, to]);
            record.created = created.into();
            let delegates = delegate.into_iter().filter(|_| !hosts.is_empty());
            record.delegates =
                delegates.map(|it| (1, object(ObjectKind::VirtualService, "n", it))).collect();
            put(record)
        }),
        (name(), host(), created())
            .prop_map(|(name, host, created)| destination_rule("n", name, host, created)),
        (name(), created(), any::<bool>()).prop_map(|(name, created, is_default)| {
            let selector = (!is_default).then(|| labels(&[("app", "x")]));
            let record =
                SidecarRecord { created: created.into(), selector, ..SidecarRecord::default() };
            Change::Put(object(ObjectKind::Sidecar, "n", name), Record::Sidecar(record))
        }),
        (
            prop::sample::select(vec![
                ObjectKind::VirtualService,
                ObjectKind::DestinationRule,
                ObjectKind::Sidecar
            ]),
            name()
        )
            .prop_map(|(kind, name)| Change::Remove(object(kind, "n", name))),
    ]
}

const HELLO: &str = "hello.shop.svc.cluster.local";
const BYE: &str = "bye.shop.svc.cluster.local";

#[test]
fn rules_come_the_most_specific_host_first_and_then_the_older() {
    let mut model = model();
    let wide = "*.shop.svc.cluster.local";
    let (snapshot, _) = model.apply(
        1,
        [
            aged("wide", &["*.local", "x.com"], "2020"),
            aged("young", &[HELLO], "2022"),
            aged("old", &[HELLO, wide], "2021"),
            aged("near", &[wide], "2020"),
            destination_rule("istio-system", "all", "*.local", "2020"),
            destination_rule("shop", "own", HELLO, "2023"),
            destination_rule("other", "theirs", HELLO, "2022"),
            service("shop", "hello"),
            service("shop", "bye"),
        ],
    );
    let expected = (names(&["old", "young", "near", "wide"]), names(&["theirs", "own", "all"]));
    assert_eq!(rules(&snapshot, HELLO), expected);
    let expected = (names(&["near", "old", "wide"]), names(&["all"]));
    assert_eq!(rules(&snapshot, BYE), expected, "by its most specific host each");
    let (snapshot, affected) = model.apply(2, [aged("young", &[HELLO], "2019")]);
    assert_eq!(rules(&snapshot, HELLO).0, ["young", "old", "near", "wide"]);
    assert!(affected.services.contains(&HELLO.parse().unwrap()), "another order is a change");
}

#[test]
fn a_rule_touches_the_hosts_that_it_covers_and_no_other() {
    let mut model = model();
    model.apply(1, [service("shop", "hello"), service("shop", "bye"), service("other", "x")]);
    model.apply(2, [workload("shop", "a", "hello", 8001)]);
    let touched = |affected: &Affected| {
        assert!(affected.endpoints.is_empty() && affected.workloads.is_empty(), "{affected:?}");
        affected.services.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (before, affected) = model.apply(3, [destination_rule("shop", "d", HELLO, "2020")]);
    assert_eq!(touched(&affected), [HELLO]);
    assert_eq!(before.service(HELLO).unwrap().endpoints.len(), 1, "endpoints are left as they are");
    let (_, affected) = model.apply(4, [destination_rule("shop", "d", HELLO, "2020")]);
    assert!(affected.is_empty(), "the same again");

    let wide = "*.shop.svc.cluster.local";
    let (after, affected) = model.apply(5, [destination_rule("shop", "d", wide, "2020")]);
    assert_eq!(touched(&affected), [BYE, HELLO]);
    let before = &before.service(HELLO).unwrap().rules;
    assert_eq!(before.destination_rules[0].host, HELLO, "old snapshots stay as they were");
    let rules = &after.service(HELLO).unwrap().rules;
    let others = &after.service(BYE).unwrap().rules;
    assert!(Arc::ptr_eq(&rules.destination_rules[0], &others.destination_rules[0]), "shared");

    let (_, affected) = model.apply(6, [routes("v", &[HELLO], &[HELLO])]);
    assert_eq!(touched(&affected), [HELLO]);
    let (_, affected) = model.apply(7, [routes("v", &[HELLO], &[BYE])]);
    assert_eq!(touched(&affected), [BYE, HELLO], "who sees the route sees where it leads");
    let gone = [
        Change::Remove(object(ObjectKind::VirtualService, "shop", "v")),
        Change::Remove(object(ObjectKind::DestinationRule, "shop", "d")),
    ];
    let (snapshot, affected) = model.apply(8, gone);
    assert_eq!(touched(&affected), [BYE, HELLO]);
    assert_eq!(self::rules(&snapshot, HELLO), Default::default());
    assert_eq!(model.objects().len(), 4, "three services and a workload");
}

#[test]
fn of_two_virtual_services_for_one_host_the_younger_is_told_that_it_does_not_count() {
    let mut model = model();
    let limited = VirtualServiceRecord {
        rule: VirtualService {
            export_to: vec![".".into()],
            ..record("shop", "a", &[HELLO], &[BYE]).rule
        },
        ..record("shop", "a", &[HELLO], &[BYE])
    };
    let changes =
        [put(limited), routes("b", &[HELLO], &[BYE]), routes("c", &[HELLO, "x.com"], &[BYE])];
    let (snapshot, _) = model.apply(1, changes);
    let rejected = |snapshot: &Snapshot| {
        let rejected = snapshot.rejected().iter();
        rejected.map(|(object, reason)| format!("{}: {reason}", object.name)).collect::<Vec<_>>()
    };
    let told = format!("c: host {HELLO} is VirtualService shop/b's already; rename one of them");
    assert_eq!(rejected(&snapshot), [told], "the first one is for its own namespace alone");
    let (snapshot, _) = model.apply(2, [routes("c", &["x.com"], &[BYE])]);
    assert!(snapshot.rejected().is_empty());
    let (snapshot, _) = model.apply(3, [routes("c", &[HELLO], &[BYE])]);
    assert_eq!(snapshot.rejected().len(), 1);
    let gone = Change::Remove(object(ObjectKind::VirtualService, "shop", "b"));
    assert!(model.apply(4, [gone]).0.rejected().is_empty());
}

#[test]
fn a_host_that_only_a_virtual_service_names_can_be_called() {
    let mut model = model();
    let entry = |host: &str| {
        let record = service_record(&[host], None);
        Change::Put(object(ObjectKind::ServiceEntry, "shop", host), Record::Service(record))
    };
    let gateway = VirtualServiceRecord {
        rule: VirtualService {
            gateways: vec!["shop/edge".into()],
            ..record("shop", "gateway", &["edge.example.com"], &[HELLO]).rule
        },
        ..record("shop", "gateway", &["edge.example.com"], &[HELLO])
    };
    let (snapshot, affected) = model.apply(
        1,
        [
            service("shop", "hello"),
            entry("*.example.com"),
            routes("exact", &["shop.example.com"], &[HELLO]),
            routes("wild", &["*.virtual.com", "short.shop.svc.cluster.local"], &[HELLO]),
            put(gateway),
        ],
    );
    let find = |snapshot: &Snapshot, asked: &str| {
        let found = snapshot.find(asked, &Viewer::of("shop"));
        found.map(|service| (service.host.to_string(), service.is_virtual))
    };
    for (asked, expected) in [
        ("shop.example.com", Some(("shop.example.com", true))),
        ("other.example.com", Some(("*.example.com", false))),
        ("edge.example.com", Some(("*.example.com", false))),
        ("a.b.virtual.com", Some(("*.virtual.com", true))),
        ("short", Some(("short.shop.svc.cluster.local", true))),
        ("hello", Some((HELLO, false))),
        ("nothing", None),
    ] {
        let expected = expected.map(|(host, is_virtual)| (host.to_owned(), is_virtual));
        assert_eq!(find(&snapshot, asked), expected, "{asked}");
    }
    assert!(affected.services.contains(&"shop.example.com".parse().unwrap()));
    assert_eq!(snapshot.service_count(), 2, "the registry has no more");
    assert!(snapshot.find_registered("short", "shop").is_none());
    let service = snapshot.service("shop.example.com").unwrap();
    assert!(service.ports.is_empty() && service.endpoints.is_empty());
    assert_eq!(rules(&snapshot, "shop.example.com").0, ["exact"]);

    let (snapshot, affected) = model.apply(2, [entry("shop.example.com")]);
    assert_eq!(find(&snapshot, "shop.example.com"), Some(("shop.example.com".into(), false)));
    assert_eq!(rules(&snapshot, "shop.example.com").0, ["exact"]);
    assert_eq!(affected.services.len(), 1);
    let gone = Change::Remove(object(ObjectKind::ServiceEntry, "shop", "shop.example.com"));
    let (snapshot, _) = model.apply(3, [gone]);
    assert_eq!(find(&snapshot, "shop.example.com"), Some(("shop.example.com".into(), true)));
    let gone = Change::Remove(object(ObjectKind::VirtualService, "shop", "exact"));
    let (snapshot, affected) = model.apply(4, [gone]);
    assert_eq!(find(&snapshot, "shop.example.com"), Some(("*.example.com".into(), false)));
    assert!(affected.services.contains(&"shop.example.com".parse().unwrap()));
}

/// One rule's change in a mesh of 1,000 services must not cost as if all of them had changed.
#[test]
fn one_rule_in_a_large_mesh_is_cheap() {
    let mut model = model();
    let all = (0..1000).flat_map(|at| {
        let name = format!("s{at}");
        let host = format!("{name}.shop.svc.cluster.local");
        [
            service("shop", &name),
            routes(&name, &[&host], &[&host]),
            destination_rule("shop", &name, &host, "2020"),
        ]
    });
    model.apply(1, all.collect::<Vec<_>>());
    let host = "s500.shop.svc.cluster.local";
    let rounds = 200;
    let began = Instant::now();
    for round in 0..rounds {
        let created = format!("{round}");
        let (_, affected) = model.apply(2, [destination_rule("shop", "s500", host, &created)]);
        assert_eq!(affected.services.len(), 1);
    }
    let each = began.elapsed() / rounds;
    println!("one of 1,000 destination rules changed: {each:?}");
    assert!(each < Duration::from_millis(2), "{each:?}");
}
