//! Each field, with a request that it matches and one that it does not.

use super::*;

/// A source, and whether it lets the default caller pass.
#[test]
fn sources() {
    let sleep = "cluster.local/ns/default/sa/sleep";
    for (source, expected) in [
        (json!({"principals": [sleep]}), true),
        (json!({"principals": ["cluster.local/ns/default/sa/other"]}), false),
        (json!({"principals": ["cluster.local/ns/default/*"]}), true),
        (json!({"principals": ["*/sa/sleep"]}), true),
        (json!({"principals": ["*/sa/other"]}), false),
        (json!({"principals": ["*"]}), true),
        (json!({"notPrincipals": [sleep]}), false),
        (json!({"notPrincipals": ["*/sa/other"]}), true),
        (json!({"principals": ["*"], "notPrincipals": ["*/sa/other"]}), true),
        (json!({"namespaces": ["default"]}), true),
        (json!({"namespaces": ["def*", "x"]}), true),
        (json!({"namespaces": ["defaul"]}), false),
        (json!({"notNamespaces": ["default"]}), false),
        (json!({"notNamespaces": ["other"]}), true),
        (json!({"serviceAccounts": ["default/sleep"]}), true),
        (json!({"serviceAccounts": ["sleep"]}), true),
        (json!({"serviceAccounts": ["other/sleep"]}), false),
        (json!({"serviceAccounts": ["slee"]}), false),
        (json!({"notServiceAccounts": ["sleep"]}), false),
        (json!({"notServiceAccounts": ["other/sleep"]}), true),
        (json!({"ipBlocks": ["10.1.0.0/16"]}), true),
        (json!({"ipBlocks": ["10.1.2.3"]}), true),
        (json!({"ipBlocks": ["10.2.0.0/16", "fd00::/8"]}), false),
        (json!({"notIpBlocks": ["10.1.0.0/16"]}), false),
        (json!({"notIpBlocks": ["10.2.0.0/16"]}), true),
        (json!({"remoteIpBlocks": ["10.0.0.0/8"]}), true),
        (json!({"notRemoteIpBlocks": ["10.0.0.0/8"]}), false),
        (json!({"requestPrincipals": ["*"]}), false),
        (json!({"notRequestPrincipals": ["*"]}), true),
        (json!({"principals": [sleep], "namespaces": ["other"]}), false),
    ] {
        let call = Call::default();
        let rules = json!([{"from": [source]}]);
        assert_eq!(call.passes(&[policy("ALLOW", rules.clone())]), expected, "ALLOW {rules}");
        assert_eq!(call.passes(&[policy("DENY", rules.clone())]), !expected, "DENY {rules}");
    }
}

#[test]
fn a_caller_without_identity_is_matched_by_negations_alone() {
    let call = Call { peer: None, ..Call::default() };
    for (source, expected) in [
        (json!({"principals": ["*"]}), false),
        (json!({"namespaces": ["*"]}), false),
        (json!({"serviceAccounts": ["sleep"]}), false),
        (json!({"notPrincipals": ["*"]}), true),
        (json!({"notNamespaces": ["default"]}), true),
        (json!({"ipBlocks": ["10.1.2.3"]}), true),
    ] {
        let rules = json!([{"from": [source]}]);
        assert_eq!(call.passes(&[policy("ALLOW", rules.clone())]), expected, "{rules}");
    }
}

#[test]
fn operations() {
    let call = Call {
        method: "POST".into(),
        path: "/info/a?x=/other".into(),
        host: "Web.Default.svc".into(),
        ..Call::default()
    };
    for (operation, expected) in [
        (json!({"methods": ["POST"]}), true),
        (json!({"methods": ["GET", "PO*"]}), true),
        (json!({"methods": ["post"]}), false),
        (json!({"notMethods": ["GET"]}), true),
        (json!({"notMethods": ["*"]}), false),
        (json!({"paths": ["/info/a"]}), true),
        (json!({"paths": ["/info/a?x=/other"]}), false),
        (json!({"paths": ["/info*"]}), true),
        (json!({"paths": ["*/a"]}), true),
        (json!({"paths": ["*/other"]}), false),
        (json!({"paths": ["*"]}), true),
        (json!({"paths": ["/INFO*"]}), false),
        (json!({"paths": ["/{*}/a"]}), true),
        (json!({"paths": ["/{**}"]}), true),
        (json!({"paths": ["/info/{*}/b"]}), false),
        (json!({"notPaths": ["/info*"]}), false),
        (json!({"notPaths": ["/other"]}), true),
        (json!({"paths": ["/info*"], "notPaths": ["/info/b"]}), true),
        (json!({"hosts": ["web.default.svc"]}), true),
        (json!({"hosts": ["*.SVC"]}), true),
        (json!({"hosts": ["web.*"]}), true),
        (json!({"hosts": ["default"]}), false),
        (json!({"notHosts": ["web.default.SVC"]}), false),
        (json!({"notHosts": ["other"]}), true),
        (json!({"ports": ["8080"]}), true),
        (json!({"ports": ["80"]}), false),
        (json!({"notPorts": ["8080"]}), false),
        (json!({"notPorts": ["80"]}), true),
        (json!({"methods": ["POST"], "ports": ["80"]}), false),
    ] {
        let rules = json!([{"to": [operation]}]);
        assert_eq!(call.passes(&[policy("ALLOW", rules.clone())]), expected, "ALLOW {rules}");
        assert_eq!(call.passes(&[policy("DENY", rules.clone())]), !expected, "DENY {rules}");
    }
}

