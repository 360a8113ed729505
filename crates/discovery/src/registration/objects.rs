//! The objects that a registration writes: the workload's entry, and a service where the user has made none.

use std::collections::BTreeMap;

use meltemi_names::Protocol;
use meltemi_wire::proto::meltemi::v1::{Health, RegisteredWorkload, WorkloadPort};
use serde_json::{Map, Value, json};

use super::group::Group;

/// Marks entries that live as long as their proxy's stream.
pub(super) const REGISTERED_BY: &str = "meltemi.io/registered-by";
/// The mark's value.
pub(super) const PROXY: &str = "proxy";
/// The sidecar's inbound port.
const INBOUND_PORT: &str = "meltemi.io/inbound-port";
/// Marks services that were made here and may be extended here.
const MANAGED_BY: &str = "meltemi.io/managed-by";
/// The mark's value.
const REGISTRATION: &str = "registration";
/// The spec that a registration has given a service: one that has another by now is the user's.
const REGISTERED_SPEC: &str = "meltemi.io/registered-spec";
/// The name of a workload's first port.
const MAIN: &str = "main";
/// The condition that says whether a workload may be called.
const HEALTHY: &str = "Healthy";
/// The group that a workload is a member of (Istio's annotation).
const OF_GROUP: &str = "istio.io/autoRegistrationGroup";

/// The entry of a workload, with what its group says. Of the entry before it keeps identity and age.
pub(super) fn workload_entry(
    workload: &RegisteredWorkload,
    group: Option<&Group>,
    health: &Health,
    before: Option<&Value>,
    now: &str,
) -> Value {
    let filled = group.map(|group| group.fill(workload));
    let workload = filled.as_ref().unwrap_or(workload);
    let labels = labels(workload);
    let ports = match group {
        Some(group) => group.ports(workload),
        None => own_ports(workload),
    };
    let mut spec = json!({
        "address": workload.address,
        "ports": ports,
        "labels": labels,
        "serviceAccount": workload.service_account,
    });
    set(&mut spec, "locality", &workload.locality);
    set(&mut spec, "network", &workload.network);
    if workload.weight > 0 {
        spec["weight"] = workload.weight.into();
    }
    let is_same_spec = before.is_some_and(|before| before["spec"] == spec);
    let generation = before.and_then(|before| before["metadata"]["generation"].as_u64());
    let mut metadata = metadata(&workload.name, &workload.namespace, before, now);
    metadata["labels"] = json!(labels);
    metadata["annotations"] = annotations(workload, group);
    metadata["generation"] = match generation {
        Some(generation) => json!(generation + u64::from(!is_same_spec)),
        None => json!(1),
    };
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": metadata,
        "spec": spec,
        "status": {"conditions": [condition(health, before, now)]},
    })
}

/// The labels of a workload in the registry.
pub(super) fn labels(workload: &RegisteredWorkload) -> BTreeMap<&str, &str> {
    let mut labels: BTreeMap<&str, &str> =
        workload.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if !workload.service.is_empty() {
        labels.entry("app").or_insert(&workload.service);
    }
    labels.insert("security.istio.io/tlsMode", "istio");
    labels
}

fn own_ports(workload: &RegisteredWorkload) -> BTreeMap<String, u32> {
    let ports = workload.ports.iter().enumerate();
    ports.map(|(at, port)| (port_name(at, port), port.number)).collect()
}

/// The annotations of an entry; ours go before the group's.
fn annotations(workload: &RegisteredWorkload, group: Option<&Group>) -> Value {
    let mut annotations = group.map(|group| group.annotations().clone()).unwrap_or_default();
    if let Some(group) = group {
        annotations.insert(OF_GROUP.into(), group.name.clone());
    }
    annotations.insert(INBOUND_PORT.into(), workload.inbound_port.to_string());
    annotations.insert(REGISTERED_BY.into(), PROXY.into());
    json!(annotations)
}

/// Whether an entry was written by a registration.
pub(super) fn is_registered(entry: &Value) -> bool {
    entry["metadata"]["annotations"][REGISTERED_BY] == PROXY
}

/// The service account that an entry is of.
pub(super) fn service_account(entry: &Value) -> &str {
    entry["spec"]["serviceAccount"].as_str().unwrap_or_default()
}

