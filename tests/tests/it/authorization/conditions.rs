//! `when`: what else must hold.

use serde_json::json;

use super::{Call, World};

/// Fields: AuthorizationPolicy spec.rules[].when[].key, spec.rules[].when[].values[],
/// spec.rules[].when[].notValues[]
#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_compared_with_values() {
    let world = World::start().await;
    let port = world.app.port();
    let sni = format!("outbound_.{}_._.web.default.svc.cluster.local", 80);
    let when = |key: &str, value: &str| json!({"when": [{"key": key, "values": [value]}]});
    let not = |key: &str, value: &str| json!({"when": [{"key": key, "notValues": [value]}]});
    let mut table = vec![
        (
            json!({"when": [
                {"key": "request.headers[x-team]", "values": ["red", "blue"]},
                {"key": "source.namespace", "values": ["default"]},
            ]}),
            true,
        ),
        (
            json!({"when": [
                {"key": "request.headers[x-team]", "values": ["blue"]},
                {"key": "source.namespace", "values": ["other"]},
            ]}),
            false,
        ),
        (
            json!({"when": [
                {"key": "request.headers[x-team]", "values": ["bl*"], "notValues": ["blue"]},
            ]}),
            false,
        ),
    ];
    for (key, value, is_match) in [
        ("request.headers[x-team]", "blue", true),
        ("request.headers[X-Team]", "b*", true),
        ("request.headers[x-team]", "*ue", true),
        ("request.headers[x-team]", "*", true),
        ("request.headers[x-team]", "Blue", false),
        ("request.headers[x-other]", "*", false),
        ("source.ip", "127.0.0.0/8", true),
        ("source.ip", "10.0.0.0/8", false),
        ("remote.ip", "127.0.0.1", true),
        ("remote.ip", "10.0.0.0/8", false),
        ("source.namespace", "default", true),
        ("source.namespace", "other", false),
        ("source.principal", "cluster.local/ns/default/sa/client", true),
        ("source.principal", "*/sa/other", false),
        ("source.serviceAccount", "default/client", true),
        ("source.serviceAccount", "other/client", false),
        ("destination.ip", "127.0.0.1", true),
        ("destination.ip", "10.0.0.0/8", false),
        ("destination.port", &port.to_string(), true),
        ("destination.port", "80", false),
        ("connection.sni", &sni, true),
        ("connection.sni", "*.example.com", false),
        ("request.auth.principal", "*", false),
        ("request.auth.audiences", "shop", false),
        ("request.auth.presenter", "app", false),
        ("request.auth.claims[groups]", "dev", false),
    ] {
        table.push((when(key, value), is_match));
        table.push((not(key, value), !is_match));
    }
    let headers = [("x-team", "blue")];
    world.matches(&world.client, &table, Call { headers: &headers, ..Call::default() }).await;
}
