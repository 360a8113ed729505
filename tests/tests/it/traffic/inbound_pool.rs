//! How much a workload takes, and how its sidecar's connections to the application are made: a Sidecar resource's
//! `inboundConnectionPool`.

use std::time::{Duration, Instant};

use meltemi_tests::client::Http2;
use meltemi_tests::{HttpApp, Mesh, Response, Sidecar, TcpApp, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::asking::asks_after_an_hour;

/// A mesh in which the workloads of `busy` have this pool. It is there before they are, so that nothing comes to them
/// without it.
async fn mesh(pool: &str) -> Mesh {
    let mesh = Mesh::start().await;
    limit(&mesh, pool).await;
    mesh
}

/// Gives the workloads of `busy` this pool.
async fn limit(mesh: &Mesh, pool: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: busy}},
          spec: {{workloadSelector: {{labels: {{app: busy}}}}, inboundConnectionPool: {pool}}}}}"
    ))
    .await;
}

/// A workload of `busy`. It has one worker: one that has no connection always gets one, as with Envoy.
async fn busy(mesh: &Mesh, port: u16, protocol: &str) -> Sidecar {
    mesh.workload("busy").flag("--workers", "1").port(port, protocol).proxy().await
}

/// Waits until a called sidecar has counted a request or connection with these flags.
async fn counted(called: &Sidecar, metric: &str, flags: &str) {
    let filter = [("reporter", "destination"), ("response_flags", flags)];
    eventually(&format!("{metric} {flags}"), async || {
        let scrape = called.scrape().await;
        (scrape.sum(metric, &filter) > 0.0).then_some(()).ok_or("none".to_owned())
    })
    .await;
}

/// Waits until so many requests are under way to an application.
pub(super) async fn under_way(app: &HttpApp, count: u64) {
    eventually(&format!("{count} are under way"), async || {
        let held = app.in_flight();
        (held == count).then_some(()).ok_or(held.to_string())
    })
    .await;
}

/// Holds a request at the application; gives the answer to another one meanwhile, and the status of the first after its
/// release.
async fn beside_one(app: &HttpApp, caller: &Sidecar) -> (Response, u16) {
    let (mut calls, mut other) = (caller.http().await, caller.http().await);
    let held = tokio::spawn(async move { calls.get("http://busy/hold").await.status });
    under_way(app, 1).await;
    let meanwhile = other.get("http://busy/").await;
    app.release_held();
    (meanwhile, held.await.unwrap())
}

