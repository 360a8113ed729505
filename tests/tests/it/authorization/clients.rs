//! The address of the first caller, behind proxies that the mesh trusts to say it.

use serde_json::{Value, json};

use super::World;

impl World {
    async fn status(&self, forwarded_for: &[&str]) -> u16 {
        let headers: Vec<(&str, &str)> =
            forwarded_for.iter().map(|it| ("x-forwarded-for", *it)).collect();
        let mut connection = self.client.http().await;
        connection.call("GET", "http://web/", &headers, b"").await.status
    }
}

fn from(source: Value) -> Value {
    json!([{"from": [{"source": source}]}])
}

/// Fields: AuthorizationPolicy spec.rules[].from[].source.remoteIpBlocks[],
/// spec.rules[].from[].source.notRemoteIpBlocks[], spec.rules[].when[].key
#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_who_the_outermost_trusted_proxy_has_seen() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("mesh.yaml");
    let settings = "defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}\n";
    std::fs::write(&file, settings).unwrap();
    let world = World::start_with(&["--mesh-config", file.to_str().unwrap()]).await;
    let of_office = json!({"remoteIpBlocks": ["203.0.113.0/24"]});
    let condition = json!([{"when": [{"key": "remote.ip", "values": ["203.0.113.0/24"]}]}]);
    for (action, rules, matching) in [
        ("ALLOW", from(of_office.clone()), 200),
        ("ALLOW", condition, 200),
        ("DENY", from(of_office), 403),
        ("DENY", from(json!({"notRemoteIpBlocks": ["0.0.0.0/0"]})), 200),
        ("ALLOW", from(json!({"notRemoteIpBlocks": ["127.0.0.0/8", "198.51.100.0/24"]})), 200),
        // The connection is from where it is.
        ("ALLOW", from(json!({"ipBlocks": ["127.0.0.0/8"]})), 200),
    ] {
        world.policies(&[(action, rules.clone())]).await;
        let status = world.status(&["203.0.113.9, 10.0.0.1"]).await;
        assert_eq!(status, matching, "{action} {rules}");
    }
    world.policies(&[("ALLOW", from(json!({"remoteIpBlocks": ["203.0.113.0/24"]})))]).await;
    for (forwarded_for, expected) in [
        (&["203.0.113.9,10.0.0.1"][..], 200),
        (&["203.0.113.9", "10.0.0.1"], 200),
        // What a caller has written itself stands further left.
        (&["203.0.113.9, 198.51.100.7, 10.0.0.1"], 403),
        (&["203.0.113.9"], 403),
        (&["203.0.113.9, 10.0.0.1, 10.0.0.2"], 403),
        (&["somebody, 10.0.0.1"], 403),
        (&[], 403),
    ] {
        assert_eq!(world.status(forwarded_for).await, expected, "{forwarded_for:?}");
    }
    // On one connection too, whose requests may be of different clients.
    let mut connection = world.client.http().await;
    for (client, expected) in [("203.0.113.9", 200), ("198.51.100.7", 403), ("203.0.113.8", 200)] {
        let forwarded_for = format!("{client}, 10.0.0.1");
        let headers = [("x-forwarded-for", forwarded_for.as_str())];
        let response = connection.call("GET", "http://web/", &headers, b"").await;
        assert_eq!(response.status, expected, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_trusted_to_say_it_unless_the_settings_say_so() {
    let world = World::start().await;
    let office = json!({"remoteIpBlocks": ["203.0.113.0/24"]});
    world.policies(&[("ALLOW", from(office))]).await;
    assert_eq!(world.status(&["203.0.113.9"]).await, 403);
    world.policies(&[("ALLOW", from(json!({"remoteIpBlocks": ["127.0.0.0/8"]})))]).await;
    assert_eq!(world.status(&["203.0.113.9"]).await, 200);
}
