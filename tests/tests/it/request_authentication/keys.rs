//! Keys that the control plane fetches: rotation, failures, restarts, and what may be asked.

use std::sync::Arc;

use meltemi_tests::Http1;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;

const FLAGS: [&str; 4] = ["--jwks-allow", "localhost", "--jwks-refresh", "200ms"];

/// Fields: RequestAuthentication spec.jwtRules[].jwksUri
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_changes_its_keys_is_followed() {
    let world = World::start(&FLAGS).await;
    let rule = format!("issuer: '{}', jwksUri: '{}'", world.issuer.url(), world.issuer.keys_url());
    world.rule(&rule).await;
    let first = world.issuer.token(&json!({}));
    world.until("the keys have come", &first, 200, "").await;
    for _ in 0..3 {
        let before = world.issuer.token(&json!({}));
        world.issuer.rotate();
        let after = world.issuer.token(&json!({}));
        world.until("the new key has come", &after, 200, "").await;
        // What the key before has signed is no longer taken, though it was verified already.
        let words = "Jwks doesn't have key to match kid or alg from Jwt";
        world.until("the old key is gone", &before, 401, words).await;
    }
    // An issuer that fails is no reason to forget its keys.
    let good = world.issuer.token(&json!({}));
    world.issuer.fail(true);
    let asked = world.issuer.requests();
    eventually("it was asked in vain", async || {
        let more = world.issuer.requests() - asked;
        (more >= 3).then_some(()).ok_or(more.to_string())
    })
    .await;
    assert_eq!(world.bearer("/", &good).await.status, 200);
}

/// Fields: RequestAuthentication spec.jwtRules[].issuer
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_without_an_address_of_keys_is_asked_for_it() {
    let world = World::start(&FLAGS).await;
    world.rule(&format!("issuer: '{}'", world.issuer.url())).await;
    let token = world.issuer.token(&json!({}));
    world.until("the keys have come", &token, 200, "").await;
    assert_eq!(world.get("/", &[]).await.status, 200);
}

