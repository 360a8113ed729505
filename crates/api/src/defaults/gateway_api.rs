//! Defaults of the Gateway API, as its CRDs have them.

use serde_json::{Value, json};

use super::{field, fill_field, items};
use crate::gateway_api::GROUP;

pub(super) fn fill_http_route(object: &mut Value) {
    let Some(spec) = field(object, "spec") else {
        return;
    };
    fill_parents(spec);
    for rule in items(spec, "rules") {
        fill_field(rule, "matches", json!([{}]));
        let matches = rule.get_mut("matches").and_then(Value::as_array_mut);
        for it in matches.into_iter().flatten() {
            fill_field(it, "path", json!({}));
            if let Some(path) = field(it, "path") {
                fill_field(path, "type", json!("PathPrefix"));
                fill_field(path, "value", json!("/"));
            }
            fill_patterns(it, "headers");
            fill_patterns(it, "queryParams");
        }
        fill_backends(rule);
    }
}

pub(super) fn fill_grpc_route(object: &mut Value) {
    let Some(spec) = field(object, "spec") else {
        return;
    };
    fill_parents(spec);
    for rule in items(spec, "rules") {
        for it in items(rule, "matches") {
            if let Some(method) = field(it, "method") {
                fill_field(method, "type", json!("Exact"));
            }
            fill_patterns(it, "headers");
        }
        fill_backends(rule);
    }
}

pub(super) fn fill_stream_route(object: &mut Value) {
    let Some(spec) = field(object, "spec") else {
        return;
    };
    fill_parents(spec);
    for rule in items(spec, "rules") {
        fill_backends(rule);
    }
}

pub(super) fn fill_gateway(object: &mut Value) {
    let Some(spec) = field(object, "spec") else {
        return;
    };
    for listener in items(spec, "listeners") {
        fill_field(listener, "allowedRoutes", json!({}));
        if let Some(allowed) = field(listener, "allowedRoutes") {
            fill_field(allowed, "namespaces", json!({}));
            if let Some(namespaces) = field(allowed, "namespaces") {
                fill_field(namespaces, "from", json!("Same"));
            }
        }
        if let Some(tls) = field(listener, "tls") {
            fill_field(tls, "mode", json!("Terminate"));
            for certificate in items(tls, "certificateRefs") {
                fill_field(certificate, "group", json!(""));
                fill_field(certificate, "kind", json!("Secret"));
            }
        }
    }
}

fn fill_parents(spec: &mut Value) {
    for parent in items(spec, "parentRefs") {
        fill_field(parent, "group", json!(GROUP));
        fill_field(parent, "kind", json!("Gateway"));
    }
}

fn fill_backends(rule: &mut Value) {
    for backend in items(rule, "backendRefs") {
        fill_field(backend, "group", json!(""));
        fill_field(backend, "kind", json!("Service"));
        fill_field(backend, "weight", json!(1));
    }
}

fn fill_patterns(it: &mut Value, name: &str) {
    for pattern in items(it, name) {
        fill_field(pattern, "type", json!("Exact"));
    }
}
