//! What the caller's sidecar answers itself: redirects, direct responses, CORS.

use meltemi_tests::Response;

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_names_the_new_place() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {exact: /whole}}],
              redirect: {uri: /new, authority: other.example.com, redirectCode: 308}},
             {match: [{uri: {exact: /host}}], redirect: {authority: other.example.com}},
             {match: [{uri: {exact: /path}}], redirect: {uri: /new}},
             {match: [{uri: {exact: /secure}}], redirect: {scheme: https, port: 8443}}",
        )
        .await;
    for (path, status, location) in [
        ("/whole", 308, "http://other.example.com/new"),
        ("/host", 301, "http://other.example.com/host"),
        ("/host?a=b", 301, "http://other.example.com/host?a=b"),
        ("/path", 301, "http://hello/new"),
        ("/secure", 301, "https://hello:8443/secure"),
    ] {
        let response = world.get(path).await;
        let seen = (response.status, response.header("location"));
        assert_eq!(seen, (status, Some(location)), "{path}");
    }
    assert_eq!(world.app(0).requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_response_has_the_rules_status_body_and_fields() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {exact: /text}}],
              directResponse: {status: 418, body: {string: 'short and stout'}},
              headers: {response: {set: {x-kind: teapot}}}},
             {match: [{uri: {exact: /bytes}}], directResponse: {status: 200, body: {bytes: AAH/}}},
             {match: [{uri: {exact: /bare}}], directResponse: {status: 503}}",
        )
        .await;
    let text = world.get("/text").await;
    assert_eq!((text.status, text.text().as_str()), (418, "short and stout"));
    assert_eq!(text.header("x-kind"), Some("teapot"));
    assert_eq!(world.get("/bytes").await.body, [0, 1, 255]);
    let bare = world.get("/bare").await;
    assert_eq!((bare.status, bare.body.len()), (503, 0));
    assert_eq!(world.app(0).requests(), 0);
}

impl World {
    async fn call_from(&self, method: &str, origin: &str) -> Response {
        let mut headers = vec![("origin", origin)];
        if method == "OPTIONS" {
            headers.push(("access-control-request-method", "POST"));
        }
        self.call(method, "/", &headers, b"").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_and_allowed_origins_are_told() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{corsPolicy: {
                allowOrigins: [{exact: 'https://shop.example'}, {regex: 'https://.*[.]dev'}],
                allowMethods: [GET, POST], allowHeaders: [x-a, x-b], exposeHeaders: [x-c],
                maxAge: 24h, allowCredentials: true},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let preflight = world.call_from("OPTIONS", "https://shop.example").await;
    assert_eq!(preflight.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.example"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "x-a,x-b"),
        ("access-control-max-age", "86400"),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(preflight.header(name), Some(value), "{name}");
    }
    let regex = world.call_from("OPTIONS", "https://a.dev").await;
    assert_eq!(regex.header("access-control-allow-origin"), Some("https://a.dev"));
    assert_eq!(world.app(0).requests(), 0, "preflights are not the application's");
    let actual = world.call_from("POST", "https://shop.example").await;
    assert_eq!(actual.served_by(), "hello-v1");
    assert_eq!(actual.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(actual.header("access-control-expose-headers"), Some("x-c"));
    let foreign = world.call_from("POST", "https://evil.example").await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (200, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_of_another_origin_is_the_applications_unless_the_rule_says_otherwise() {
    let world = World::start(&["v1"]).await;
    let route = |further: &str| {
        format!(
            "{{corsPolicy: {{allowOrigins: [{{exact: 'https://shop.example'}}] {further}}},
               route: [{{destination: {{host: hello}}}}]}}"
        )
    };
    for (further, served_by) in [
        ("", "hello-v1"),
        (", unmatchedPreflights: FORWARD", "hello-v1"),
        (", unmatchedPreflights: IGNORE", ""),
    ] {
        world.route(&route(further)).await;
        let response = world.call_from("OPTIONS", "https://evil.example").await;
        assert_eq!((response.status, response.served_by()), (200, served_by), "{further}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{further}");
    }
}
