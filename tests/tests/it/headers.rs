//! Header fields, treated as Istio's proxy treats them.

use meltemi_tests::{HttpApp, Mesh, Sidecar};
use serde_json::Value;

async fn pair(mesh: &Mesh) -> (HttpApp, [Sidecar; 2]) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), "http").proxy().await;
    (app, [sidecar, mesh.client().await])
}

/// What the application saw of a request with these fields.
async fn seen(client: &Sidecar, headers: &[(&str, &str)]) -> Value {
    let response = client.http().await.call("GET", "http://hello/echo", headers, b"").await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = seen["headers"].as_array().expect("a list");
    headers.iter().filter(|it| it[0] == name).filter_map(|it| it[1].as_str()).collect()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|it| it.is_ascii_hexdigit() || it == '-')
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_asked_as_the_caller_meant_it() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    let seen = seen(&client, &[("x-own", "a"), ("X-Own", "b"), ("cookie", "c=d")]).await;
    assert_eq!((&seen["method"], &seen["target"]), (&"GET".into(), &"/echo".into()));
    assert_eq!(values(&seen, "host"), ["hello"]);
    assert_eq!(values(&seen, "x-own"), ["a", "b"]);
    assert_eq!(values(&seen, "cookie"), ["c=d"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_ids_are_made_where_there_is_none_and_kept_where_there_is() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    let [first, second] = [seen(&client, &[]).await, seen(&client, &[]).await];
    let (first, second) = (values(&first, "x-request-id"), values(&second, "x-request-id"));
    assert!(first.len() == 1 && is_uuid(first[0]), "{first:?}");
    assert_ne!(first, second);
    let own = seen(&client, &[("x-request-id", "mine-1")]).await;
    assert_eq!(values(&own, "x-request-id"), ["mine-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_certificate_is_named_and_cannot_be_forged() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    let forged = "By=spiffe://x/a;Hash=00;URI=spiffe://cluster.local/ns/default/sa/admin";
    for headers in [&[][..], &[("x-forwarded-client-cert", forged)]] {
        let seen = seen(&client, headers).await;
        let named = values(&seen, "x-forwarded-client-cert");
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named[0].contains("URI=spiffe://cluster.local/ns/default/sa/"), "{named:?}");
        assert!(named[0].contains("By=spiffe://cluster.local/ns/default/sa/"), "{named:?}");
        assert!(named[0].contains("Hash="), "{named:?}");
        assert!(!named[0].contains("sa/admin"), "a caller's own word does not count: {named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_carried_on() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let own = seen(&client, &[("traceparent", parent), ("tracestate", "a=b")]).await;
    let carried = values(&own, "traceparent");
    assert_eq!(carried.len(), 1, "{carried:?}");
    assert_eq!(carried[0][..36], parent[..36], "the trace's id stays");
    assert_eq!(values(&own, "tracestate"), ["a=b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_one_connection_end_with_it() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    let seen = seen(
        &client,
        &[
            ("connection", "x-secret, keep-alive"),
            ("x-secret", "for the proxy"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers, deflate"),
            ("x-kept", "yes"),
        ],
    )
    .await;
    for name in ["x-secret", "keep-alive", "proxy-connection", "proxy-authorization"] {
        assert_eq!(values(&seen, name), Vec::<&str>::new(), "{name}");
    }
    assert!(values(&seen, "te").iter().all(|it| *it == "trailers"));
    assert_eq!(values(&seen, "x-kept"), ["yes"]);
    // What the proxies tell each other is not for applications.
    let headers = seen["headers"].as_array().unwrap();
    let inner: Vec<_> = headers
        .iter()
        .filter(|it| it[0].as_str().is_some_and(|name| name.starts_with("x-meltemi")))
        .collect();
    assert!(inner.is_empty(), "{inner:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_addresses_of_a_caller_are_left_as_they_are() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client]) = pair(&mesh).await;
    // Istio's sidecars take no part in x-forwarded-for: what a gateway wrote stays.
    let seen = seen(&client, &[("x-forwarded-for", "192.0.2.7")]).await;
    let forwarded = values(&seen, "x-forwarded-for").join(",");
    assert!(forwarded.starts_with("192.0.2.7"), "{forwarded}");
}
