//! How connections to endpoints are opened, shared and ended.

use std::time::{Duration, Instant};

use meltemi_tests::client::Http2;
use meltemi_tests::{HttpApp, Mesh, Sidecar, TcpApp, eventually, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::shop::{Shop, apps};

/// What an application sees of a request by HTTP/2 or HTTP/1.1: the version of its own connection.
async fn version(client: &Sidecar, by_http2: bool) -> String {
    let target = "http://shop.example.com/echo";
    let seen: Value = match by_http2 {
        true => {
            let mut calls = Http2::connect(client.outbound).await;
            let request = http::Request::get(target).body(Default::default()).unwrap();
            serde_json::from_slice(calls.call(request).await.body()).unwrap()
        }
        false => client.http().await.get(target).await.json(),
    };
    seen["version"].as_str().unwrap().to_owned()
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.h2UpgradePolicy,
/// spec.trafficPolicy.connectionPool.http.useClientProtocol
#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_http_is_the_rules() {
    let shop = Shop::start(&[]).await;
    let [app] = apps(["shop"]).await;
    shop.endpoints(&[(app.port(), "")]).await;
    for (rule, of_http1, of_http2) in [
        ("h2UpgradePolicy: UPGRADE", "HTTP/2.0", "HTTP/2.0"),
        ("h2UpgradePolicy: DO_NOT_UPGRADE", "HTTP/1.1", "HTTP/1.1"),
        ("useClientProtocol: true", "HTTP/1.1", "HTTP/2.0"),
    ] {
        shop.policy(&format!("{{connectionPool: {{http: {{{rule}}}}}}}")).await;
        assert_eq!(version(&shop.client, false).await, of_http1, "{rule}");
        assert_eq!(version(&shop.client, true).await, of_http2, "{rule}");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_as_many_requests_as_it_may() {
    let shop = Shop::start(&[]).await;
    for (most, opened) in [(0, 1), (1, 12), (3, 4)] {
        let [app] = apps(["shop"]).await;
        shop.endpoints(&[(app.port(), "")]).await;
        let rule = format!("maxRequestsPerConnection: {most}");
        shop.policy(&format!("{{connectionPool: {{http: {{{rule}}}}}}}")).await;
        assert_eq!(shop.turns(12).await, ["shop"; 12]);
        assert_eq!(app.connections(), opened, "{rule}");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.maxConcurrentStreams
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http2_has_as_many_requests_as_it_may() {
    let mut shop = Shop::start(&[]).await;
    // Each worker has connections of its own.
    shop.client = shop.mesh.workload("client").flag("--workers", "1").proxy().await;
    for (further, opened) in [("", 1), (", maxConcurrentStreams: 2", 2)] {
        let [app] = apps(["shop"]).await;
        shop.endpoints(&[(app.port(), "")]).await;
        let rule = format!("h2UpgradePolicy: UPGRADE{further}");
        shop.policy(&format!("{{connectionPool: {{http: {{{rule}}}}}}}")).await;
        let mut held = JoinSet::new();
        for count in 1..=4 {
            let mut calls = shop.client.http().await;
            held.spawn(async move { calls.get("http://shop.example.com/hold").await.status });
            eventually("one more is held", async || {
                let held = app.in_flight();
                (held == count).then_some(()).ok_or(held.to_string())
            })
            .await;
        }
        assert_eq!(app.connections(), opened, "{rule}");
        app.release();
        assert_eq!(held.join_all().await, [200; 4]);
    }
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.idleTimeout
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed_in_time() {
    let shop = Shop::start(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shop.endpoints(&[(listener.local_addr().unwrap().port(), "")]).await;
    shop.policy("{connectionPool: {http: {idleTimeout: 0.2s}}}").await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let answered = Instant::now();
        let rest = within("the end of the connection", stream.read(&mut [0])).await;
        (rest.unwrap_or(0), answered.elapsed())
    });
    let mut calls = shop.client.http().await;
    assert_eq!(calls.get("http://shop.example.com/").await.status, 200);
    let (rest, after) = server.await.unwrap();
    assert_eq!(rest, 0);
    assert!(after >= Duration::from_millis(150), "{after:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.tcp.connectTimeout
#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_connect_is_the_rules() {
    let shop = Shop::start(&[]).await;
    // It takes connections and says nothing, so that TLS is never there.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shop.endpoints(&[(silent.local_addr().unwrap().port(), "")]).await;
    shop.policy(
        "{connectionPool: {tcp: {connectTimeout: 0.2s}}, tls: {mode: SIMPLE, insecureSkipVerify: true}}",
    )
    .await;
    let started = Instant::now();
    let response = shop.get("/").await;
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    assert_eq!(response.status, 503);
    assert!(response.text().contains("no connection within 200ms"), "{}", response.text());
}

/// A service of bytes outside of the mesh, called by a policy.
pub(super) async fn stream(policy: &str, app: u16) -> (Mesh, Sidecar) {
    let mesh = Mesh::start().await;
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: db}},
          spec: {{hosts: [db.example.com], location: MESH_EXTERNAL, resolution: STATIC,
            ports: [{{number: 9000, name: tcp, protocol: TCP}}],
            endpoints: [{{address: 127.0.0.1, ports: {{tcp: {app}}}}}]}}}}\n---\n\
         {{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: db}},
          spec: {{host: db.example.com, trafficPolicy: {policy}}}}}"
    ))
    .await;
    let client = mesh.client().await;
    (mesh, client)
}

