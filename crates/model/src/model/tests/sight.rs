//! Who sees what: `exportTo`, and `Sidecar`s.

use meltemi_policy::route::rule::VirtualService;

use super::rules::{object, put, record, routes};
use super::*;
use crate::export::ExportTo;
use crate::routes::VirtualServiceRecord;
use crate::sidecar::{EgressHost, EgressNamespace, SidecarRecord};

const HELLO: &str = "hello.shop.svc.cluster.local";

fn exported(host: &str, to: &[&str]) -> Change {
    let record = ServiceRecord {
        export_to: ExportTo::new(to.iter().copied(), "shop"),
        ..service_record(&[host], None)
    };
    Change::Put(object(ObjectKind::ServiceEntry, "shop", host), Record::Service(record))
}

fn sidecar(
    namespace: &str,
    name: &str,
    app: Option<&str>,
    hosts: &[(EgressNamespace, &str)],
) -> Change {
    let egress = hosts.iter().map(|(namespace, host)| EgressHost {
        namespace: namespace.clone(),
        host: host.parse().unwrap(),
    });
    let record = SidecarRecord {
        selector: app.map(|app| labels(&[("app", app)])),
        egress: egress.collect(),
        ..SidecarRecord::default()
    };
    Change::Put(object(ObjectKind::Sidecar, namespace, name), Record::Sidecar(record))
}

/// Which host a workload finds.
fn find(snapshot: &Snapshot, asked: &str, namespace: &str, workload: &str) -> Option<String> {
    let sidecar = snapshot.sidecar(namespace, workload);
    let viewer = Viewer { namespace, sidecar: sidecar.map(|it| &**it) };
    snapshot.find(asked, &viewer).map(|service| service.host.to_string())
}

#[test]
fn a_service_is_found_where_it_is_exported_to() {
    let mut model = model();
    let of_rule = |to: &str| {
        let record = record("shop", "v", &["v.example.com"], &[HELLO]);
        let rule = VirtualService { export_to: vec![to.into()], ..record.rule };
        put(VirtualServiceRecord { rule, ..record })
    };
    let (snapshot, _) = model.apply(
        1,
        [
            exported("all.com", &["*"]),
            exported("own.com", &["."]),
            exported("none.com", &["~"]),
            exported("other.com", &["other"]),
            exported("*.example.com", &["*"]),
            exported("a.example.com", &["."]),
            of_rule("."),
        ],
    );
    for (asked, shop, other) in [
        ("all.com", Some("all.com"), Some("all.com")),
        ("own.com", Some("own.com"), None),
        ("none.com", None, None),
        ("other.com", None, Some("other.com")),
        ("a.example.com", Some("a.example.com"), Some("*.example.com")),
        ("v.example.com", Some("v.example.com"), Some("*.example.com")),
    ] {
        assert_eq!(find(&snapshot, asked, "shop", "").as_deref(), shop, "{asked} in shop");
        assert_eq!(find(&snapshot, asked, "other", "").as_deref(), other, "{asked} in other");
        if shop.or(other).is_some() {
            let registered = snapshot.find_registered(asked, "third");
            assert!(registered.is_some(), "{asked}: the registry itself hides nothing");
        }
    }
    let (snapshot, affected) = model.apply(2, [exported("own.com", &["*"])]);
    assert_eq!(affected.services.len(), 1);
    assert_eq!(find(&snapshot, "own.com", "other", "").as_deref(), Some("own.com"));
}

#[test]
fn a_sidecar_limits_what_its_workloads_see() {
    let mut model = model();
    let named = |name: &str| EgressNamespace::Named(name.into());
    let (snapshot, affected) = model.apply(
        1,
        [
            service("shop", "hello"),
            service("data", "db"),
            service("other", "x"),
            workload("shop", "web-1", "web", 80),
            workload("shop", "job-1", "job", 80),
            workload("far", "far-1", "far", 80),
            sidecar("shop", "web", Some("web"), &[(named("data"), "*")]),
            sidecar("shop", "default", None, &[(EgressNamespace::Own, "*")]),
            sidecar(
                "istio-system",
                "root",
                None,
                &[(EgressNamespace::Any, "x.other.svc.cluster.local")],
            ),
        ],
    );
    assert!(affected.sidecars);
    let all = ["hello.shop", "db.data", "x.other"];
    let seen = |snapshot: &Snapshot, namespace: &str, workload: &str| {
        all.map(|name| find(snapshot, name, namespace, workload).is_some())
    };
    assert_eq!(seen(&snapshot, "shop", "web-1"), [false, true, false], "by its labels");
    assert_eq!(seen(&snapshot, "shop", "job-1"), [true, false, false], "its namespace's");
    assert_eq!(seen(&snapshot, "shop", "unknown"), [true, false, false], "its namespace's");
    assert_eq!(seen(&snapshot, "far", "far-1"), [false, false, true], "the mesh's");
    let own = snapshot.workload("shop", "web-1").unwrap();
    assert_eq!(&*own.sidecar.as_ref().unwrap().object.name, "web");

    // A workload of another app is selected by another one; a change of one namespace's touches its workloads alone.
    let (snapshot, affected) = model.apply(2, [sidecar("shop", "web", Some("job"), &[])]);
    let changed: Vec<&str> = affected.workloads.iter().map(|(_, name)| &**name).collect();
    assert_eq!(changed, ["job-1", "web-1"]);
    assert_eq!(seen(&snapshot, "shop", "job-1"), [true, true, true], "no egress is everything");
    assert_eq!(seen(&snapshot, "shop", "web-1"), [true, false, false]);
    let (_, affected) = model.apply(3, [sidecar("shop", "web", Some("job"), &[])]);
    assert!(affected.is_empty(), "the same again");

    let gone =
        ["web", "default"].map(|name| Change::Remove(object(ObjectKind::Sidecar, "shop", name)));
    let (snapshot, _) = model.apply(4, gone);
    assert_eq!(
        seen(&snapshot, "shop", "web-1"),
        [false, false, true],
        "what is left is the mesh's"
    );
    let gone = Change::Remove(object(ObjectKind::Sidecar, "istio-system", "root"));
    let (snapshot, affected) = model.apply(5, [gone]);
    assert_eq!(seen(&snapshot, "shop", "web-1"), [true, true, true]);
    assert_eq!(affected.workloads.len(), 3);
    assert!(snapshot.workload("shop", "web-1").unwrap().sidecar.is_none());
}

#[test]
fn who_sees_a_route_sees_where_it_leads() {
    let mut model = model();
    let limited = sidecar("shop", "default", None, &[(EgressNamespace::Own, "*")]);
    let db = "db.data.svc.cluster.local";
    let (snapshot, _) = model.apply(1, [service("data", "db"), limited]);
    assert_eq!(find(&snapshot, db, "shop", ""), None);
    let (snapshot, _) = model.apply(2, [routes("v", &["front.example.com"], &[db])]);
    assert_eq!(
        find(&snapshot, "front.example.com", "shop", "").as_deref(),
        Some("front.example.com")
    );
    assert_eq!(find(&snapshot, db, "shop", "").as_deref(), Some(db));
    // A virtual service of a namespace that the sidecar does not name leads its workloads nowhere.
    let gone = Change::Remove(object(ObjectKind::VirtualService, "shop", "v"));
    let theirs = put(record("other", "v", &["front.example.com"], &[db]));
    let (snapshot, affected) = model.apply(3, [gone, theirs]);
    assert!(affected.services.contains(&db.parse().unwrap()));
    assert_eq!(find(&snapshot, db, "shop", ""), None);
    assert_eq!(find(&snapshot, "front.example.com", "shop", ""), None);
}