/// Fields: Sidecar spec.inboundConnectionPool.http.http2MaxRequests
#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_that_come_in_are_refused_at_once() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("busy").await;
    let busy = mesh.workload("busy").port(app.port(), "http").proxy().await;
    let caller = mesh.client().await;
    let (free, _) = beside_one(&app, &caller).await;
    assert_eq!(free.status, 200, "there is no limit yet: {}", free.text());
    limit(&mesh, "{http: {http2MaxRequests: 1}}").await;
    let refused = eventually("the limit has come", async || {
        let (meanwhile, held) = beside_one(&app, &caller).await;
        assert_eq!(held, 200, "what is under way is not disturbed");
        if meanwhile.status == 503 { Ok(meanwhile) } else { Err(meanwhile.status.to_string()) }
    })
    .await;
    assert_eq!(refused.header("x-envoy-overloaded"), Some("true"), "{}", refused.text());
    assert_eq!(refused.header("x-meltemi-not-answered"), None);
    counted(&busy, "istio_requests_total", "UO").await;
    let mut calls = caller.http().await;
    // The one that was held has its place until its sidecar is done with it, which may be later than its caller has the answer.
    eventually("there is room again", async || {
        let status = calls.get("http://busy/").await.status;
        (status == 200).then_some(()).ok_or(status.to_string())
    })
    .await;
    for _ in 0..5 {
        let alone = calls.get("http://busy/").await;
        assert_eq!(alone.status, 200, "there is room again: {}", alone.text());
    }
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.maxConnections,
/// Sidecar spec.inboundConnectionPool.http.http1MaxPendingRequests
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_application_are_limited() {
    let mesh = mesh("{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}").await;
    let app = HttpApp::start("busy").await;
    let busy = busy(&mesh, app.port(), "http").await;
    let caller = mesh.client().await;
    let mut held = JoinSet::new();
    for _ in 0..3 {
        let mut calls = caller.http().await;
        held.spawn(async move { calls.get("http://busy/hold").await.status });
    }
    // One has the connection, one waits for it, and there is no place to wait for the third.
    let refused = within("a refusal", held.join_next()).await.unwrap().unwrap();
    assert_eq!((refused, app.in_flight()), (503, 1));
    counted(&busy, "istio_requests_total", "UO").await;
    app.release_held();
    let first = within("an answer", held.join_next()).await.unwrap().unwrap();
    under_way(&app, 1).await;
    app.release_held();
    let second = within("an answer", held.join_next()).await.unwrap().unwrap();
    assert_eq!((first, second), (200, 200));
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.maxConnections
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_bytes_to_the_application_are_limited() {
    let mesh = mesh("{tcp: {maxConnections: 1}}").await;
    let app = TcpApp::echo().await;
    let busy = busy(&mesh, app.port(), "tcp").await;
    let caller = mesh.client().await;
    let first = connect(&caller, app.port()).await;
    let mut second = open(&caller, "busy", app.port()).await;
    let rest = within("the end of the connection", second.read(&mut [0])).await;
    assert_eq!(rest.unwrap_or(0), 0, "there is one already");
    counted(&busy, "istio_tcp_connections_closed_total", "UO").await;
    drop(first);
    eventually("there is room again", async || {
        let mut stream = open(&caller, "busy", app.port()).await;
        echoed(&mut stream).await.then_some(()).ok_or("closed".to_owned())
    })
    .await;
}

/// Fields: Sidecar spec.inboundConnectionPool.http.maxRequestsPerConnection
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_the_application_serves_as_many_requests_as_it_may() {
    for (pool, opened) in [("{}", 1), ("{http: {maxRequestsPerConnection: 2}}", 3)] {
        let mesh = mesh(pool).await;
        let app = HttpApp::start("busy").await;
        let _busy = busy(&mesh, app.port(), "http").await;
        let caller = mesh.client().await;
        let mut calls = caller.http().await;
        assert_eq!(calls.get("http://busy/").await.status, 200);
        // Those that looked whether it is there are not counted.
        let before = app.connections() - 1;
        for _ in 0..5 {
            assert_eq!(calls.get("http://busy/").await.status, 200);
        }
        assert_eq!(app.connections() - before, opened, "{pool}");
    }
}

/// Fields: Sidecar spec.inboundConnectionPool.http.maxConcurrentStreams
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http2_to_the_application_has_as_many_requests_as_it_may() {
    for (pool, opened) in [("{}", 1), ("{http: {maxConcurrentStreams: 2}}", 2)] {
        let mesh = mesh(pool).await;
        let app = HttpApp::start("busy").await;
        let _busy = busy(&mesh, app.port(), "http2").await;
        let caller = mesh.client().await;
        let (mut held, before) = (JoinSet::new(), app.connections());
        for count in 1..=4 {
            let mut calls = caller.http().await;
            held.spawn(async move { calls.get("http://busy/hold").await.status });
            under_way(&app, count).await;
        }
        assert_eq!(app.connections() - before, opened, "{pool}");
        app.release();
        assert_eq!(held.join_all().await, [200; 4]);
    }
}

/// Fields: Sidecar spec.inboundConnectionPool.http.useClientProtocol
#[tokio::test(flavor = "multi_thread")]
async fn the_application_gets_the_callers_version_of_http() {
    for (pool, version) in [("{}", "HTTP/1.1"), ("{http: {useClientProtocol: true}}", "HTTP/2.0")] {
        let mesh = mesh(pool).await;
        // The calling sidecar keeps the version of its application.
        mesh.apply(
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: busy},
              spec: {host: busy, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}}",
        )
        .await;
        let app = HttpApp::start("busy").await;
        let _busy = busy(&mesh, app.port(), "http").await;
        let caller = mesh.client().await;
        let mut calls = Http2::connect(caller.outbound).await;
        let request = http::Request::get("http://busy/echo").body(Default::default()).unwrap();
        let seen: serde_json::Value =
            serde_json::from_slice(calls.call(request).await.body()).unwrap();
        assert_eq!(seen["version"], version, "{pool}");
    }
}

/// An application that answers one request a connection, and tells for how long it was left alone then.
async fn patient() -> (u16, mpsc::UnboundedReceiver<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_one(stream, tell.clone()));
        }
    });
    (port, told)
}

async fn answer_one(mut stream: TcpStream, tell: mpsc::UnboundedSender<Duration>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Whoever looks whether it is there says nothing.
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let answered = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    // The test may be over.
    let _ = tell.send(answered.elapsed());
}

/// Fields: Sidecar spec.inboundConnectionPool.http.idleTimeout
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_the_application_without_requests_is_closed_in_time() {
    let mesh = mesh("{http: {idleTimeout: 0.2s}}").await;
    let (port, mut told) = patient().await;
    let _busy = busy(&mesh, port, "http").await;
    let caller = mesh.client().await;
    assert_eq!(caller.http().await.get("http://busy/").await.status, 200);
    let after = within("the end of the connection", told.recv()).await.unwrap();
    assert!(after >= Duration::from_millis(150), "{after:?}");
    // Without the rule it is kept for 4 s.
    assert!(after < Duration::from_secs(4), "{after:?}");
}