/// A connection to it, on which this was said already and came back.
pub(super) async fn connect(client: &Sidecar) -> tokio::io::BufReader<tokio::net::TcpStream> {
    let (mut calls, target) = (client.http().await, "db.example.com:9000");
    let response = calls.call("CONNECT", target, &[("host", target)], b"").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let mut stream = calls.into_stream();
    stream.get_mut().write_all(b"bytes").await.unwrap();
    let mut back = [0; 5];
    within("an echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"bytes");
    stream
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.tcp.idleTimeout
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_that_is_idle_is_closed() {
    let app = TcpApp::echo().await;
    let (_mesh, client) = stream("{connectionPool: {tcp: {idleTimeout: 0.2s}}}", app.port()).await;
    let mut stream = connect(&client).await;
    let idle = Instant::now();
    let rest = within("the end of the connection", stream.read(&mut [0])).await;
    assert_eq!(rest.unwrap_or(0), 0);
    assert!(idle.elapsed() >= Duration::from_millis(150), "{:?}", idle.elapsed());
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.tcp.maxConnectionDuration
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_ends_when_it_is_old_however_busy_it_is() {
    let app = TcpApp::echo().await;
    let policy = "{connectionPool: {tcp: {maxConnectionDuration: 0.3s}}}";
    let (_mesh, client) = stream(policy, app.port()).await;
    let started = Instant::now();
    let mut stream = connect(&client).await;
    let busy = async {
        let mut byte = [0];
        while stream.get_mut().write_all(b"x").await.is_ok() {
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    within("the end of the connection", busy).await;
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
}

/// Fields: DestinationRule spec.trafficPolicy.proxyProtocol.version
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_goes_before_the_bytes() {
    for (version, begin) in [("V1", &b"PROXY TCP4 127.0.0.1 "[..]), ("V2", b"\r\n\r\n\0\r\nQUIT\n")]
    {
        let app = TcpApp::echo().await;
        let policy = format!("{{proxyProtocol: {{version: {version}}}}}");
        let (_mesh, client) = stream(&policy, app.port()).await;
        let (mut calls, target) = (client.http().await, "db.example.com:9000");
        assert_eq!(calls.call("CONNECT", target, &[("host", target)], b"").await.status, 200);
        let mut stream = calls.into_stream();
        stream.get_mut().write_all(b"bytes").await.unwrap();
        eventually("the bytes have come", async || {
            let seen = app.seen();
            seen.ends_with(b"bytes").then_some(()).ok_or(format!("{seen:?}"))
        })
        .await;
        assert!(app.seen().starts_with(begin), "{:?}", app.seen());
    }
}

/// Fields: DestinationRule spec.trafficPolicy.tunnel.protocol, spec.trafficPolicy.tunnel.targetHost,
/// spec.trafficPolicy.tunnel.targetPort
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_asked_for_before_the_bytes() {
    for (protocol, first) in
        [("CONNECT", "CONNECT far.example.com:5432 HTTP/1.1\r\n"), ("POST", "POST / HTTP/1.1\r\n")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tunnel = "targetHost: far.example.com, targetPort: 5432";
        let policy = format!("{{tunnel: {{protocol: {protocol}, {tunnel}}}}}");
        let (_mesh, client) = stream(&policy, port).await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut rest = Vec::new();
            while !rest.ends_with(b"bytes") && !rest.ends_with(b"bytes\r\n") {
                rest.push(stream.read_u8().await.unwrap());
            }
            String::from_utf8(head).unwrap()
        });
        let (mut calls, target) = (client.http().await, "db.example.com:9000");
        assert_eq!(calls.call("CONNECT", target, &[("host", target)], b"").await.status, 200);
        calls.into_stream().get_mut().write_all(b"bytes").await.unwrap();
        let head = within("the request for a tunnel", server).await.unwrap();
        assert!(head.starts_with(first), "{head}");
        assert!(head.contains("host: far.example.com:5432\r\n"), "{head}");
    }
}

/// Calls of a service whose near endpoint fails always and whose far one holds: each is a retry under way. `most` are
/// let through by a policy; where that is the limit, the next is not.
async fn retries_under_way(policy: &str, most: u64, is_limit: bool) {
    let shop = Shop::start(&["istio-locality=eu.a.1"]).await;
    let bad =
        TcpApp::answers(b"HTTP/1.1 500 Bad\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    let good = HttpApp::start("good").await;
    shop.endpoints(&[(bad.port(), "locality: eu/a/1"), (good.port(), "locality: us/b")]).await;
    let outliers = "outlierDetection: {consecutive5xxErrors: 1000}";
    let retries =
        "retries: {attempts: 1, retryOn: 5xx, retryRemoteLocalities: true, backoff: 1ms},";
    shop.ruled(&format!("{{{outliers}, {policy}}}"), retries).await;
    let mut held = JoinSet::new();
    for count in 1..=most {
        let mut calls = shop.client.http().await;
        held.spawn(async move { calls.get("http://shop.example.com/hold").await.status });
        eventually("one more retry is under way", async || {
            let held = good.in_flight();
            (held == count).then_some(()).ok_or(held.to_string())
        })
        .await;
    }
    if is_limit {
        let one_more = shop.get("/hold").await;
        assert_eq!(one_more.status, 500, "{policy}: one more is not tried again");
    }
    good.release();
    assert_eq!(held.join_all().await, vec![200; most as usize], "{policy}");
    assert_eq!(shop.get("/hold").await.status, 200, "{policy}: there is room again");
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.maxRetries
#[tokio::test(flavor = "multi_thread")]
async fn no_more_retries_are_under_way_than_may_be() {
    retries_under_way("connectionPool: {http: {maxRetries: 2}}", 2, true).await;
}

/// Fields: DestinationRule spec.trafficPolicy.retryBudget.minRetryConcurrency
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_leaves_some_retries_in_any_case() {
    retries_under_way("retryBudget: {percent: 1, minRetryConcurrency: 4}", 4, true).await;
}

/// Fields: DestinationRule spec.trafficPolicy.retryBudget.percent
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_a_share_of_what_is_under_way() {
    retries_under_way("retryBudget: {percent: 100, minRetryConcurrency: 1}", 5, false).await;
}
