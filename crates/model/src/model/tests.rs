use std::time::{Duration, Instant};

use meltemi_names::Protocol;
use proptest::prelude::*;

use super::*;
use crate::endpoint::Endpoint;
use crate::record::{PortRecord, TargetPort};
use crate::service::{Resolution, Rules, Service};
use crate::viewer::Viewer;

mod addresses;
mod attached;
mod authentications;
mod authorizations;
mod credentials;
mod delegates;
mod peers;
mod private;
mod providers;
mod rules;
mod sight;
mod statuses;

const SUFFIX: &str = "svc.cluster.local";

fn model() -> Model {
    Model::new(settings())
}

fn settings() -> Settings {
    Settings::new("cluster.local".parse().unwrap(), SUFFIX)
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn service_object(namespace: &str, name: &str) -> Object {
    Object::new(ObjectKind::Service, namespace, name)
}

fn workload_object(namespace: &str, name: &str) -> Object {
    Object::new(ObjectKind::WorkloadEntry, namespace, name)
}

fn service_record(hosts: &[&str], app: Option<&str>) -> ServiceRecord {
    ServiceRecord {
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        name: None,
        ports: vec![PortRecord {
            number: 80,
            name: "http".into(),
            protocol: Protocol::Http,
            target: TargetPort::Name("main".into()),
        }],
        selector: app.map(|app| labels(&[("app", app)])),
        inline: Vec::new(),
        resolution: Resolution::Static,
        ..ServiceRecord::default()
    }
}

fn service(namespace: &str, name: &str) -> Change {
    let host = format!("{name}.{namespace}.{SUFFIX}");
    let mut record = service_record(&[&host], Some(name));
    record.name = Some(name.into());
    Change::Put(service_object(namespace, name), Record::Service(record))
}

fn workload_record(app: &str, port: u16) -> WorkloadRecord {
    WorkloadRecord {
        address: "10.0.0.1".into(),
        ports: [("main".to_owned(), port)].into(),
        labels: Arc::new(labels(&[("app", app)])),
        service_account: Some(app.into()),
        mutual_tls: true,
        inbound_port: 15006,
        ready: true,
        ..WorkloadRecord::default()
    }
}

fn workload(namespace: &str, name: &str, app: &str, port: u16) -> Change {
    Change::Put(workload_object(namespace, name), Record::Workload(workload_record(app, port)))
}

fn told(affected: &Affected) -> (Vec<String>, Vec<String>, Vec<String>) {
    (
        affected.services.iter().map(ToString::to_string).collect(),
        affected
            .endpoints
            .iter()
            .map(|it| format!("{}{}/{}", if it.removed { "-" } else { "+" }, it.host, it.workload))
            .collect(),
        affected.workloads.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect(),
    )
}

#[test]
fn a_service_has_the_ready_workloads_that_it_selects() {
    let mut model = model();
    let host = "hello.shop.svc.cluster.local";
    let other_namespace = workload("other", "x", "hello", 1);
    let other_app = workload("shop", "y", "bye", 1);
    let changes = [
        service("shop", "hello"),
        workload("shop", "a", "hello", 8001),
        other_namespace,
        other_app,
    ];
    let (snapshot, affected) = model.apply(7, changes);
    assert_eq!(snapshot.version(), 7);
    let endpoints = &snapshot.service(host).unwrap().endpoints;
    let endpoint = endpoints.get("a").unwrap();
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoint.ports, [(80, 8001)]);
    assert_eq!(endpoint.mutual_tls, Some(15006));
    assert_eq!(
        endpoint.identity.as_ref().unwrap().to_string(),
        "spiffe://cluster.local/ns/shop/sa/hello"
    );
    assert_eq!(
        told(&affected),
        (
            vec![host.into()],
            vec![format!("+{host}/a")],
            vec!["other/x".into(), "shop/a".into(), "shop/y".into()]
        )
    );
    let own = snapshot.workload("shop", "a").unwrap();
    assert_eq!((own.inbound.len(), own.inbound[0].target_port), (1, 8001));
}

