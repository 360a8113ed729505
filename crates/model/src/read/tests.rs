use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::export::ExportTo;
use crate::model::Model;
use crate::record::{Allocation, ServiceRecord};
use crate::service::Resolution;
use crate::settings::DefaultExportTo;
use crate::viewer::Viewer;

const SUFFIX: &str = "svc.cluster.local";

pub(super) fn settings() -> Settings {
    Settings::new("cluster.local".parse().unwrap(), SUFFIX)
}

/// A resource of YAML, read as the follower reads it.
pub(super) fn read_yaml(kind: ObjectKind, yaml: &str) -> Result<Record, String> {
    read(kind, "it", &meltemi_api::parse::value(yaml).unwrap())
}

fn read(kind: ObjectKind, name: &str, resource: &Value) -> Result<Record, String> {
    match change(Object::new(kind, "shop", name), resource, &settings()) {
        Change::Put(_, record) => Ok(record),
        Change::Refuse(_, reason) => Err(reason),
        Change::Remove(_) | Change::Keys(..) => unreachable!("reading makes none of these"),
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
    let mut model = Model::new(settings());
    let object = |kind, name| Object::new(kind, "shop", name);
    let (snapshot, _) = model.apply(
        1,
        [
            change(object(ObjectKind::Service, "hello"), &service, &settings()),
            change(object(ObjectKind::WorkloadEntry, "hello-1"), &workload, &settings()),
        ],
    );
    let service = snapshot.find("hello", &Viewer::of("shop")).unwrap();
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
    let names = |record: &ServiceRecord| {
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
    let by_name = entry(json!({"resolution": "DNS"}));
    assert!(by_name.self_named && by_name.inline.is_empty());
    let given = entry(json!({"resolution": "DNS", "endpoints": [{"address": "a.com"}]}));
    assert!(!given.self_named && names(&given) == ["api-a.com=a.com"], "{given:?}");
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

fn service_record(kind: ObjectKind, resource: &Value) -> ServiceRecord {
    match read(kind, "it", resource) {
        Ok(Record::Service(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn services_say_who_sees_them_and_by_which_addresses_they_go() {
    let to = |entries: &[&str]| ExportTo::new(entries.iter().copied(), "shop");
    let service = |annotation: Option<&str>, spec: Value| {
        let annotations = annotation.map(|to| json!({"networking.istio.io/exportTo": to}));
        service_record(
            ObjectKind::Service,
            &json!({"metadata": {"annotations": annotations.unwrap_or_else(|| json!({}))}, "spec": spec}),
        )
    };
    for (annotation, expected) in [
        (None, to(&["*"])),
        (Some("."), to(&["shop"])),
        (Some("other, ."), to(&["other", "shop"])),
        (Some("~"), to(&["~"])),
    ] {
        assert_eq!(service(annotation, json!({})).export_to, expected, "{annotation:?}");
    }
    for (spec, expected) in [
        (json!({"clusterIP": "10.96.0.1"}), vec!["10.96.0.1"]),
        (json!({"clusterIP": "None"}), vec![]),
        (
            json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}),
            vec!["10.96.0.1", "fd00::1"],
        ),
    ] {
        assert_eq!(service(None, spec.clone()).addresses, expected, "{spec}");
    }

    let defaults = DefaultExportTo { services: vec![".".into()], ..DefaultExportTo::default() };
    let settings = Settings { export_to: defaults, ..settings() };
    let object = Object::new(ObjectKind::Service, "shop", "it");
    let Change::Put(_, Record::Service(record)) = change(object, &json!({}), &settings) else {
        panic!("refused");
    };
    assert_eq!(record.export_to, to(&["shop"]), "the mesh's default holds where nothing is said");
}

#[test]
fn every_field_of_a_service_entry_has_its_place() {
    let entry = |labels: Value, spec: Value| {
        let mut all = json!({"hosts": ["api.example.com"]});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        service_record(
            ObjectKind::ServiceEntry,
            &json!({"metadata": {"labels": labels}, "spec": all}),
        )
    };
    let all = entry(
        json!({}),
        json!({
            "addresses": ["10.1.0.0/16", "10.2.0.1"],
            "ports": [{"number": 443, "name": "x", "protocol": "TLS", "targetPort": 8443}],
            "location": "MESH_INTERNAL", "resolution": "DNS_ROUND_ROBIN",
            "endpoints": [{"address": "a.example.com", "weight": 7, "locality": "eu/a/1", "network": "net",
                "labels": {"version": "v1"}, "ports": {"x": 9443}, "serviceAccount": "api"}],
            "exportTo": [".", "other"], "subjectAltNames": ["spiffe://x/y"],
        }),
    );
    assert_eq!(all.resolution, Resolution::DnsRoundRobin);
    assert_eq!(all.addresses, ["10.1.0.0/16", "10.2.0.1"]);
    assert_eq!(all.subject_alt_names, ["spiffe://x/y"]);
    assert_eq!(all.export_to, ExportTo::new([".", "other"], "shop"));
    assert!(!all.external);
    let endpoint = &all.inline[0].1;
    assert_eq!((endpoint.weight, &*endpoint.locality, &*endpoint.network), (7, "eu/a/1", "net"));
    assert_eq!((endpoint.labels["version"].as_str(), all.ports[0].on(endpoint)), ("v1", 9443));
    assert_eq!(endpoint.service_account.as_deref(), Some("api"));

    let label = "networking.istio.io/enable-autoallocate-ip";
    for (labels, resolution, expected) in [
        (json!({}), "DNS", Allocation::Internal),
        (json!({}), "STATIC", Allocation::Internal),
        (json!({}), "NONE", Allocation::Off),
        (json!({}), "DYNAMIC_DNS", Allocation::Off),
        (json!({label: "true"}), "DNS", Allocation::Public),
        (json!({label: "true"}), "NONE", Allocation::Off),
        (json!({label: "false"}), "DNS", Allocation::Off),
    ] {
        let record = entry(labels.clone(), json!({"resolution": resolution}));
        assert_eq!(record.allocation, expected, "{labels} {resolution}");
    }
    let dynamic = json!({"hosts": ["*.example.com"], "resolution": "DYNAMIC_DNS"});
    let dynamic = service_record(ObjectKind::ServiceEntry, &json!({"spec": dynamic}));
    assert_eq!((dynamic.resolution, dynamic.inline.len()), (Resolution::DynamicDns, 0));
}

#[test]
fn a_workload_says_where_it_stands_by_fields_or_labels() {
    let labels = json!({"topology.istio.io/network": "near", "istio-locality": "eu.a.1"});
    for (spec, expected) in [
        (json!({"locality": "us/b", "network": "far", "weight": 9}), ("us/b", "far", 9)),
        (json!({"labels": labels}), ("eu/a/1", "near", 0)),
        (json!({"locality": "us/b", "network": "far", "labels": labels}), ("us/b", "near", 0)),
        (json!({}), ("", "", 0)),
    ] {
        let mut all = json!({"address": "10.0.0.1"});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let Ok(Record::Workload(it)) = read(ObjectKind::WorkloadEntry, "w", &json!({"spec": all}))
        else {
            panic!("{spec} was refused");
        };
        assert_eq!((&*it.locality, &*it.network, it.weight), expected, "{spec}");
    }
}

/// Rules as the API takes or refuses them, of texts that lie near the bounds of what a message can hold.
fn rules() -> impl Strategy<Value = Value> {
    let text = || r"[/a .%\\12()\[\]*+?{}|\r\n\x00\x01\x7fé]{0,8}";
    let path = (text(), text(), text(), text(), 95..605_u32, any::<u8>());
    path.prop_map(|(one, two, three, four, status, which)| {
        let to = json!([{"destination": {"host": "a"}}]);
        let (match_, headers) = (json!([{"uri": {"regex": one}, "headers": {"x": {"prefix": two}}}]), json!({"x-a": three}));
        match which % 6 {
            0 => json!({"directResponse": {"status": status}, "match": match_}),
            1 => json!({"redirect": {"uri": one, "authority": two}, "match": match_}),
            2 => json!({"route": to, "rewrite": {"uri": one, "authority": two}}),
            3 => json!({"route": to, "rewrite": {"uriRegexRewrite": {"match": one, "rewrite": two}}}),
            4 => json!({"route": to, "headers": {"request": {"set": headers}, "response": {"add": headers}}}),
            _ => json!({"route": to, "corsPolicy": {"allowOrigins": [{"regex": four}], "allowMethods": [one],
                "exposeHeaders": [two]}}),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the API takes sidecars can use: it is told with its place, and never by a proxy.
    #[test]
    fn what_the_api_takes_compiles(rule in rules()) {
        let resource = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "a", "namespace": "default"}, "spec": {"hosts": ["a"], "http": [rule]}});
        if meltemi_api::Resource::from_value(resource.clone()).is_ok() {
            prop_assert_eq!(check_routes("networking.istio.io", "virtualservices", &resource), Ok(()));
        }
    }
}

/// The net below the API's checks: expressions that are too large together are refused before a sidecar sees them.
#[test]
fn what_sidecars_would_refuse_is_set_aside() {
    let matches: Vec<Value> = (0..2000)
        .map(|it| json!({"uri": {"regex": format!("/{it}/[a-z]{{1,200}}/[0-9]{{1,200}}")}}))
        .collect();
    let resource = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"hosts": ["a"], "http": [{"match": matches, "route": [{"destination": {"host": "a"}}]}]}});
    let reason = check_routes("networking.istio.io", "virtualservices", &resource).unwrap_err();
    assert!(reason.starts_with("spec.http: the 2000 regular expressions"), "{reason}");
    let object = Object::new(ObjectKind::VirtualService, "default", "a");
    assert!(
        matches!(change(object, &resource, &settings()), Change::Refuse(_, told) if told == reason)
    );
}