/// How many connections to a listener nobody has accepted yet (Linux, `proc_net_tcp`).
fn unaccepted(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc can be read");
    let own = format!(":{port:04X}");
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.len() > 4 && row[1].ends_with(&own) && row[3] == "0A");
    let row = rows.next().expect("it listens");
    let (_, queue) = row[4].split_once(':').expect("two queues");
    u64::from_str_radix(queue, 16).expect("a number")
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.connectTimeout
#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_connect_to_the_application_is_the_pools() {
    let mesh = mesh("{tcp: {connectTimeout: 0.2s}}").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // The kernel keeps two connections that nobody accepts, and leaves others without an answer.
    let listener = std::sync::Arc::new(socket.listen(1).unwrap());
    let port = listener.local_addr().unwrap().port();
    let accepting = listener.clone();
    let accepts = tokio::spawn(async move { while accepting.accept().await.is_ok() {} });
    let busy = busy(&mesh, port, "http").await;
    accepts.abort();
    assert!(accepts.await.unwrap_err().is_cancelled());
    let fill = || tokio::spawn(TcpStream::connect(("127.0.0.1", port)));
    let _filling: Vec<_> = (0..4).map(|_| fill()).collect();
    eventually("no connection is taken any longer", async || {
        let waiting = unaccepted(port);
        (waiting >= 2).then_some(()).ok_or(waiting.to_string())
    })
    .await;
    let caller = mesh.client().await;
    let response = caller.http().await.get("http://busy/").await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("no connection within 200ms"), "{}", response.text());
    counted(&busy, "istio_requests_total", "UF").await;
}

/// A connection to a service.
pub(super) async fn open(caller: &Sidecar, host: &str, port: u16) -> BufReader<TcpStream> {
    let (mut calls, target) = (caller.http().await, format!("{host}:{port}"));
    let response = calls.call("CONNECT", &target, &[("host", &target)], b"").await;
    assert_eq!(response.status, 200, "{}", response.text());
    calls.into_stream()
}

/// Whether bytes come back.
async fn echoed(stream: &mut BufReader<TcpStream>) -> bool {
    let mut back = [0; 5];
    stream.get_mut().write_all(b"bytes").await.is_ok()
        && within("an echo", stream.read_exact(&mut back)).await.is_ok()
        && &back == b"bytes"
}

/// A connection on which bytes came back.
async fn connect(caller: &Sidecar, port: u16) -> BufReader<TcpStream> {
    let mut stream = open(caller, "busy", port).await;
    assert!(echoed(&mut stream).await, "bytes come back");
    stream
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.idleTimeout
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_to_the_application_that_is_idle_is_closed() {
    let mesh = mesh("{tcp: {idleTimeout: 0.2s}}").await;
    let app = TcpApp::echo().await;
    let _busy = busy(&mesh, app.port(), "tcp").await;
    let caller = mesh.client().await;
    let mut stream = connect(&caller, app.port()).await;
    let idle = Instant::now();
    let rest = within("the end of the connection", stream.read(&mut [0])).await;
    assert_eq!(rest.unwrap_or(0), 0);
    assert!(idle.elapsed() >= Duration::from_millis(150), "{:?}", idle.elapsed());
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.maxConnectionDuration
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_to_the_application_ends_when_it_is_old() {
    let mesh = mesh("{tcp: {maxConnectionDuration: 0.3s}}").await;
    let app = TcpApp::echo().await;
    let busy = busy(&mesh, app.port(), "tcp").await;
    let caller = mesh.client().await;
    let started = Instant::now();
    let mut stream = connect(&caller, app.port()).await;
    let busily = async {
        let mut byte = [0];
        while stream.get_mut().write_all(b"x").await.is_ok() {
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    within("the end of the connection", busily).await;
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    counted(&busy, "istio_tcp_connections_closed_total", "DT").await;
}

/// Fields: Sidecar spec.inboundConnectionPool.tcp.tcpKeepalive.time,
/// spec.inboundConnectionPool.tcp.tcpKeepalive.interval, spec.inboundConnectionPool.tcp.tcpKeepalive.probes
#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_asks_after_idle_connections_to_the_application_as_the_pool_says() {
    let mesh = mesh("{tcp: {tcpKeepalive: {time: 3600s, interval: 61s, probes: 3}}}").await;
    let app = TcpApp::echo().await;
    let busy = busy(&mesh, app.port(), "tcp").await;
    let caller = mesh.client().await;
    let _stream = connect(&caller, app.port()).await;
    asks_after_an_hour(&busy, app.port()).await;
}
