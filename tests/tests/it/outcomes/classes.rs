//! Each class of failures over real sidecars, as docs/outcomes.md has it.

use meltemi_tests::calls::Ask;
use meltemi_tests::{
    GrpcApp, HttpApp, Mesh, Sidecar, TcpApp, WorkloadBuilder, client, eventually, free_port,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

const OF_ANOTHER: &str = "subjectAltNames: ['spiffe://cluster.local/ns/other/sa/other']";
/// Ends in the middle of the body, and in the middle of the head.
const HALF_A_BODY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
const HALF_A_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-le";

/// Rules of a service: its VirtualService's route, that makes one attempt of a call, and what its DestinationRule says of TLS.
async fn rules(mesh: &Mesh, host: &str, route: &str, tls: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {host}}},
          spec: {{hosts: [{host}], http: [{{{route}, route: [{{destination: {{host: {host}}}}}]}}]}}}}"
    ))
    .await;
    if !tls.is_empty() {
        mesh.apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: {host}}},
              spec: {{host: {host}, trafficPolicy: {{tls: {{{tls}}}}}}}}}"
        ))
        .await;
    }
}

/// A service without sidecars, at a port of this machine.
async fn entry(mesh: &Mesh, host: &str, protocol: &str, port: u16, tls: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {host}}},
          spec: {{hosts: [{host}], location: MESH_EXTERNAL, resolution: STATIC,
            ports: [{{number: 80, name: port, protocol: {protocol}}}],
            endpoints: [{{address: 127.0.0.1, ports: {{port: {port}}}}}]}}}}"
    ))
    .await;
    rules(mesh, host, ONCE, tls).await;
}

const ONCE: &str = "retries: {attempts: 0}";

/// A service in the mesh before an application on a port.
async fn member(mesh: &Mesh, name: &str, port: u16, (route, tls): (&str, &str)) -> Sidecar {
    rules(mesh, name, route, tls).await;
    mesh.workload(name).port(port, "http").proxy().await
}

/// What is told of a service: its calls, and those that failed by class.
async fn is_told(mesh: &Mesh, service: &str, calls: u64, failures: &Value) {
    let path = format!("/meltemi/v1/outcomes?window=1h&service={service}");
    eventually(&format!("{service}: {calls} calls, {failures}"), async || {
        let (status, told) = mesh.api().get(&path).await;
        let items = told["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_it = items.len() == 1
            && items[0]["calls"] == calls
            && items[0]["issued"] == calls
            && items[0]["failures"] == *failures
            && items[0]["latencyMillis"]["p50"].is_number();
        is_it.then_some(()).ok_or(format!("{status} {told}"))
    })
    .await;
}

/// Fields: VirtualService spec.http[].timeout, spec.http[].retries.perTryTimeout,
/// DestinationRule spec.trafficPolicy.tls.mode, spec.trafficPolicy.tls.subjectAltNames[]
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_is_of_the_class_that_it_is() {
    let mesh = Mesh::start().await;
    let [good, gone] = [HttpApp::start("good").await, HttpApp::start("gone").await];
    let [body, head] = [TcpApp::answers(HALF_A_BODY).await, TcpApp::answers(HALF_A_HEAD).await];
    let (at, late) = (good.port(), "timeout: 0.2s, retries: {attempts: 0}");
    let late_try = "timeout: 60s, retries: {attempts: 1, perTryTimeout: 0.2s, retryOn: 5xx}";
    entry(&mesh, "closed.example", "HTTP", free_port(), "").await;
    entry(&mesh, "plain.example", "HTTP", at, "mode: ISTIO_MUTUAL").await;
    entry(&mesh, "simple.example", "HTTP", at, "mode: SIMPLE, sni: simple.example").await;
    entry(&mesh, "head.example", "HTTP", head.port(), "").await;
    let named = format!("mode: ISTIO_MUTUAL, {OF_ANOTHER}");
    let _sidecars = [
        member(&mesh, "gone", gone.port(), (ONCE, "")).await,
        member(&mesh, "named", at, (ONCE, &named)).await,
        member(&mesh, "late", at, (late, "")).await,
        member(&mesh, "late-try", at, (late_try, "")).await,
        member(&mesh, "body", body.port(), (ONCE, "")).await,
        member(&mesh, "head", head.port(), (ONCE, "")).await,
        member(&mesh, "bad", at, (ONCE, "")).await,
        member(&mesh, "fine", at, (ONCE, "")).await,
    ];
    let port = gone.port();
    drop(gone);
    eventually("the port is closed", async || {
        let connected = TcpStream::connect(("127.0.0.1", port)).await;
        connected.err().map(drop).ok_or("it takes connections".to_owned())
    })
    .await;
    // All rules are older than the last sidecar, and known: who comes now has them with the services.
    let client = mesh.client().await;
    for (host, path, status, calls, failures) in [
        ("closed.example", "/", 503, 1, json!({"connect": 1})),
        ("gone", "/", 503, 1, json!({"connect": 1})),
        ("plain.example", "/", 503, 1, json!({"tls": 1})),
        ("simple.example", "/", 503, 1, json!({"tls": 1})),
        ("named", "/", 503, 1, json!({"tls": 1})),
        ("late", "/hold", 504, 1, json!({"timeout": 1})),
        ("late-try", "/hold", 504, 2, json!({"timeout": 2})),
        ("body", "/", 0, 1, json!({"reset": 1})),
        ("head.example", "/", 503, 1, json!({"reset": 1})),
        ("head", "/", 503, 1, json!({"reset": 1})),
        ("bad", "/status/503", 503, 1, json!({"5xx": 1})),
        ("fine", "/status/404", 404, 1, json!({})),
    ] {
        let target = format!("http://{host}{path}");
        let response = client.http().await.try_call("GET", &target, &[], b"").await;
        assert_eq!(response.map_or(0, |it| it.status), status, "{host}");
        is_told(&mesh, host, calls, &failures).await;
    }
}

/// How often a connection of bytes is tried: no rule says how often it is.
const ATTEMPTS: u64 = 3;

fn upstreams<'m>(caller: WorkloadBuilder<'m>, all: &[(&str, u16)]) -> WorkloadBuilder<'m> {
    all.iter().fold(caller, |caller, (target, listen)| caller.upstream(target, *listen))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connection_is_of_the_class_that_it_is() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    entry(&mesh, "closed.example", "TCP", free_port(), "").await;
    entry(&mesh, "plain.example", "TCP", app.port(), "mode: ISTIO_MUTUAL").await;
    let _echo = mesh.workload("echo").port(app.port(), "tcp").proxy().await;
    let [closed, plain] = [free_port(), free_port()];
    let to = [("closed.example:80", closed), ("plain.example:80", plain)];
    let _client = upstreams(mesh.workload("client"), &to).proxy().await;
    for (host, listen, class) in
        [("closed.example", closed, "connect"), ("plain.example", plain, "tls")]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
        drop(stream.write_all(b"hello").await);
        // It ends without a byte, in whatever way, when all of its attempts have failed.
        assert!(stream.read_u8().await.is_err(), "{host}");
        is_told(&mesh, host, ATTEMPTS, &json!({class: ATTEMPTS})).await;
    }
}

