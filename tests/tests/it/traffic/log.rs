//! What the access log tells of rules.

use meltemi_tests::Sidecar;
use serde_json::Value;

use super::World;

/// The next line for a path, and what it says of the route and the cluster.
async fn line(client: &mut Sidecar, path: &str) -> [Option<String>; 2] {
    while let Some(line) = client.process.line().await {
        let line: Value = serde_json::from_str(&line).expect("a line is JSON");
        if line["path"] == path {
            return ["route_name", "upstream_cluster"]
                .map(|it| line[it].as_str().map(str::to_owned));
        }
    }
    panic!("the log ended before {path}")
}

/// Fields: VirtualService spec.http[].name, spec.http[].match[].name
#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_names_the_route_and_the_cluster() {
    let mut world = World::start(&["v1"]).await;
    let workload = world.mesh.workload("client").flag("--access-log", "json");
    world.client = workload.proxy().await;
    let host = "hello.default.svc.cluster.local";
    let plain = world.get("/without-rules").await;
    assert_eq!(plain.status, 200);
    let own = format!("outbound|80||{host}");
    let seen = line(&mut world.client, "/without-rules").await;
    assert_eq!(seen, [Some("default".to_owned()), Some(own)]);
    world.destination(&["v1"], "").await;
    world
        .route(
            "{name: old, match: [{name: page, uri: {exact: /page}}, {uri: {exact: /other}}],
              route: [{destination: {host: hello, subset: v1}}]},
             {name: gone, match: [{uri: {exact: /gone}}], directResponse: {status: 410}},
             {match: [{uri: {exact: /nameless}}], route: [{destination: {host: hello}}]}",
        )
        .await;
    let subset = format!("outbound|80|v1|{host}");
    let whole = format!("outbound|80||{host}");
    for (path, route, cluster) in [
        ("/page", Some("old.page"), Some(&subset)),
        ("/other", Some("old"), Some(&subset)),
        ("/gone", Some("gone"), None),
        ("/nameless", None, Some(&whole)),
        ("/no-rule", None, None),
    ] {
        world.get(path).await;
        let seen = line(&mut world.client, path).await;
        assert_eq!(seen, [route.map(str::to_owned), cluster.cloned()], "{path}");
    }
}