#[test]
fn a_change_affects_what_it_touches_and_nothing_else() {
    let mut model = model();
    model.apply(
        1,
        [service("shop", "hello"), service("shop", "bye"), workload("shop", "a", "hello", 8001)],
    );
    let host = "hello.shop.svc.cluster.local";
    let (_, affected) = model.apply(2, [workload("shop", "a", "hello", 8001)]);
    assert!(affected.is_empty(), "{affected:?}");

    let mut sick = workload_record("hello", 8001);
    sick.ready = false;
    let sick = Change::Put(workload_object("shop", "a"), Record::Workload(sick));
    let (before, affected) = model.apply(3, [sick]);
    assert_eq!(told(&affected), (vec![], vec![format!("-{host}/a")], vec![]));
    assert_eq!(
        before.workload("shop", "a").unwrap().inbound.len(),
        1,
        "its sidecar still knows what it serves"
    );

    let (after, affected) = model.apply(4, [workload("shop", "a", "bye", 8001)]);
    let bye = "bye.shop.svc.cluster.local";
    assert_eq!(told(&affected), (vec![], vec![format!("+{bye}/a")], vec!["shop/a".into()]));
    assert_eq!(before.service(bye).unwrap().endpoints.len(), 0, "old snapshots stay as they were");
    assert_eq!(after.service(bye).unwrap().endpoints.len(), 1);

    let (_, affected) = model.apply(5, [Change::Remove(service_object("shop", "bye"))]);
    assert_eq!(
        told(&affected),
        (vec![bye.into()], vec![format!("-{bye}/a")], vec!["shop/a".into()])
    );
    let (_, affected) = model.apply(6, [Change::Remove(workload_object("shop", "a"))]);
    assert_eq!(told(&affected), (vec![], vec![], vec!["shop/a".into()]));
}

#[test]
fn names_are_found_as_workloads_ask_for_them() {
    let mut model = model();
    let entry = |name: &str, host: &str| {
        let object = Object::new(ObjectKind::ServiceEntry, "shop", name);
        Change::Put(object, Record::Service(service_record(&[host], None)))
    };
    let (snapshot, _) = model.apply(
        1,
        [
            service("shop", "hello"),
            entry("a", "api.example.com"),
            entry("b", "*.example.com"),
            entry("c", "*.eu.example.com"),
        ],
    );
    let hello = Some("hello.shop.svc.cluster.local");
    for (asked, namespace, expected) in [
        ("hello", "shop", hello),
        ("HELLO.", "shop", hello),
        ("hello", "other", None),
        ("hello.shop", "other", hello),
        ("hello.shop.svc", "other", hello),
        ("hello.shop.foo", "other", None),
        ("hello.shop.svc.cluster.local", "other", hello),
        ("api.example.com", "x", Some("api.example.com")),
        ("web.example.com", "x", Some("*.example.com")),
        ("a.b.eu.example.com", "x", Some("*.eu.example.com")),
        ("example.com", "x", None),
        ("", "x", None),
    ] {
        let found =
            snapshot.find(asked, &Viewer::of(namespace)).map(|service| service.host.as_str());
        assert_eq!(found, expected, "{asked} in {namespace}");
        if let Some(service) =
            snapshot.find(asked, &Viewer::of(namespace)).filter(|it| !it.host.is_wildcard())
        {
            let asked = asked.trim_end_matches('.').to_ascii_lowercase();
            assert!(snapshot.names_of(&service.host).contains(&asked), "{asked}");
        }
    }
}

