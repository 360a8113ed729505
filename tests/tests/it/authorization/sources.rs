//! `from`: who calls.

use serde_json::json;

use super::{Call, World};

/// Fields: AuthorizationPolicy spec.rules[].from[].source.principals[],
/// spec.rules[].from[].source.notPrincipals[], spec.rules[].from[].source.namespaces[],
/// spec.rules[].from[].source.notNamespaces[], spec.rules[].from[].source.serviceAccounts[],
/// spec.rules[].from[].source.notServiceAccounts[], spec.rules[].from[].source.ipBlocks[],
/// spec.rules[].from[].source.notIpBlocks[], spec.rules[].from[].source.remoteIpBlocks[],
/// spec.rules[].from[].source.notRemoteIpBlocks[]
#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_by_certificate_and_address() {
    let world = World::start().await;
    let source = |source| json!({"from": [{"source": source}]});
    let table = [
        (source(json!({"principals": ["cluster.local/ns/default/sa/client"]})), true),
        (source(json!({"principals": ["cluster.local/ns/default/sa/clien"]})), false),
        (source(json!({"principals": ["cluster.local/ns/default/*"]})), true),
        (source(json!({"principals": ["cluster.local/ns/other/*"]})), false),
        (source(json!({"principals": ["*/sa/client"]})), true),
        (source(json!({"principals": ["*"]})), true),
        (source(json!({"principals": ["other.domain/ns/default/sa/client"]})), false),
        (source(json!({"notPrincipals": ["cluster.local/ns/default/sa/client"]})), false),
        (source(json!({"notPrincipals": ["*/sa/other"]})), true),
        (source(json!({"namespaces": ["other", "default"]})), true),
        (source(json!({"namespaces": ["other"]})), false),
        (source(json!({"namespaces": ["def*"]})), true),
        (source(json!({"notNamespaces": ["default"]})), false),
        (source(json!({"notNamespaces": ["other"]})), true),
        (source(json!({"serviceAccounts": ["client"]})), true),
        (source(json!({"serviceAccounts": ["default/client"]})), true),
        (source(json!({"serviceAccounts": ["other/client"]})), false),
        (source(json!({"notServiceAccounts": ["client"]})), false),
        (source(json!({"notServiceAccounts": ["other/client"]})), true),
        (source(json!({"ipBlocks": ["127.0.0.0/8"]})), true),
        (source(json!({"ipBlocks": ["127.0.0.1"]})), true),
        (source(json!({"ipBlocks": ["10.0.0.0/8", "::1"]})), false),
        (source(json!({"notIpBlocks": ["127.0.0.0/8"]})), false),
        (source(json!({"notIpBlocks": ["10.0.0.0/8"]})), true),
        (source(json!({"remoteIpBlocks": ["127.0.0.0/8"]})), true),
        (source(json!({"remoteIpBlocks": ["203.0.113.7"]})), false),
        (source(json!({"notRemoteIpBlocks": ["203.0.113.7"]})), true),
        (source(json!({"notRemoteIpBlocks": ["127.0.0.1"]})), false),
        (source(json!({"namespaces": ["default"], "ipBlocks": ["10.0.0.0/8"]})), false),
        (
            json!({"from": [
                {"source": {"namespaces": ["other"]}},
                {"source": {"serviceAccounts": ["client"]}},
            ]}),
            true,
        ),
        (json!({}), true),
    ];
    // Whoever is trusted to name the first caller has to be configured first: nobody is.
    let headers = [("x-forwarded-for", "203.0.113.7")];
    world.matches(&world.client, &table, Call { headers: &headers, ..Call::default() }).await;
}

/// Fields: AuthorizationPolicy spec.rules[].from[].source.requestPrincipals[],
/// spec.rules[].from[].source.notRequestPrincipals[]
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_token_has_no_request_principal() {
    let world = World::start().await;
    let source = |source| json!({"from": [{"source": source}]});
    let table = [
        (source(json!({"requestPrincipals": ["*"]})), false),
        (source(json!({"requestPrincipals": ["https://issuer/alice"]})), false),
        (source(json!({"notRequestPrincipals": ["*"]})), true),
        (source(json!({"notRequestPrincipals": ["https://issuer/alice"]})), true),
    ];
    world.matches(&world.client, &table, Call::default()).await;
}