/// Fields: RequestAuthentication spec.jwtRules[].jwks_uri
#[tokio::test(flavor = "multi_thread")]
async fn fetched_keys_outlive_the_issuer_and_the_control_plane() {
    let world = World::start(&FLAGS).await;
    world
        .rule(&format!("issuer: '{}', jwks_uri: '{}'", world.issuer.url(), world.issuer.keys_url()))
        .await;
    let token = world.issuer.token(&json!({}));
    world.until("the keys have come", &token, 200, "").await;
    world.issuer.fail(true);
    world.mesh.kill_control().await;
    assert_eq!(world.bearer("/", &token).await.status, 200);
    world.mesh.restart_control().await;
    // A new workload learns of the keys from the control plane alone.
    let late = world.mesh.http_service("late", 1).await;
    let headers = [("authorization", format!("Bearer {token}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut calls = world.client.http().await;
    let response = calls.call("GET", "http://late/", &headers, b"").await;
    assert_eq!((response.status, late.requests()[0]), (200, 1), "{}", response.text());
    let refused = [("authorization", "Bearer x")];
    assert_eq!(calls.call("GET", "http://late/", &refused, b"").await.status, 401);
    assert_eq!(world.bearer("/", &token).await.status, 200);
}

/// Fields: RequestAuthentication spec.jwtRules[].jwksUri
#[tokio::test(flavor = "multi_thread")]
async fn without_leave_no_private_address_is_asked_and_all_tokens_are_refused() {
    let world = World::start(&["--jwks-refresh", "200ms"]).await;
    let rule = format!("issuer: '{}', jwksUri: '{}'", world.issuer.url(), world.issuer.keys_url());
    world.rule(&rule).await;
    let token = world.issuer.token(&json!({}));
    world.until("there are no keys", &token, 401, "Jwks remote fetch is failed").await;
    let told = eventually("the operator is told", async || {
        let outcome = world.mesh.command(&["analyze"], "").await;
        let is_told = outcome.stdout.contains("every token of");
        if is_told { Ok(outcome) } else { Err(outcome.to_string()) }
    })
    .await;
    assert!(told.stdout.contains("--jwks-allow localhost"), "{told}");
    assert!(world.mesh.control_log().contains("all tokens of this issuer are refused"));
    assert_eq!(world.issuer.requests(), 0);
    assert_eq!(world.get("/", &[]).await.status, 200);
    let dump = Http1::connect(world.hello.instances[0].1.admin).await.get("/config_dump").await;
    let expected = json!([{
        "host": null,
        "request_authentications": ["default/hello"],
        "issuers": [{
            "issuer": world.issuer.url(),
            "refuses_all_because": "Jwks remote fetch is failed",
        }],
    }]);
    assert_eq!(dump.json()["tokens"], expected);
}

/// Fields: RequestAuthentication spec.jwtRules[].timeout
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_may_take_as_long_as_the_rule_says() {
    let world = World::start(&FLAGS).await;
    // A server that says nothing for as long as it is asked.
    let silent = HttpApp::start("silent").await;
    let uri = format!("http://localhost:{}/hold", silent.port());
    world
        .rule(&format!("issuer: '{}', jwksUri: '{uri}', timeout: 120ms", world.issuer.url()))
        .await;
    eventually("the operator is told", async || {
        let outcome = world.mesh.command(&["analyze"], "").await;
        let is_told = outcome.stdout.contains("there was no answer within 120ms");
        is_told.then_some(()).ok_or(outcome.to_string())
    })
    .await;
}

/// Fields: RequestAuthentication spec.jwtRules[].jwksUri
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_an_issuer_is_asked_whom_the_systems_roots_know() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![pair.cert.der().clone()];
    let key = pair.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let tls = TlsAcceptor::from(Arc::new(config.unwrap()));
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, pair.cert.pem()).unwrap();
    let roots = roots.to_str().unwrap();
    let flags = ["--jwks-allow", "127.0.0.0/8", "--jwks-allow", "::1", "--jwks-refresh", "200ms"];
    let knowing = Mesh::start_in(&flags, &[("SSL_CERT_FILE", roots)]).await;
    let world = World::of(knowing, Issuer::start_tls(tls.clone()).await).await;
    world.rule(&format!("issuer: '{}'", world.issuer.url())).await;
    world.until("the keys have come", &world.issuer.token(&json!({})), 200, "").await;

    let stranger = Mesh::start_with(&flags).await;
    let world = World::of(stranger, Issuer::start_tls(tls).await).await;
    world.rule(&format!("issuer: '{}'", world.issuer.url())).await;
    let token = world.issuer.token(&json!({}));
    world.until("there are no keys", &token, 401, "Jwks remote fetch is failed").await;
    eventually("the operator is told", async || {
        let outcome = world.mesh.command(&["analyze"], "").await;
        let is_told = outcome.stdout.contains("every token of https://localhost");
        is_told.then_some(()).ok_or(outcome.to_string())
    })
    .await;
    assert_eq!(world.issuer.requests(), 0);
}

/// Fields: RequestAuthentication spec.jwtRules[].jwks
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_starts_alone_judges_tokens_as_before() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("hello").await;
    // A name keeps certificate and configuration for the next start.
    let server = || mesh.workload("hello").port(app.port(), "http").flag("--name", "hello-1");
    let mut hello = server().proxy().await;
    let (client, issuer) = (mesh.client().await, Issuer::start().await);
    // So that the caller knows the service when nobody can be asked.
    assert_eq!(client.http().await.get("http://hello/").await.status, 200);
    let rule = format!("issuer: '{}', jwks: '{}'", issuer.url(), issuer.key_set());
    mesh.apply(&policy("hello", "default", &format!("jwtRules: [{{{rule}}}]"))).await;
    let file = mesh.state().join("proxies/default/hello-1/configuration/last-good.bin");
    eventually("the rule is kept", async || {
        let kept = std::fs::read(&file).map_err(|error| error.to_string())?;
        let issuer = issuer.url().into_bytes();
        let found = kept.windows(issuer.len()).any(|it| it == issuer);
        found.then_some(()).ok_or(format!("{} bytes without it", kept.len()))
    })
    .await;
    mesh.kill_control().await;
    let inbound = hello.inbound.to_string();
    hello.process.kill().await;
    let _hello = server().flag("--inbound", &inbound).proxy_alone().await;
    let mut calls = client.http().await;
    for (token, status) in [(issuer.token(&json!({})), 200), ("x".to_owned(), 401)] {
        let headers = [("authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let response = calls.call("GET", "http://hello/", &headers, b"").await;
        assert_eq!(response.status, status, "{}", response.text());
    }
}