#[test]
fn a_short_name_of_a_service_is_not_taken_over_from_another_namespace() {
    let mut model = model();
    let entry = |namespace: &str, name: &str, host: &str| {
        let object = Object::new(ObjectKind::ServiceEntry, namespace, name);
        Change::Put(object, Record::Service(service_record(&[host], None)))
    };
    let hello = "hello.shop.svc.cluster.local";
    let shorts = ["hello", "hello.shop", "hello.shop.svc"];
    let of_others =
        shorts.iter().enumerate().map(|(at, host)| entry("evil", &format!("{at}"), host));
    let all = of_others.chain([service("shop", "hello"), entry("evil", "api", "api.example")]);
    let (snapshot, _) = model.apply(1, all.collect::<Vec<_>>());
    let found = |snapshot: &Snapshot, asked: &str, namespace: &str| {
        snapshot.find(asked, &Viewer::of(namespace)).map(|it| it.host.to_string())
    };
    for asked in ["hello", "HELLO.", "hello.shop", "hello.shop.svc", hello] {
        assert_eq!(found(&snapshot, asked, "shop").as_deref(), Some(hello), "{asked}");
    }
    // Who wrote it means it, and where no Service has the name it is free.
    for asked in shorts {
        assert_eq!(found(&snapshot, asked, "evil").as_deref(), Some(asked));
    }
    assert_eq!(found(&snapshot, "hello", "other").as_deref(), Some("hello"));
    assert_eq!(found(&snapshot, "hello.shop", "other").as_deref(), Some(hello));
    assert_eq!(found(&snapshot, "api.example", "shop").as_deref(), Some("api.example"));
    // The namespace of the service may lead its own short names elsewhere.
    let (snapshot, _) = model.apply(2, [entry("shop", "own", "hello.shop.svc")]);
    assert_eq!(found(&snapshot, "hello.shop", "other").as_deref(), Some(hello));
    let gone = Change::Remove(Object::new(ObjectKind::ServiceEntry, "evil", "2"));
    let (snapshot, _) = model.apply(3, [gone]);
    assert_eq!(found(&snapshot, "hello.shop.svc", "other").as_deref(), Some("hello.shop.svc"));
}

#[test]
fn of_two_that_claim_a_host_one_has_it_and_the_other_is_reported() {
    let mut model = model();
    let host = "hello.shop.svc.cluster.local";
    let entry = |name: &str, created: &str| {
        let record = ServiceRecord { created: created.into(), ..service_record(&[host], None) };
        (Object::new(ObjectKind::ServiceEntry, "shop", name), record)
    };
    let put =
        |(object, record): (Object, ServiceRecord)| Change::Put(object, Record::Service(record));
    let (snapshot, _) = model.apply(1, [put(entry("young", "2026")), put(entry("old", "2025"))]);
    assert_eq!(&*snapshot.service(host).unwrap().object.name, "old");
    assert_eq!(snapshot.rejected().keys().map(|it| &*it.name).collect::<Vec<_>>(), ["young"]);
    let (snapshot, _) = model.apply(2, [service("shop", "hello")]);
    assert_eq!(snapshot.service(host).unwrap().object.kind, ObjectKind::Service);
    assert_eq!(snapshot.rejected().len(), 2);
    let changes =
        [Change::Remove(service_object("shop", "hello")), Change::Remove(entry("old", "").0)];
    let (snapshot, _) = model.apply(3, changes);
    assert_eq!(&*snapshot.service(host).unwrap().object.name, "young");
    assert!(snapshot.rejected().is_empty());
}

#[test]
fn a_bad_object_is_reported_and_what_it_was_before_stays() {
    let mut model = model();
    model.apply(1, [service("shop", "hello")]);
    let object = service_object("shop", "hello");
    let (snapshot, affected) =
        model.apply(2, [Change::Refuse(object.clone(), "port 70000".into())]);
    assert!(affected.is_empty());
    assert_eq!(snapshot.rejected()[&object], "port 70000");
    assert!(snapshot.service("hello.shop.svc.cluster.local").is_some());
    let (snapshot, _) = model.apply(3, [service("shop", "hello")]);
    assert!(snapshot.rejected().is_empty());
}

/// What any order of changes must lead to: the same as loading the last state of everything at once.
fn fingerprint(snapshot: &Snapshot) -> BTreeMap<String, (String, String, Vec<Endpoint>)> {
    let virtual_hosts = snapshot.virtual_hosts.iter().map(|(_, service)| service);
    snapshot
        .services()
        .chain(virtual_hosts)
        .map(|service| {
            let endpoints = service.endpoints.values().map(|it| (**it).clone()).collect();
            (service.host.to_string(), (service.object.to_string(), words(service), endpoints))
        })
        .collect()
}

/// What callers see of a service, its endpoints apart.
fn words(service: &Service) -> String {
    let Rules { virtual_services, destination_rules, leading_here } = &service.rules;
    let led: Vec<&str> = leading_here.iter().map(|it| it.name.as_str()).collect();
    format!(
        "{} {} {:?} {:?} {led:?} {virtual_services:?} {destination_rules:?}",
        service.namespace, service.is_virtual, service.addresses, service.export_to
    )
}

