//! What filters do to requests and answers.

use meltemi_tests::eventually;

use super::Shop;

/// Fields: HTTPRoute spec.rules[].filters[].type,
/// spec.rules[].filters[].requestHeaderModifier.set[].name, spec.rules[].filters[].requestHeaderModifier.set[].value,
/// spec.rules[].filters[].requestHeaderModifier.add[].name, spec.rules[].filters[].requestHeaderModifier.add[].value,
/// spec.rules[].filters[].requestHeaderModifier.remove[],
/// spec.rules[].filters[].responseHeaderModifier.set[].name, spec.rules[].filters[].responseHeaderModifier.set[].value,
/// spec.rules[].filters[].responseHeaderModifier.add[].name, spec.rules[].filters[].responseHeaderModifier.add[].value,
/// spec.rules[].filters[].responseHeaderModifier.remove[],
/// spec.rules[].backendRefs[].filters[].type,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.set[].name,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.set[].value,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.add[].name,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.add[].value,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.remove[],
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.set[].name,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.set[].value,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.add[].name,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.add[].value,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.remove[]
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_requests_and_answers_are_changed() {
    let shop = Shop::start().await;
    shop.route(
        "{filters: [
           {type: RequestHeaderModifier, requestHeaderModifier: {
             set: [{name: x-set, value: rule}], add: [{name: x-add, value: two}], remove: [x-gone]}},
           {type: ResponseHeaderModifier, responseHeaderModifier: {
             set: [{name: x-answer, value: rule}], add: [{name: x-more, value: b}], remove: [content-type]}}],
          backendRefs: [{name: one, port: 80, filters: [
           {type: RequestHeaderModifier, requestHeaderModifier: {
             set: [{name: x-own, value: one}], add: [{name: x-kept, value: '2'}], remove: [x-lost]}},
           {type: ResponseHeaderModifier, responseHeaderModifier: {
             set: [{name: x-from, value: one}], add: [{name: x-also, value: c}], remove: [date]}}]}]}",
    )
    .await;
    let headers =
        [("x-set", "caller"), ("x-add", "one"), ("x-gone", "1"), ("x-lost", "1"), ("x-kept", "1")];
    let response = shop.call("GET", "/echo", &headers, b"").await;
    assert_eq!(response.header("x-answer"), Some("rule"));
    assert_eq!(response.header("x-more"), Some("b"));
    assert_eq!(response.header("x-from"), Some("one"));
    assert_eq!(response.header("x-also"), Some("c"));
    assert_eq!(response.header("content-type"), None);
    assert_eq!(response.header("date"), None);
    let seen = response.json()["headers"].clone();
    let values = |name: &str| -> Vec<String> {
        let all = seen.as_array().expect("a list").iter();
        all.filter(|it| it[0] == name).map(|it| it[1].as_str().unwrap().to_owned()).collect()
    };
    for (name, expected) in [
        ("x-set", &["rule"][..]),
        ("x-add", &["one", "two"]),
        ("x-gone", &[]),
        ("x-lost", &[]),
        ("x-kept", &["1", "2"]),
        ("x-own", &["one"]),
    ] {
        assert_eq!(values(name), expected, "{name} of {seen}");
    }
}

/// Fields: HTTPRoute spec.rules[].filters[].requestRedirect.hostname, spec.rules[].filters[].requestRedirect.port,
/// spec.rules[].filters[].requestRedirect.scheme, spec.rules[].filters[].requestRedirect.statusCode,
/// spec.rules[].filters[].requestRedirect.path.type, spec.rules[].filters[].requestRedirect.path.replaceFullPath,
/// spec.rules[].filters[].requestRedirect.path.replacePrefixMatch
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_names_the_new_place() {
    let shop = Shop::start().await;
    let redirect = |path: &str, fields: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], filters: [
               {{type: RequestRedirect, requestRedirect: {{{fields}}}}}]}}"
        )
    };
    let full = "path: {type: ReplaceFullPath, replaceFullPath: /new}";
    let part = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}";
    shop.route(
        &[
            redirect("/host", "hostname: other.example.com, statusCode: 301"),
            redirect("/secure", "scheme: https"),
            redirect("/port", "port: 8080"),
            redirect("/full", full),
            redirect("/part", part),
        ]
        .join(", "),
    )
    .await;
    for (path, status, location) in [
        ("/host/x?a=b", 301, "http://other.example.com/host/x?a=b"),
        ("/secure", 302, "https://hello/secure"),
        ("/port", 302, "http://hello:8080/port"),
        ("/full/x", 302, "http://hello/new"),
        ("/part/x", 302, "http://hello/new/x"),
    ] {
        let response = shop.get(path).await;
        let seen = (response.status, response.header("location"));
        assert_eq!(seen, (status, Some(location)), "{path}");
    }
}

