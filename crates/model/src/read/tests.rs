use serde_json::json;

use super::*;
use crate::model::{Model, Settings};
use crate::service::Resolution;

const SUFFIX: &str = "svc.cluster.local";

fn read(kind: ObjectKind, name: &str, resource: &Value) -> Result<Record, String> {
    match change(Object::new(kind, "shop", name), resource, SUFFIX) {
        Change::Put(_, record) => Ok(record),
        Change::Refuse(_, reason) => Err(reason),
        Change::Remove(_) => unreachable!("nothing is removed by reading"),
    }
}

#[test]
fn the_same_service_and_workload_meet_from_json_to_endpoint() {
    let service = json!({
        "metadata": {"name": "hello", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"ports": [
            {"name": "http", "port": 80, "targetPort": "main"},
            {"name": "db", "port": 3306, "targetPort": 3306, "appProtocol": "mysql"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ], "selector": {"app": "hello"}},
    });
    let workload = json!({
        "metadata": {"labels": {"app": "x", "tier": "1"}, "annotations": {"meltemi.io/inbound-port": "4001"}},
        "spec": {
            "address": "10.0.0.1", "ports": {"main": 8001}, "serviceAccount": "hello", "weight": 3,
            "labels": {"app": "hello", "security.istio.io/tlsMode": "istio"}, "locality": "eu/a"},
        "status": {"conditions": [{"type": "Healthy", "status": "True"}]},
    });
    let settings =
        Settings { trust_domain: "cluster.local".parse().unwrap(), suffix: SUFFIX.into() };
    let mut model = Model::new(settings);
    let object = |kind, name| Object::new(kind, "shop", name);
    let (snapshot, _) = model.apply(
        1,
        [
            change(object(ObjectKind::Service, "hello"), &service, SUFFIX),
            change(object(ObjectKind::WorkloadEntry, "hello-1"), &workload, SUFFIX),
        ],
    );
    let service = snapshot.find("hello", "shop").unwrap();
    let protocols: Vec<&str> = service.ports.iter().map(|port| port.protocol.as_str()).collect();
    assert_eq!(protocols, ["http", "tcp", "udp"]);
    let endpoint = &service.endpoints["hello-1"];
    assert_eq!(endpoint.ports, [(80, 8001), (3306, 8001), (53, 8001)]);
    assert_eq!(
        (endpoint.mutual_tls, endpoint.weight, endpoint.labels["tier"].as_str()),
        (Some(4001), 3, "1")
    );
    assert_eq!(endpoint.locality, "eu/a");
}

#[test]
fn workloads_are_ready_unless_a_condition_says_otherwise() {
    for (conditions, expected) in [
        (json!([]), true),
        (json!([{"type": "Healthy", "status": "True"}]), true),
        (json!([{"type": "Healthy", "status": "False"}]), false),
        (json!([{"type": "Healthy", "status": "Unknown"}]), false),
        (json!([{"type": "Other", "status": "False"}]), true),
    ] {
        let resource =
            json!({"spec": {"address": "10.0.0.1"}, "status": {"conditions": conditions}});
        let Ok(Record::Workload(workload)) = read(ObjectKind::WorkloadEntry, "w", &resource) else {
            panic!("{resource} was refused");
        };
        assert_eq!(workload.ready, expected, "{resource}");
        assert!(!workload.mutual_tls);
    }
}

#[test]
fn service_entries_have_the_endpoints_of_their_resolution() {
    let ports = json!([{"number": 443, "name": "tls", "protocol": "TLS", "targetPort": 8443}]);
    let entry = |extra: Value| {
        let mut spec = json!({"hosts": ["api.example.com"], "ports": ports});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match read(ObjectKind::ServiceEntry, "api", &json!({"spec": spec})) {
            Ok(Record::Service(record)) => record,
            other => panic!("{other:?}"),
        }
    };
    let names = |record: &crate::record::ServiceRecord| {
        record
            .inline
            .iter()
            .map(|(name, workload)| format!("{name}={}", workload.address))
            .collect::<Vec<_>>()
    };
    let none = entry(json!({"endpoints": [{"address": "1.2.3.4"}]}));
    assert_eq!((none.resolution, none.external, names(&none).len()), (Resolution::None, true, 0));
    let fixed = entry(json!({"resolution": "STATIC", "location": "MESH_INTERNAL",
        "endpoints": [{"address": "10.0.0.1"}, {"address": "10.0.0.1", "ports": {"tls": 1}}]}));
    assert!(!fixed.external);
    assert_eq!(names(&fixed), ["api-10.0.0.1=10.0.0.1", "api-10.0.0.1-2=10.0.0.1"]);
    assert_eq!(fixed.ports[0].on(&fixed.inline[0].1), 8443);
    assert_eq!(fixed.ports[0].on(&fixed.inline[1].1), 1);
    assert_eq!(names(&entry(json!({"resolution": "DNS"}))), ["api.example.com=api.example.com"]);
    let selecting =
        entry(json!({"resolution": "STATIC", "workloadSelector": {"labels": {"app": "x"}}}));
    assert_eq!(selecting.selector.unwrap()["app"], "x");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    for (kind, resource, part) in [
        (
            ObjectKind::Service,
            json!({"spec": {"ports": [{"port": 70000}]}}),
            "spec.ports[0].port: 70000",
        ),
        (ObjectKind::Service, json!({"spec": {"ports": 3}}), "spec: invalid type"),
        (ObjectKind::WorkloadEntry, json!({"spec": {}}), "spec.address"),
        (ObjectKind::WorkloadEntry, json!({"spec": {"address": "unix:///x"}}), "spec.address"),
        (
            ObjectKind::WorkloadEntry,
            json!({"spec": {"address": "a", "ports": {"x": 0}}}),
            "spec.ports.x: 0",
        ),
        (
            ObjectKind::WorkloadEntry,
            json!({"spec": {"address": "a", "serviceAccount": "A/B"}}),
            "spec.serviceAccount",
        ),
        (ObjectKind::ServiceEntry, json!({"spec": {"hosts": []}}), "spec.hosts"),
        (ObjectKind::ServiceEntry, json!({"spec": {"hosts": ["a b"]}}), "spec.hosts[0]"),
        (
            ObjectKind::ServiceEntry,
            json!({"spec": {"hosts": ["*.x"], "resolution": "DNS"}}),
            "cannot be resolved",
        ),
        (
            ObjectKind::ServiceEntry,
            json!({"spec": {"hosts": ["x"], "resolution": "CLOUD"}}),
            "`CLOUD`",
        ),
    ] {
        let reason = read(kind, "x", &resource).expect_err(&resource.to_string());
        assert!(reason.contains(part), "{reason}");
    }
}
