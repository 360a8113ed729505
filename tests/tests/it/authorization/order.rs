//! Several policies together, and what empty ones mean.

use serde_json::{Value, json};

use super::World;

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn custom_goes_before_deny_and_deny_before_allow() {
    let world = World::start().await;
    let path = |path: &str| json!([{"to": [{"operation": {"paths": [path]}}]}]);
    let spec = |action: &str, rules: Value| match action {
        "CUSTOM" => json!({"action": action, "provider": {"name": "nobody"}, "rules": rules}),
        action => json!({"action": action, "rules": rules}),
    };
    for (policies, expected) in [
        (vec![], [200, 200, 200]),
        (vec![spec("ALLOW", path("/a"))], [200, 403, 403]),
        (vec![spec("ALLOW", path("/a")), spec("ALLOW", path("/b"))], [200, 200, 403]),
        (vec![spec("DENY", path("/a"))], [403, 200, 200]),
        (vec![spec("ALLOW", path("*")), spec("DENY", path("/b"))], [200, 403, 200]),
        (vec![spec("DENY", path("/b")), spec("ALLOW", path("/b"))], [403, 403, 403]),
        (vec![spec("AUDIT", path("/a"))], [200, 200, 200]),
        (vec![spec("AUDIT", path("/a")), spec("ALLOW", path("/b"))], [403, 200, 403]),
        // Nobody can be asked: what is to be asked for is refused, the rest goes its way.
        (vec![spec("CUSTOM", path("/a"))], [403, 200, 200]),
        (vec![spec("CUSTOM", path("/a")), spec("ALLOW", path("/a"))], [403, 403, 403]),
    ] {
        world.specs(&policies).await;
        assert_eq!(world.statuses(&["/a", "/b", "/c"]).await, expected, "{policies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_policies_and_rules_mean_what_istio_says() {
    let world = World::start().await;
    for (spec, expected) in [
        // Allows nothing: an ALLOW policy without rules.
        (json!({}), 403),
        (json!({"action": "ALLOW"}), 403),
        (json!({"action": "ALLOW", "rules": []}), 403),
        // Matches everything: a rule that says nothing.
        (json!({"rules": [{}]}), 200),
        (json!({"action": "DENY", "rules": [{}]}), 403),
        (json!({"action": "DENY"}), 200),
        (json!({"action": "AUDIT"}), 200),
        (json!({"rules": [{"from": [], "to": [], "when": []}]}), 200),
    ] {
        world.specs(std::slice::from_ref(&spec)).await;
        assert_eq!(world.get("/").await.status, expected, "{spec}");
    }
}