/// A status of gRPC comes in trailers, behind answers, or with the head, where there are none.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_grpc_is_a_failure_where_envoy_has_it_so() {
    let mesh = Mesh::start().await;
    let app = GrpcApp::start("calls-1").await;
    let listen = free_port();
    rules(&mesh, "calls", ONCE, "").await;
    let _calls = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let to = format!("calls:{}", app.port());
    let _client = upstreams(mesh.workload("client"), &[(&to, listen)]).proxy().await;
    let mut calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
    let failing = |code: Code, answers| Ask {
        text: "why".to_owned(),
        fail_code: code as u32,
        answers,
        ..Ask::default()
    };
    let (mut made, mut failed) = (0, 0);
    for (code, is_failure) in [
        (Code::Unavailable, true),
        (Code::Internal, true),
        (Code::NotFound, false),
        (Code::PermissionDenied, false),
    ] {
        let status = calls.unary(failing(code, 0)).await.expect_err("it fails");
        assert_eq!(status.code(), code);
        let mut answers = calls.server_stream(failing(code, 3)).await.unwrap().into_inner();
        for _ in 0..3 {
            answers.message().await.unwrap().unwrap();
        }
        assert_eq!(answers.message().await.expect_err("it fails").code(), code);
        made += 2;
        failed += 2 * u64::from(is_failure);
        is_told(&mesh, "calls", made, &json!({"grpc": failed})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_what_is_under_way_are_told_as_they_are() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("hello").await;
    let _hello = mesh.workload("hello").port(app.port(), "http").proxy().await;
    let client = mesh.client().await;
    let told = async |what: &str, expected: Value| {
        let path = "/meltemi/v1/outcomes?window=1h&service=hello";
        eventually(what, async || {
            let (status, told) = mesh.api().get(path).await;
            let item = &told["items"][0];
            let fields = ["issued", "calls", "inFlight", "sentBytes", "receivedBytes"];
            let seen = Value::Array(fields.map(|it| item[it].clone()).into());
            (seen == expected).then_some(()).ok_or(format!("{status} {told}"))
        })
        .await;
    };
    let mut http = client.http().await;
    assert_eq!(http.call("POST", "http://hello/bytes/1001", &[], &[7; 77]).await.status, 200);
    assert_eq!(http.get("http://hello/stream/100000").await.body.len(), 100_000);
    told("bodies are counted", json!([2, 2, 0, 77, 101_001])).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut http = client.http().await;
        http.send("GET http://hello/hold HTTP/1.1\r\nhost: hello\r\n\r\n").await;
        held.push(http);
    }
    told("three are under way", json!([5, 2, 3, 77, 101_001])).await;
    app.release();
    let mut received = 101_001;
    for mut http in held {
        received += http.response().await.body.len();
    }
    // What was under way at most stays with its window.
    told("they have ended", json!([5, 5, 3, 77, received])).await;
}
