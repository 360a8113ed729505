//! One host that several namespaces describe, each for itself.

use super::rules::object;
use super::*;
use crate::export::ExportTo;
use crate::record::Allocation;

const HOST: &str = "api.example.com";

/// A service entry for the host, shown to these, whose workloads are labelled by its namespace.
fn entry(namespace: &str, created: &str, to: &str) -> Change {
    let record = ServiceRecord {
        export_to: ExportTo::new([to], namespace),
        created: created.to_owned(),
        allocation: Allocation::Internal,
        ..service_record(&[HOST], Some(namespace))
    };
    Change::Put(entry_object(namespace), Record::Service(record))
}

fn entry_object(namespace: &str) -> Object {
    object(ObjectKind::ServiceEntry, namespace, "api")
}

/// Whose service callers of each namespace find, and its endpoints.
fn seen(snapshot: &Snapshot, namespaces: &[&str]) -> Vec<String> {
    let seen = namespaces.iter().map(|namespace| {
        let Some(service) = snapshot.find(HOST, &Viewer::of(namespace)) else {
            return "nobody".to_owned();
        };
        let endpoints: Vec<&str> = service.endpoints.keys().map(|it| &**it).collect();
        format!("{}: {}", service.namespace, endpoints.join(" "))
    });
    seen.collect()
}

#[test]
fn each_namespace_sees_its_own() {
    let mut model = model();
    let (snapshot, _) = model.apply(
        1,
        [
            workload("a", "a1", "a", 1),
            workload("b", "b1", "b", 1),
            entry("a", "2020", "."),
            entry("b", "2021", "."),
        ],
    );
    let all = ["a", "b", "c"];
    assert_eq!(seen(&snapshot, &all), ["a: a1", "b: b1", "nobody"]);
    assert!(snapshot.rejected().is_empty(), "{:?}", snapshot.rejected());
    let of_registry = snapshot.find_registered(HOST, "c").unwrap();
    assert_eq!(&*of_registry.namespace, "a", "the older one");
    // By its one address callers find their own too.
    let address = of_registry.addresses[0].clone();
    for namespace in ["a", "b"] {
        let found = snapshot.find(&address, &Viewer::of(namespace)).unwrap();
        assert_eq!((&*found.namespace, &found.addresses[..]), (namespace, &[address.clone()][..]));
    }
    assert!(snapshot.find(&address, &Viewer::of("c")).is_none());

    // What is everybody's goes behind one's own, older though it is.
    let (snapshot, affected) = model.apply(2, [entry("c", "2019", "*")]);
    assert_eq!(seen(&snapshot, &["a", "b", "c", "d"]), ["a: a1", "b: b1", "c: ", "c: "]);
    assert!(affected.services.contains(&HOST.parse().unwrap()));
    // One that nobody sees who does not see an older one is told so.
    let (snapshot, _) = model.apply(3, [entry("d", "2022", "*")]);
    assert_eq!(seen(&snapshot, &["a", "c", "d"]), ["a: a1", "c: ", "c: "]);
    let told: Vec<_> = snapshot.rejected().iter().collect();
    assert_eq!(told.len(), 1);
    assert_eq!(*told[0].0, entry_object("d"));
    assert!(told[0].1.contains("is ServiceEntry c/api's already"), "{}", told[0].1);
}

#[test]
fn endpoints_of_each_come_and_go() {
    let mut model = model();
    model.apply(1, [entry("a", "2020", "."), entry("b", "2021", ".")]);
    let (snapshot, affected) = model.apply(2, [workload("b", "b1", "b", 1)]);
    assert_eq!(seen(&snapshot, &["a", "b"]), ["a: ", "b: b1"]);
    assert_eq!(told(&affected).1, [format!("+{HOST}/b1")]);
    let (snapshot, affected) = model.apply(3, [workload("b", "b1", "b", 2)]);
    assert_eq!(told(&affected).1, [format!("+{HOST}/b1")]);
    let ports = |snapshot: &Snapshot| {
        snapshot.find(HOST, &Viewer::of("b")).unwrap().endpoints["b1"].ports.clone()
    };
    assert_eq!(ports(&snapshot), [(80, 2)]);
    let (snapshot, affected) = model.apply(4, [Change::Remove(workload_object("b", "b1"))]);
    assert_eq!(seen(&snapshot, &["a", "b"]), ["a: ", "b: "]);
    assert_eq!(told(&affected).1, [format!("-{HOST}/b1")]);

    // The first goes: what is left is the registry's, and all endpoints are to be looked at.
    model.apply(5, [workload("a", "a1", "a", 1), workload("b", "b1", "b", 1)]);
    let (snapshot, affected) = model.apply(6, [Change::Remove(entry_object("a"))]);
    assert_eq!(seen(&snapshot, &["a", "b"]), ["nobody", "b: b1"]);
    assert_eq!(&*snapshot.service(HOST).unwrap().namespace, "b");
    assert_eq!(snapshot.versions(HOST).count(), 1);
    assert_eq!(told(&affected).1, [format!("-{HOST}/a1"), format!("+{HOST}/b1")]);
    let (snapshot, _) = model.apply(7, [Change::Remove(entry_object("b"))]);
    assert_eq!((snapshot.versions(HOST).count(), snapshot.service_count()), (0, 0));
}
