//! `to`: what is asked for.

use serde_json::json;

use super::{Call, World};

/// Fields: AuthorizationPolicy spec.rules[].to[].operation.methods[],
/// spec.rules[].to[].operation.notMethods[], spec.rules[].to[].operation.hosts[],
/// spec.rules[].to[].operation.notHosts[], spec.rules[].to[].operation.ports[],
/// spec.rules[].to[].operation.notPorts[]
#[tokio::test(flavor = "multi_thread")]
async fn methods_hosts_and_ports_are_told_apart() {
    let world = World::start().await;
    let operation = |operation| json!({"to": [{"operation": operation}]});
    let port = world.app.port().to_string();
    let table = [
        (operation(json!({"methods": ["PUT"]})), true),
        (operation(json!({"methods": ["GET", "P*"]})), true),
        (operation(json!({"methods": ["GET"]})), false),
        (operation(json!({"methods": ["put"]})), false),
        (operation(json!({"notMethods": ["GET"]})), true),
        (operation(json!({"notMethods": ["PUT"]})), false),
        (operation(json!({"hosts": ["web"]})), true),
        (operation(json!({"hosts": ["WEB"]})), true),
        (operation(json!({"hosts": ["w*"]})), true),
        (operation(json!({"hosts": ["*.example.com"]})), false),
        (operation(json!({"notHosts": ["web"]})), false),
        (operation(json!({"notHosts": ["other"]})), true),
        (operation(json!({"ports": [port]})), true),
        (operation(json!({"ports": ["80"]})), false),
        (operation(json!({"notPorts": [port]})), false),
        (operation(json!({"notPorts": ["80"]})), true),
        (operation(json!({"methods": ["PUT"], "ports": ["80"]})), false),
        (
            json!({"to": [
                {"operation": {"methods": ["GET"]}},
                {"operation": {"methods": ["PUT"]}},
            ]}),
            true,
        ),
    ];
    world.matches(&world.client, &table, Call { method: "PUT", headers: &[] }).await;
}

/// Fields: AuthorizationPolicy spec.rules[].to[].operation.paths[],
/// spec.rules[].to[].operation.notPaths[]
#[tokio::test(flavor = "multi_thread")]
async fn paths_are_matched_whole_at_one_end_and_by_templates() {
    let world = World::start().await;
    for (field, patterns, passing, refused) in [
        ("paths", &["/one"][..], &["/one", "/one?x=/two"][..], &["/one/", "/One", "/two"][..]),
        ("paths", &["/two*"], &["/two", "/two/x", "/twofold"], &["/tw", "/x/two"]),
        ("paths", &["*/end"], &["/end", "/a/end", "/a/b/end?q"], &["/end/a", "/a?/end"]),
        ("paths", &["*"], &["/", "/a"], &[]),
        ("paths", &["/foo/{*}"], &["/foo/bar"], &["/foo/bar/baz", "/foo/", "/foo"]),
        ("paths", &["/a/{*}/b/{**}"], &["/a/x/b/", "/a/x/b/y/z"], &["/a/x/b", "/a/x/y/b/z"]),
        ("paths", &["/one", "/v/{**}"], &["/one", "/v/a/b"], &["/v", "/w"]),
        ("notPaths", &["/one", "/two*"], &["/three"], &["/one", "/two/x"]),
        ("notPaths", &["/{*}/secret"], &["/a/public", "/a/b/secret"], &["/a/secret"]),
    ] {
        let rule = json!([{"to": [{"operation": {field: patterns}}]}]);
        world.policies(&[("ALLOW", rule.clone())]).await;
        assert_eq!(
            world.statuses(passing).await,
            vec![200; passing.len()],
            "ALLOW {rule} {passing:?}"
        );
        assert_eq!(
            world.statuses(refused).await,
            vec![403; refused.len()],
            "ALLOW {rule} {refused:?}"
        );
        world.policies(&[("DENY", rule.clone())]).await;
        assert_eq!(
            world.statuses(passing).await,
            vec![403; passing.len()],
            "DENY {rule} {passing:?}"
        );
        assert_eq!(
            world.statuses(refused).await,
            vec![200; refused.len()],
            "DENY {rule} {refused:?}"
        );
    }
}
