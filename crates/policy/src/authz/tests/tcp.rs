//! Connections of bytes have no request: a rule that lets pass never matches for what it asks of one, a rule that refuses is
//! taken without it (<https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/>).

use super::*;

#[test]
fn what_is_asked_of_requests_counts_as_istio_says() {
    let call = Call { port: 9000, ..Call::default() };
    for (action, rule, expected) in [
        ("ALLOW", json!({"to": [{"ports": ["9000", "9001"]}]}), true),
        ("ALLOW", json!({"to": [{"ports": ["9001"]}]}), false),
        ("ALLOW", json!({"to": [{"ports": ["9000"], "methods": ["GET"]}]}), false),
        // One alternative that asks for a request makes the whole rule one for requests.
        ("ALLOW", json!({"to": [{"ports": ["9000"]}, {"methods": ["GET"]}]}), false),
        ("ALLOW", json!({"from": [{"namespaces": ["default"]}]}), true),
        ("ALLOW", json!({"from": [{"requestPrincipals": ["*"]}]}), false),
        ("ALLOW", json!({"when": [{"key": "request.headers[a]", "notValues": ["b"]}]}), false),
        ("ALLOW", json!({"when": [{"key": "source.ip", "values": ["10.0.0.0/8"]}]}), true),
        ("ALLOW", json!({"to": [{"paths": ["*"]}]}), false),
        ("DENY", json!({"to": [{"ports": ["9000"], "methods": ["GET"]}]}), false),
        ("DENY", json!({"to": [{"ports": ["9001"], "methods": ["GET"]}]}), true),
        ("DENY", json!({"to": [{"paths": ["/admin"]}]}), false),
        ("DENY", json!({"to": [{"notPaths": ["/admin"]}]}), false),
        ("DENY", json!({"from": [{"namespaces": ["other"], "requestPrincipals": ["*"]}]}), true),
        ("DENY", json!({"from": [{"namespaces": ["default"], "requestPrincipals": ["*"]}]}), false),
        ("DENY", json!({"when": [{"key": "request.headers[a]", "values": ["b"]}]}), false),
        ("CUSTOM", json!({"to": [{"ports": ["9000"], "hosts": ["x"]}]}), false),
        ("AUDIT", json!({"to": [{"methods": ["GET"]}]}), true),
    ] {
        let policies = [policy(action, json!([rule]))];
        assert_eq!(call.passes_as_bytes(&policies), expected, "{action} {rule}");
    }
}
