//! What is meant where a resource leaves something out, as Kubernetes fills it in.
//!
//! Istio's kinds have no such values: what they leave out depends on the mesh.

use serde_json::{Map, Value, json};

use crate::Kind;

mod gateway_api;

/// The label by which namespaces can be selected by name.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Fills in what the object leaves out. What is of a wrong type stays as it is, for the checks to refuse.
pub fn fill(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Service => fill_service(object),
        Kind::Secret => fill_field(object, "type", json!("Opaque")),
        Kind::Namespace => fill_namespace(object),
        Kind::HttpRoute => gateway_api::fill_http_route(object),
        Kind::GrpcRoute => gateway_api::fill_grpc_route(object),
        Kind::TcpRoute | Kind::TlsRoute => gateway_api::fill_stream_route(object),
        Kind::KubernetesGateway => gateway_api::fill_gateway(object),
        _ => {}
    }
}

fn fill_service(object: &mut Value) {
    let Some(spec) = field(object, "spec") else {
        return;
    };
    fill_field(spec, "type", json!("ClusterIP"));
    fill_field(spec, "sessionAffinity", json!("None"));
    for port in items(spec, "ports") {
        fill_field(port, "protocol", json!("TCP"));
        if let Some(number) = port.get("port").filter(|it| it.is_number()).cloned() {
            fill_field(port, "targetPort", number);
        }
    }
}

fn fill_namespace(object: &mut Value) {
    let Some(metadata) = field(object, "metadata") else {
        return;
    };
    let Some(name) = metadata.get("name").filter(|it| it.is_string()).cloned() else {
        return;
    };
    fill_field(metadata, "labels", json!({}));
    if let Some(labels) = field(metadata, "labels") {
        fill_field(labels, NAMESPACE_LABEL, name);
    }
}

/// Sets a field that is not there.
fn fill_field(object: &mut Value, name: &str, value: Value) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    if map.get(name).is_none_or(Value::is_null) {
        map.insert(name.to_owned(), value);
    }
}

/// A field that is an object.
fn field<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    object.get_mut(name).filter(|value| value.is_object())
}

/// The objects in a field that is a list.
fn items<'a>(object: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = object.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter()
        .flatten()
        .filter(|item| item.as_object().is_some_and(|it: &Map<_, _>| !it.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in_once() {
        let cases = [
            (
                Kind::Service,
                json!({"spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}]}}),
                json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": [
                    {"port": 80, "protocol": "TCP", "targetPort": 80},
                    {"port": 53, "protocol": "UDP", "targetPort": "dns"}]}}),
            ),
            (Kind::Secret, json!({"data": {}}), json!({"data": {}, "type": "Opaque"})),
            (
                Kind::Namespace,
                json!({"metadata": {"name": "shop", "labels": {"a": "b"}}}),
                json!({"metadata": {"name": "shop", "labels": {"a": "b", NAMESPACE_LABEL: "shop"}}}),
            ),
            (
                Kind::HttpRoute,
                json!({"spec": {"parentRefs": [{"name": "edge"}], "rules": [
                    {"backendRefs": [{"name": "a", "port": 80}]},
                    {"matches": [{"path": {"value": "/x"}, "headers": [{"name": "a", "value": "b"}]}]}]}}),
                json!({"spec": {
                    "parentRefs": [{"name": "edge", "group": "gateway.networking.k8s.io", "kind": "Gateway"}],
                    "rules": [
                        {"backendRefs": [{"name": "a", "port": 80, "group": "", "kind": "Service", "weight": 1}],
                         "matches": [{"path": {"type": "PathPrefix", "value": "/"}}]},
                        {"matches": [{"path": {"type": "PathPrefix", "value": "/x"},
                                      "headers": [{"name": "a", "value": "b", "type": "Exact"}]}]}]}}),
            ),
            (
                Kind::KubernetesGateway,
                json!({"spec": {"listeners": [{"name": "a", "tls": {"certificateRefs": [{"name": "c"}]}}]}}),
                json!({"spec": {"listeners": [{"name": "a",
                    "allowedRoutes": {"namespaces": {"from": "Same"}},
                    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "c", "group": "", "kind": "Secret"}]}}]}}),
            ),
            (Kind::VirtualService, json!({"spec": {}}), json!({"spec": {}})),
            (
                Kind::Service,
                json!({"spec": {"ports": 7}}),
                json!({"spec": {"ports": 7, "type": "ClusterIP", "sessionAffinity": "None"}}),
            ),
            (Kind::Service, json!([]), json!([])),
        ];
        for (kind, given, expected) in cases {
            let mut value = given.clone();
            fill(kind, &mut value);
            assert_eq!(value, expected, "{kind} {given}");
            fill(kind, &mut value);
            assert_eq!(value, expected, "{kind}: filled in twice");
        }
    }
}