#[test]
fn conditions() {
    let claims = json!({
        "iss": "https://issuer", "principal": "https://issuer/alice", "sub": "alice",
        "aud": ["shop", "bank"], "azp": "app", "groups": ["dev", "ops"],
        "nested": {"role": "admin"}, "age": 3,
    });
    let call = Call {
        headers: vec![("X-Team".into(), "blue".into())],
        token: Some(Claims(claims)),
        ..Call::default()
    };
    for (key, value, expected) in [
        ("request.headers[x-team]", "blue", true),
        ("request.headers[X-TEAM]", "bl*", true),
        ("request.headers[x-team]", "*", true),
        ("request.headers[x-team]", "Blue", false),
        ("request.headers[x-other]", "*", false),
        ("source.ip", "10.0.0.0/8", true),
        ("source.ip", "11.0.0.0/8", false),
        ("remote.ip", "10.1.2.3", true),
        ("source.namespace", "default", true),
        ("source.namespace", "other", false),
        ("source.principal", "*/sa/sleep", true),
        ("source.serviceAccount", "default/sleep", true),
        ("source.serviceAccount", "default/other", false),
        ("destination.ip", "10.9.0.0/16", true),
        ("destination.ip", "10.8.0.0/16", false),
        ("destination.port", "8080", true),
        ("destination.port", "80", false),
        ("connection.sni", "outbound_.80_._.web.default", true),
        ("connection.sni", "*.other", false),
        ("request.auth.principal", "https://issuer/alice", true),
        ("request.auth.principal", "https://issuer/*", true),
        ("request.auth.principal", "*/alice", true),
        ("request.auth.principal", "*/bob", false),
        ("request.auth.principal", "https://*", false),
        ("request.auth.audiences", "bank", true),
        ("request.auth.audiences", "other", false),
        ("request.auth.presenter", "app", true),
        ("request.auth.presenter", "appl", false),
        ("request.auth.claims[groups]", "ops", true),
        ("request.auth.claims[groups]", "op", false),
        ("request.auth.claims[nested][role]", "admin", true),
        ("request.auth.claims[nested][role]", "user", false),
        ("request.auth.claims[age]", "3", false),
        ("experimental.envoy.filters.a.b[c]", "*", false),
    ] {
        let rules = json!([{"when": [{"key": key, "values": [value]}]}]);
        assert_eq!(call.passes(&[policy("ALLOW", rules.clone())]), expected, "ALLOW {rules}");
        if !key.starts_with("experimental") {
            assert_eq!(call.passes(&[policy("DENY", rules.clone())]), !expected, "DENY {rules}");
            let rules = json!([{"when": [{"key": key, "notValues": [value]}]}]);
            assert_eq!(call.passes(&[policy("ALLOW", rules.clone())]), !expected, "not {rules}");
        }
    }
}

#[test]
fn an_attribute_that_is_not_known_lets_nothing_pass() {
    let rules = json!([{"when": [{"key": "experimental.envoy.filters.a.b[c]", "values": ["x"]}]}]);
    assert!(!Call::default().passes(&[policy("ALLOW", rules.clone())]));
    assert!(!Call::default().passes(&[policy("DENY", rules.clone())]));
}

#[test]
fn a_token_of_an_issuer_that_begins_alike_is_another_ones() {
    let claims =
        json!({"iss": "https://issuer/evil", "principal": "https://issuer/evil/alice", "aud": []});
    let call = Call { token: Some(Claims(claims)), ..Call::default() };
    let rules = json!([{"from": [{"requestPrincipals": ["https://issuer/*"]}]}]);
    assert!(!call.passes(&[policy("ALLOW", rules)]));
}