/// The service of a workload as it should be, or `None` if what is there needs no change: a service of the user's own is
/// left alone, one that was made here gains ports.
pub(super) fn managed_service(
    workload: &RegisteredWorkload,
    before: Option<&Value>,
    now: &str,
) -> Option<Value> {
    let mut ports = match before {
        Some(service) if !is_managed(service) => return None,
        Some(service) => service["spec"]["ports"].as_array().cloned().unwrap_or_default(),
        None => Vec::new(),
    };
    let known = ports.len();
    for port in service_ports(workload) {
        if !ports.iter().any(|it| it["port"] == port["port"] || it["name"] == port["name"]) {
            ports.push(port);
        }
    }
    if before.is_some() && ports.len() == known {
        return None;
    }
    let spec = json!({"ports": ports, "selector": {"app": workload.service}});
    let mut metadata = metadata(&workload.service, &workload.namespace, before, now);
    metadata["labels"] = json!({MANAGED_BY: REGISTRATION, "app": workload.service});
    metadata["annotations"] = json!({REGISTERED_SPEC: spec.to_string()});
    Some(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": spec,
    }))
}

/// Whether a service is as a registration wrote it. The label alone does not say so: it outlives a write of the user's
/// that takes it neither up nor away.
fn is_managed(service: &Value) -> bool {
    let metadata = &service["metadata"];
    let written = metadata["annotations"][REGISTERED_SPEC].as_str().unwrap_or_default();
    metadata["labels"][MANAGED_BY] == REGISTRATION
        && serde_json::from_str::<Value>(written).is_ok_and(|spec| spec == service["spec"])
}

/// A namespace.
pub(super) fn namespace(name: &str, now: &str) -> Value {
    let mut namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "uid": uid(), "creationTimestamp": now},
    });
    namespace["metadata"]["labels"] = json!({"kubernetes.io/metadata.name": name});
    namespace
}

fn service_ports(workload: &RegisteredWorkload) -> Vec<Value> {
    let mut ports = Vec::new();
    for (at, port) in workload.ports.iter().enumerate() {
        let protocol = Protocol::parse(&port.protocol).unwrap_or_default();
        let word = match protocol {
            Protocol::Auto => MAIN,
            protocol => protocol.as_str(),
        };
        let target = port_name(at, port);
        let is_default = at == 0 && protocol.takes_requests();
        if is_default {
            ports.push(json!({"name": word, "port": 80, "targetPort": target}));
        }
        if !(is_default && port.number == 80) {
            let name = format!("{word}-{}", port.number);
            ports.push(json!({"name": name, "port": port.number, "targetPort": target}));
        }
    }
    ports
}

/// The name of a workload's port: instances with different port numbers agree on the first one's.
fn port_name(at: usize, port: &WorkloadPort) -> String {
    match at {
        0 => MAIN.into(),
        _ => format!("port-{}", port.number),
    }
}

fn condition(health: &Health, before: Option<&Value>, now: &str) -> Value {
    let status = if health.ready { "True" } else { "False" };
    let conditions = before.and_then(|before| before["status"]["conditions"].as_array());
    let same = conditions
        .and_then(|all| all.iter().find(|it| it["type"] == HEALTHY && it["status"] == status));
    let since = same.and_then(|it| it["lastTransitionTime"].as_str()).unwrap_or(now);
    let mut condition = json!({"type": HEALTHY, "status": status, "lastTransitionTime": since});
    set(&mut condition, "message", &health.reason);
    condition
}

fn metadata(name: &str, namespace: &str, before: Option<&Value>, now: &str) -> Value {
    let kept = |field: &str| before.map(|it| &it["metadata"][field]).filter(|it| it.is_string());
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), namespace.into());
    metadata.insert("uid".into(), kept("uid").cloned().unwrap_or_else(|| uid().into()));
    let created = kept("creationTimestamp").cloned().unwrap_or_else(|| now.into());
    metadata.insert("creationTimestamp".into(), created);
    Value::Object(metadata)
}

fn uid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