fn any_change() -> impl Strategy<Value = Change> {
    let app = || prop::sample::select(vec!["x", "y"]);
    let namespace = || prop::sample::select(vec!["n", "m"]);
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        (namespace(), app()).prop_map(|(namespace, app)| service(namespace, app)),
        (namespace(), name(), app(), 1..3u16, any::<bool>()).prop_map(
            |(namespace, name, app, port, ready)| {
                let record = WorkloadRecord { ready, ..workload_record(app, port) };
                Change::Put(workload_object(namespace, name), Record::Workload(record))
            }
        ),
        (name(), app(), prop::option::of(app())).prop_map(|(name, host, app)| {
            let host = format!("{host}.n.{SUFFIX}");
            let mut record = service_record(&[&host, "ext.example.com"], app);
            record.inline = vec![("inline".into(), workload_record("z", 9))];
            Change::Put(Object::new(ObjectKind::ServiceEntry, "n", name), Record::Service(record))
        }),
        (namespace(), app())
            .prop_map(|(namespace, app)| Change::Remove(service_object(namespace, app))),
        (namespace(), name())
            .prop_map(|(namespace, name)| Change::Remove(workload_object(namespace, name))),
        name().prop_map(|name| Change::Remove(Object::new(ObjectKind::ServiceEntry, "n", name))),
        rules::any_change(),
        attached::any_change(),
        peers::any_change(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Step by step or all at once, the mesh is the same; and what is not told as affected did not change.
    #[test]
    fn increments_add_up_to_the_whole(changes in prop::collection::vec(prop::collection::vec(any_change(), 1..4), 1..20)) {
        let mut model = model();
        let mut last = BTreeMap::new();
        let mut before = Arc::new(Snapshot::default());
        for (at, batch) in changes.into_iter().enumerate() {
            for change in &batch {
                match change {
                    Change::Put(object, record) => drop(last.insert(object.clone(), record.clone())),
                    Change::Refuse(object, _) | Change::Remove(object) => drop(last.remove(object)),
                    Change::Keys(..) => {}
                }
            }
            let (after, affected) = model.apply(at as u64, batch);
            for (host, (_, words, endpoints)) in fingerprint(&after) {
                if !affected.services.iter().any(|it| it.as_str() == host) {
                    prop_assert_eq!(before.service(&host).map(|it| self::words(it)), Some(words));
                }
                let was = before.service(&host).map(|it| it.endpoints.values().map(|it| (**it).clone()).collect::<Vec<_>>());
                if !affected.endpoints.iter().any(|it| it.host.as_str() == host) {
                    prop_assert_eq!(was.unwrap_or_default(), endpoints);
                }
            }
            before = after;
        }
        let last_objects: BTreeSet<Object> = last.keys().cloned().collect();
        let mut whole = self::model();
        let (whole, _) = whole.apply(0, last.into_iter().map(|(object, record)| Change::Put(object, record)));
        prop_assert_eq!(fingerprint(&before), fingerprint(&whole));
        for (_, workload) in whole.workloads.iter() {
            prop_assert_eq!(before.workload(&workload.namespace, &workload.name), Some(workload));
        }
        prop_assert_eq!(before.workloads.len(), whole.workloads.len());
        prop_assert_eq!(before.rejected(), whole.rejected());
        prop_assert_eq!(model.objects(), last_objects);
    }
}

/// One endpoint's change in a mesh of 1,000 services must not cost as if all of them had changed.
#[test]
fn one_change_in_a_large_mesh_is_cheap() {
    let mut model = model();
    let all = (0..1000).flat_map(|at| {
        let name = format!("s{at}");
        (0..3).map(move |it| (at, it)).flat_map(move |(_, it)| {
            [service("shop", &name), workload("shop", &format!("{name}-{it}"), &name, 8001)]
        })
    });
    model.apply(1, all.collect::<Vec<_>>());
    let rounds = 200;
    let began = Instant::now();
    for round in 0..rounds {
        let (_, affected) = model.apply(2, [workload("shop", "s500-1", "s500", 8002 + round % 2)]);
        assert_eq!(affected.endpoints.len(), 1);
    }
    let each = began.elapsed() / u32::from(rounds);
    println!("one endpoint of 3,000 changed: {each:?}");
    assert!(each < Duration::from_millis(2), "{each:?}");
}
