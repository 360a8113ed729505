//! Which tokens pass, and what is answered to the others.

use meltemi_tests::client::Http2;

use super::*;

/// Fields: RequestAuthentication spec.jwtRules[].issuer, spec.jwtRules[].jwks, spec.jwtRules[].audiences[]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_issuer_passes_and_every_other_one_is_refused() {
    let world = World::start(&[]).await;
    world.rule(&format!("{}, audiences: [books, 'https://api.example']", world.inline())).await;
    let stranger = Issuer::start().await;
    let sign = |claims: Value| world.issuer.token(&claims);
    let before = world.app().requests();
    let good = sign(json!({"aud": "books"}));
    let (head, rest) = good.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{rest}");
    let forged = stranger.token(&json!({"iss": world.issuer.url(), "aud": "books"}));
    for (token, status, body) in [
        (good.clone(), 200, ""),
        (sign(json!({"aud": ["letters", "api.example"]})), 200, ""),
        (sign(json!({"aud": "books", "exp": now() - 30})), 200, ""),
        (sign(json!({"aud": "books", "exp": now() - 600})), 401, "Jwt is expired"),
        (sign(json!({"aud": "books", "nbf": now() + 600})), 401, "Jwt not yet valid"),
        (sign(json!({"aud": "letters"})), 403, "Audiences in Jwt are not allowed"),
        (sign(json!({})), 403, "Audiences in Jwt are not allowed"),
        (sign(json!({"iss": "https://other"})), 401, "Jwt issuer is not configured"),
        (forged, 401, "Jwt verification fails"),
        (unsigned, 401, "Jwt header [alg] is not supported"),
        (format!("{head}.e30.AAAA"), 401, "Jwt issuer is not configured"),
        ("x".repeat(17_000), 401, "Jwt is too large"),
        (
            "nothing".to_owned(),
            401,
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
        ),
    ] {
        let response = world.bearer("/a?b=c", &token).await;
        let text = response.text();
        assert_eq!(response.status, status, "{body}: {text}");
        let challenge = response.header("www-authenticate");
        match status {
            200 => assert_eq!(challenge, None),
            _ => {
                assert_eq!(text, body);
                let expected = r#"Bearer realm="http://hello/a", error="invalid_token""#;
                assert_eq!(challenge, Some(expected), "{body}");
            }
        }
    }
    // A refused request does not reach the application.
    assert_eq!(world.app().requests() - before, 3);
    // Without a token a request passes: to ask for one is authorization's.
    assert_eq!(world.get("/", &[]).await.status, 200);
    assert_eq!(world.get("/", &[("authorization", "Basic YTpi")]).await.status, 200);
    let preflight = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "PUT"),
        ("authorization", "Bearer x"),
    ];
    let mut calls = world.client.http().await;
    assert_eq!(calls.call("OPTIONS", "http://hello/", &preflight, b"").await.status, 200);
}

/// Fields: RequestAuthentication spec.jwtRules[].issuer, spec.jwtRules[].jwks
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http2_are_judged_one_by_one() {
    let world = World::start(&[]).await;
    world.rule(&world.inline()).await;
    let mut calls = Http2::connect(world.client.outbound).await;
    let good = format!("Bearer {}", world.issuer.token(&json!({})));
    for (authorization, kind, status) in [
        (good.as_str(), "text/plain", 200),
        ("Bearer x", "text/plain", 401),
        (good.as_str(), "text/plain", 200),
        ("", "text/plain", 200),
        // gRPC says it in its own words: UNAUTHENTICATED.
        ("Bearer x", "application/grpc", 200),
    ] {
        let request = http::Request::get("http://hello/echo")
            .header("authorization", authorization)
            .header("content-type", kind)
            .body(Default::default())
            .unwrap();
        let response = calls.call(request).await;
        assert_eq!(response.status(), status, "{authorization} {kind}");
        let is_grpc = kind == "application/grpc";
        let told = response.headers().get("grpc-status").and_then(|it| it.to_str().ok());
        assert_eq!(told, is_grpc.then_some("16"), "{authorization} {kind}");
    }
}

/// Fields: RequestAuthentication spec.jwtRules[].outputPayloadToHeader,
/// spec.jwtRules[].outputClaimToHeaders[].header, spec.jwtRules[].outputClaimToHeaders[].claim
#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_told_of_claims_and_of_no_other_words() {
    let world = World::start(&[]).await;
    let outputs = "outputPayloadToHeader: X-Payload, outputClaimToHeaders: [
        {header: X-Sub, claim: sub}, {header: x-level, claim: account.level}, {header: x-none, claim: none}]";
    world.rule(&format!("{}, {outputs}", world.inline())).await;
    let token = world.issuer.token(&json!({"account": {"level": 7}, "sub": "bob"}));
    let authorization = format!("Bearer {token}");
    let spoofed = [
        ("x-sub", "admin"),
        ("X-Payload", "e30"),
        ("x-level", "99"),
        ("X-None", "1"),
        ("x-other", "1"),
    ];
    let with_token = [&spoofed[..], &[("authorization", &authorization)]].concat();
    let seen = world.get("/echo", &with_token).await.json();
    let payload = token.split('.').nth(1).unwrap();
    for (name, expected) in [
        ("x-sub", &["bob"][..]),
        ("x-level", &["7"]),
        ("x-payload", &[payload]),
        ("x-none", &[]),
        ("x-other", &["1"]),
        ("authorization", &[]),
    ] {
        assert_eq!(values(&seen, name), expected, "{name}");
    }
    // Nor are they told of who has no token.
    let seen = world.get("/echo", &spoofed).await.json();
    for name in ["x-sub", "x-level", "x-payload", "x-none"] {
        assert_eq!(values(&seen, name), [""; 0], "{name}");
    }
}