/// Fields: HTTPRoute spec.rules[].filters[].urlRewrite.hostname, spec.rules[].filters[].urlRewrite.path.type,
/// spec.rules[].filters[].urlRewrite.path.replaceFullPath, spec.rules[].filters[].urlRewrite.path.replacePrefixMatch
#[tokio::test(flavor = "multi_thread")]
async fn host_and_path_are_rewritten() {
    let shop = Shop::start().await;
    let rewrite = |path: &str, fields: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: one, port: 80}}],
               filters: [{{type: URLRewrite, urlRewrite: {{{fields}}}}}]}}"
        )
    };
    shop.route(
        &[
            rewrite("/full", "path: {type: ReplaceFullPath, replaceFullPath: /echo/new}"),
            rewrite("/part", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /echo}"),
            rewrite(
                "/",
                "hostname: other.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /echo}",
            ),
        ]
        .join(", "),
    )
    .await;
    for (path, target, host) in [
        ("/full/x?a=b", "/echo/new?a=b", "hello"),
        ("/part/x?a=b", "/echo/x?a=b", "hello"),
        ("/part", "/echo", "hello"),
        ("/partial", "/echo/partial", "other.example.com"),
    ] {
        let seen = shop.get(path).await.json();
        assert_eq!(seen["target"], target, "{path}");
        let headers = seen["headers"].to_string();
        assert!(headers.contains(&format!(r#"["host","{host}"]"#)), "{path}: {headers}");
    }
}

/// Fields: HTTPRoute spec.rules[].filters[].requestMirror.backendRef.name,
/// spec.rules[].filters[].requestMirror.backendRef.port, spec.rules[].filters[].requestMirror.backendRef.group,
/// spec.rules[].filters[].requestMirror.backendRef.kind, spec.rules[].filters[].requestMirror.backendRef.namespace,
/// spec.rules[].filters[].requestMirror.percent,
/// spec.rules[].filters[].requestMirror.fraction.numerator, spec.rules[].filters[].requestMirror.fraction.denominator
#[tokio::test(flavor = "multi_thread")]
async fn others_get_copies() {
    let shop = Shop::start().await;
    let rule = |path: &str, share: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: one, port: 80}}],
               filters: [{{type: RequestMirror, requestMirror: {{
                 backendRef: {{group: '', kind: Service, name: two, namespace: default, port: 80}}{share}}}}}]}}"
        )
    };
    let none = rule("/record/202", ", percent: 0");
    let all = rule("/record/203", ", fraction: {numerator: 2, denominator: 2}");
    shop.route(&[rule("/record/201", ""), none, all].join(", ")).await;
    for path in ["/record/202", "/record/201", "/record/203"] {
        let response = shop.call("POST", path, &[], path.as_bytes()).await;
        assert_eq!(response.served_by(), "one-1", "{path}");
    }
    let mut bodies = Vec::new();
    eventually("two copies have come", async || {
        bodies.extend(shop.recorded(2).into_iter().map(|it| it.body));
        if bodies.len() == 2 { Ok(()) } else { Err(format!("{bodies:?}")) }
    })
    .await;
    bodies.sort();
    assert_eq!(bodies, ["/record/201", "/record/203"]);
}

/// Fields: HTTPRoute spec.rules[].filters[].cors.allowOrigins[], spec.rules[].filters[].cors.allowMethods[],
/// spec.rules[].filters[].cors.allowHeaders[], spec.rules[].filters[].cors.exposeHeaders[],
/// spec.rules[].filters[].cors.allowCredentials, spec.rules[].filters[].cors.maxAge
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_told_what_they_may_do() {
    let shop = Shop::start().await;
    shop.route(
        "{backendRefs: [{name: one, port: 80}], filters: [{type: CORS, cors: {
           allowOrigins: ['https://*.example.com'], allowMethods: [GET, PUT], allowHeaders: [x-own],
           exposeHeaders: [x-seen], allowCredentials: true, maxAge: 60}}]}",
    )
    .await;
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "PUT")];
        shop.call("OPTIONS", "/", &headers, b"").await
    };
    let allowed = ask("https://a.example.com").await;
    for (name, value) in [
        ("allow-origin", "https://a.example.com"),
        ("allow-methods", "GET,PUT"),
        ("allow-headers", "x-own"),
        ("allow-credentials", "true"),
        ("max-age", "60"),
    ] {
        assert_eq!(allowed.header(&format!("access-control-{name}")), Some(value), "{name}");
    }
    let other = ask("https://example.org").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
    assert_eq!(shop.services[1].requests(), [0], "preflight requests are answered here");
    let headers = [("origin", "https://a.example.com")];
    let response = shop.call("GET", "/", &headers, b"").await;
    assert_eq!(response.header("access-control-expose-headers"), Some("x-seen"));
    assert_eq!(response.served_by(), "one-1");
}

/// A filter that nobody knows here must not be passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_there_is_not_ends_requests() {
    let shop = Shop::start().await;
    shop.route(
        "{backendRefs: [{name: one, port: 80}], filters: [
           {type: ExtensionRef, extensionRef: {group: example.com, kind: Guard, name: g}}]}",
    )
    .await;
    let response = shop.get("/").await;
    assert_eq!(response.status, 500);
    assert!(response.text().contains("ExtensionRef"), "{}", response.text());
    let told = shop.mesh.command(&["analyze"], "").await;
    assert!(told.stdout.contains("spec.rules[1].filters[0]"), "{told}");
}
