//! Who bears the token that a RequestAuthentication has verified.

use meltemi_tests::Issuer;
use serde_json::{Value, json};

use super::World;

/// Fields: AuthorizationPolicy spec.rules[].from[].source.requestPrincipals[],
/// spec.rules[].from[].source.notRequestPrincipals[], RequestAuthentication spec.jwtRules[].spaceDelimitedClaims[]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_told_apart_by_what_they_say() {
    let world = World::start().await;
    let issuer = Issuer::start().await;
    let url = issuer.url();
    let authentication = json!({
        "apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"jwtRules": [{
            "issuer": url, "jwks": issuer.key_set().to_string(), "spaceDelimitedClaims": ["roles"],
        }]},
    });
    world.mesh.apply(&authentication.to_string()).await;
    let source = |source| json!({"from": [{"source": source}]});
    let when = |key: &str, value: &str| json!({"when": [{"key": key, "values": [value]}]});
    let not = |key: &str, value: &str| json!({"when": [{"key": key, "notValues": [value]}]});
    let table = [
        (source(json!({"requestPrincipals": [format!("{url}/alice")]})), true),
        (source(json!({"requestPrincipals": [format!("{url}/*")]})), true),
        (source(json!({"requestPrincipals": ["*/alice"]})), true),
        (source(json!({"requestPrincipals": ["*"]})), true),
        (source(json!({"requestPrincipals": [format!("{url}/bob"), "*/carol"]})), false),
        (source(json!({"notRequestPrincipals": ["*/alice"]})), false),
        (source(json!({"notRequestPrincipals": ["*/bob"]})), true),
        (when("request.auth.principal", &format!("{url}/alice")), true),
        (when("request.auth.principal", "*/bob"), false),
        (when("request.auth.audiences", "books"), true),
        (when("request.auth.audiences", "bank"), false),
        (when("request.auth.presenter", "app"), true),
        (when("request.auth.presenter", "other"), false),
        (when("request.auth.claims[groups]", "readers"), true),
        (when("request.auth.claims[groups]", "writers"), false),
        (when("request.auth.claims[account][plan]", "gold"), true),
        (when("request.auth.claims[account][plan]", "silver"), false),
        (when("request.auth.claims[roles]", "editor"), true),
        (when("request.auth.claims[roles]", "viewer editor"), false),
        (when("request.auth.claims[scope]", "write"), true),
        (when("request.auth.claims[none]", "*"), false),
        (when("request.auth.audiences", "*"), true),
        (when("request.auth.audiences", "mus*"), true),
        (when("request.auth.audiences", "*sics"), false),
        (when("request.auth.presenter", "*"), true),
        (when("request.auth.claims[account][teams]", "red"), true),
        (when("request.auth.claims[account][teams]", "r*"), true),
        (when("request.auth.claims[account][teams]", "green"), false),
        (when("request.auth.claims[account]", "*"), false),
        (when("request.auth.claims[iss]", &url), true),
        (not("request.auth.principal", "*/alice"), false),
        (not("request.auth.principal", "*/bob"), true),
        (not("request.auth.audiences", "music"), false),
        (not("request.auth.audiences", "bank"), true),
        (not("request.auth.presenter", "app"), false),
        (not("request.auth.presenter", "other"), true),
        (not("request.auth.claims[groups]", "staff"), false),
        (not("request.auth.claims[groups]", "writers"), true),
        (not("request.auth.claims[account][teams]", "blue"), false),
        (not("request.auth.claims[none]", "*"), true),
    ];
    let token = issuer.token(&json!({
        "iss": url, "sub": "alice", "aud": ["books", "music"], "azp": "app",
        "groups": ["readers", "staff"], "account": {"plan": "gold", "teams": ["red", "blue"]},
        "roles": "viewer editor", "scope": "read write",
    }));
    // The rules of tokens come with the policies, or before them.
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let call = super::Call { headers: &headers, ..super::Call::default() };
    world.matches(&world.client, &table, call).await;

    // What only a token opens stays shut without one; a wrong one is told so.
    let rules: Value = json!([source(json!({"requestPrincipals": ["*"]}))]);
    world.policies(&[("ALLOW", rules)]).await;
    let mut connection = world.client.http().await;
    assert_eq!(connection.get("http://web/").await.status, 403);
    assert_eq!(connection.call("GET", "http://web/", &headers, b"").await.status, 200);
    let wrong = format!("Bearer {token}x");
    let wrong = [("authorization", wrong.as_str())];
    assert_eq!(connection.call("GET", "http://web/", &wrong, b"").await.status, 401);
}
