//! Paths and authorities that are rewritten.

use serde_json::Value;

use super::World;

impl World {
    /// What the application saw of a request to a path.
    async fn seen(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    }
}

fn host(seen: &Value) -> &str {
    let headers = seen["headers"].as_array().expect("a list");
    headers.iter().find(|it| it[0] == "host").and_then(|it| it[1].as_str()).unwrap_or_default()
}

/// Fields: VirtualService spec.http[].rewrite.uri
#[tokio::test(flavor = "multi_thread")]
async fn the_matched_part_of_a_path_is_replaced() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {exact: /whole}}], rewrite: {uri: /echo/new},
              route: [{destination: {host: hello}}]},
             {match: [{uri: {prefix: /api}}], rewrite: {uri: /echo/v1},
              route: [{destination: {host: hello}}]},
             {match: [{uri: {prefix: /slash/}}], rewrite: {uri: /echo/},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    for (path, target) in [
        ("/whole", "/echo/new"),
        ("/whole?a=b", "/echo/new?a=b"),
        ("/api", "/echo/v1"),
        ("/api/x/y?a=b", "/echo/v1/x/y?a=b"),
        ("/slash/x", "/echo/x"),
    ] {
        assert_eq!(world.seen(path).await["target"], target, "{path}");
    }
}

/// Fields: VirtualService spec.http[].rewrite.uriRegexRewrite.match, spec.http[].rewrite.uriRegexRewrite.rewrite
#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_rewritten_by_a_regex_with_groups() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            r"{rewrite: {uriRegexRewrite: {match: '^/service/([^/]+)(/.*)$', rewrite: '/echo\2/of/\1'}},
               route: [{destination: {host: hello}}]}",
        )
        .await;
    for (path, target) in [
        ("/service/shop/cart", "/echo/cart/of/shop"),
        ("/service/shop/cart?a=b", "/echo/cart/of/shop?a=b"),
        ("/echo/service/shop/cart", "/echo/service/shop/cart"),
    ] {
        assert_eq!(world.seen(path).await["target"], target, "{path}");
    }
}

/// Fields: VirtualService spec.http[].rewrite.authority
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_rewritten_and_the_service_stays() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {exact: /echo}}], rewrite: {authority: other.example.com},
              route: [{destination: {host: hello}}]},
             {route: [{destination: {host: hello}}]}",
        )
        .await;
    let seen = world.seen("/echo").await;
    assert_eq!((host(&seen), &seen["target"]), ("other.example.com", &"/echo".into()));
    assert_eq!(host(&world.seen("/echo/2").await), "hello");
}