fn set(object: &mut Value, field: &str, text: &str) {
    if !text.is_empty() {
        object[field] = text.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(ports: &[(u32, &str)]) -> RegisteredWorkload {
        let port = |(number, protocol): &(u32, &str)| WorkloadPort {
            number: *number,
            protocol: (*protocol).into(),
        };
        RegisteredWorkload {
            service: "hello".into(),
            namespace: "default".into(),
            name: "hello-1".into(),
            ports: ports.iter().map(port).collect(),
            ..RegisteredWorkload::default()
        }
    }

    fn ports(service: &Value) -> Vec<String> {
        let ports = service["spec"]["ports"].as_array().unwrap();
        ports
            .iter()
            .map(|it| {
                format!("{}:{}:{}", it["name"], it["port"], it["targetPort"]).replace('"', "")
            })
            .collect()
    }

    #[test]
    fn a_made_service_has_port_80_and_the_workloads_own() {
        for (given, expected) in [
            (&[(8001, "")][..], &["main:80:main", "main-8001:8001:main"][..]),
            (&[(8001, "http")], &["http:80:main", "http-8001:8001:main"]),
            (&[(80, "http")], &["http:80:main"]),
            (&[(9000, "tcp")], &["tcp-9000:9000:main"]),
            (
                &[(9000, "grpc"), (9090, "tcp")],
                &["grpc:80:main", "grpc-9000:9000:main", "tcp-9090:9090:port-9090"],
            ),
            (&[], &[]),
        ] {
            let service = managed_service(&workload(given), None, "now").unwrap();
            assert_eq!(ports(&service), expected);
        }
    }

    #[test]
    fn a_made_service_gains_ports_and_a_users_own_is_left_alone() {
        let first = managed_service(&workload(&[(8001, "http")]), None, "then").unwrap();
        assert_eq!(managed_service(&workload(&[(8001, "http")]), Some(&first), "now"), None);
        let second = managed_service(&workload(&[(8002, "http")]), Some(&first), "now").unwrap();
        assert_eq!(ports(&second), ["http:80:main", "http-8001:8001:main", "http-8002:8002:main"]);
        assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
        assert_eq!(second["metadata"]["creationTimestamp"], "then");
        let mut applied = second.clone();
        applied["spec"]["ports"] = json!([{"name": "http", "port": 80, "targetPort": "main"}]);
        assert_eq!(managed_service(&workload(&[(8003, "http")]), Some(&applied), "now"), None);
        let own = json!({"metadata": {"name": "hello"}, "spec": {"ports": []}});
        assert_eq!(managed_service(&workload(&[(8002, "http")]), Some(&own), "now"), None);
    }

    #[test]
    fn an_entry_written_again_changes_only_where_the_workload_did() {
        let health = |ready| Health { ready, reason: String::new() };
        let first = workload_entry(&workload(&[(8001, "")]), None, &health(false), None, "then");
        assert_eq!(first["spec"]["ports"], json!({"main": 8001}));
        assert_eq!(first["spec"]["labels"]["app"], "hello");
        assert!(is_registered(&first));
        assert_eq!(
            workload_entry(&workload(&[(8001, "")]), None, &health(false), Some(&first), "now"),
            first
        );
        let ready =
            workload_entry(&workload(&[(8001, "")]), None, &health(true), Some(&first), "now");
        assert_eq!(ready["status"]["conditions"][0]["lastTransitionTime"], "now");
        assert_eq!(ready["metadata"]["generation"], 1);
        let moved =
            workload_entry(&workload(&[(8002, "")]), None, &health(true), Some(&ready), "now");
        assert_eq!(moved["metadata"]["generation"], 2);
    }

    #[test]
    fn a_members_entry_names_its_group_and_keeps_our_annotations() {
        let group = json!({"spec": {
            "metadata": {"annotations": {"note": "x", INBOUND_PORT: "1", OF_GROUP: "other"}},
            "template": {"ports": {"http": 8080}, "labels": {"app": "web"}},
        }});
        let group = Group::read("web", 1, group).unwrap();
        let member =
            RegisteredWorkload { service: String::new(), inbound_port: 15006, ..workload(&[]) };
        let entry = workload_entry(&member, Some(&group), &Health::default(), None, "now");
        let expected =
            json!({"note": "x", INBOUND_PORT: "15006", OF_GROUP: "web", REGISTERED_BY: PROXY});
        assert_eq!(entry["metadata"]["annotations"], expected);
        assert_eq!(entry["spec"]["ports"], json!({"http": 8080}));
        assert_eq!(entry["spec"]["labels"]["app"], "web");
        assert_eq!(entry["metadata"]["labels"], entry["spec"]["labels"]);
    }
}
