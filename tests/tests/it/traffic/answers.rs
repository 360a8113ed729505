//! What the caller's sidecar answers itself: redirects, direct responses, CORS.

use meltemi_tests::Response;

use super::World;

/// Fields: VirtualService spec.http[].redirect.uri, spec.http[].redirect.authority,
/// spec.http[].redirect.redirectCode, spec.http[].redirect.scheme, spec.http[].redirect.port
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

/// Fields: VirtualService spec.http[].directResponse.status, spec.http[].directResponse.body.string,
/// spec.http[].directResponse.body.bytes
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

/// Fields: VirtualService spec.http[].corsPolicy.allowOrigins[].exact, spec.http[].corsPolicy.allowOrigins[].regex,
/// spec.http[].corsPolicy.allowMethods[], spec.http[].corsPolicy.allowHeaders[],
/// spec.http[].corsPolicy.exposeHeaders[], spec.http[].corsPolicy.maxAge, spec.http[].corsPolicy.allowCredentials
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

/// Fields: VirtualService spec.http[].corsPolicy.unmatchedPreflights
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

/// Fields: VirtualService spec.http[].corsPolicy.allowOrigin[], spec.http[].corsPolicy.allowOrigins[].prefix
#[tokio::test(flavor = "multi_thread")]
async fn origins_are_named_by_their_beginning_and_in_the_old_form() {
    let world = World::start(&["v1"]).await;
    for origins in
        ["allowOrigin: ['https://shop.example']", "allowOrigins: [{prefix: 'https://shop.'}]"]
    {
        let cors = format!("corsPolicy: {{{origins}}}");
        world.route(&format!("{{{cors}, route: [{{destination: {{host: hello}}}}]}}")).await;
        let allowed = |it: &Response| it.header("access-control-allow-origin").map(str::to_owned);
        let own = world.call_from("POST", "https://shop.example").await;
        assert_eq!(allowed(&own).as_deref(), Some("https://shop.example"), "{origins}");
        let foreign = world.call_from("POST", "https://other.example").await;
        assert_eq!((foreign.status, allowed(&foreign)), (200, None), "{origins}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_sidecar_itself_can_be_read_by_allowed_pages() {
    let world = World::start(&["v1"]).await;
    world.destination(&["v1", "v7"], "").await;
    let cors =
        "corsPolicy: {allowOrigins: [{exact: 'https://shop.example'}], exposeHeaders: [x-c]}";
    world
        .route(&format!(
            "{{match: [{{uri: {{exact: /nobody}}}}], {cors},
               route: [{{destination: {{host: hello, subset: v7}}}}]}},
             {{match: [{{uri: {{exact: /unknown}}}}], {cors},
               route: [{{destination: {{host: hello, subset: v8}}}}]}},
             {{match: [{{uri: {{exact: /hold}}}}], {cors}, timeout: 0.1s,
               route: [{{destination: {{host: hello}}}}]}},
             {{match: [{{uri: {{exact: /fault}}}}], {cors}, fault: {{abort: {{httpStatus: 418}}}},
               route: [{{destination: {{host: hello}}}}]}},
             {{match: [{{uri: {{exact: /direct}}}}], {cors}, directResponse: {{status: 403}}}}"
        ))
        .await;
    for (path, status) in
        [("/nobody", 503), ("/unknown", 503), ("/hold", 504), ("/fault", 418), ("/direct", 403)]
    {
        for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false)] {
            let response = world.call("GET", path, &[("origin", origin)], b"").await;
            assert_eq!(response.status, status, "{path}");
            let told = |name| allowed.then_some(name);
            let seen = response.header("access-control-allow-origin");
            assert_eq!(seen, told(origin), "{path} for {origin}");
            let exposed = response.header("access-control-expose-headers");
            assert_eq!(exposed, told("x-c"), "{path} for {origin}");
        }
    }
}

/// Fields: VirtualService spec.http[].redirect.derivePort
#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_a_redirect_is_the_requests_or_the_schemes() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {exact: /kept}}], redirect: {derivePort: FROM_REQUEST_PORT}},
             {match: [{uri: {exact: /default}}], redirect: {derivePort: FROM_PROTOCOL_DEFAULT}}",
        )
        .await;
    let port = world.hello.port();
    let mut calls = world.client.http().await;
    for (path, expected) in [
        ("/kept", format!("http://hello:{port}/kept")),
        ("/default", "http://hello/default".into()),
    ] {
        let response = calls.get(&format!("http://hello:{port}{path}")).await;
        assert_eq!((response.status, response.header("location")), (301, Some(expected.as_str())));
    }
}
