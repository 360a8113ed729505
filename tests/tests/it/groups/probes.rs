//! How members are probed: each way takes a member out of its service and back.

use std::time::{Duration, Instant};

use meltemi_tests::{GrpcApp, HttpApp, Mesh, Sidecar, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::group;

/// An application, and the spec of a group whose members are probed as `probe` says, once a second and counted one by one.
async fn probed(mesh: &Mesh, app: &HttpApp, probe: &str) {
    let template = format!("{{ports: {{http: {}}}, labels: {{app: web}}}}", app.port());
    let counts = "periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10";
    group(mesh, "vms", &format!("{{template: {template}, probe: {{{counts}, {probe}}}}}")).await;
}

/// The member is called, taken out when its probe fails, and called again when it succeeds again.
async fn goes_and_comes_back(mesh: &Mesh, fail: impl AsyncFnOnce(), mend: impl AsyncFnOnce()) {
    let client = mesh.client().await;
    let is_called = async |what: &str, status: u16| {
        client.until(what, "http://web/", |it| it.status == status).await;
    };
    is_called("it is called", 200).await;
    fail().await;
    mesh.api().healthy("default", "web", 0).await;
    is_called("it is taken out", 503).await;
    mend().await;
    mesh.api().healthy("default", "web", 1).await;
    is_called("it is back", 200).await;
}

async fn member(mesh: &Mesh) -> Sidecar {
    mesh.member("vms").proxy().await
}

/// Fields: WorkloadGroup spec.probe.httpGet.path, WorkloadGroup spec.probe.httpGet.port,
/// WorkloadGroup spec.probe.periodSeconds, WorkloadGroup spec.probe.failureThreshold
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_page_fails_is_taken_out_and_comes_back() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    probed(&mesh, &app, &format!("httpGet: {{path: /set, port: {}}}", app.port())).await;
    let _member = member(&mesh).await;
    let fail = async || app.set_status(500);
    goes_and_comes_back(&mesh, fail, async || app.set_status(204)).await;
}

/// Fields: WorkloadGroup spec.probe.httpGet.host, WorkloadGroup spec.probe.httpGet.httpHeaders[].name,
/// WorkloadGroup spec.probe.httpGet.httpHeaders[].value, WorkloadGroup spec.probe.initialDelaySeconds,
/// WorkloadGroup spec.probe.successThreshold
#[tokio::test(flavor = "multi_thread")]
async fn a_request_bears_its_headers_and_as_many_as_are_asked_for_must_succeed() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let get = format!(
        "host: 127.0.0.1, path: /record/200, port: {}, httpHeaders: [{{name: Host, value: a.example}}, {{name: x-a, value: b}}]",
        app.port()
    );
    let more = "initialDelaySeconds: 2, successThreshold: 3";
    probed(&mesh, &app, &format!("{more}, httpGet: {{{get}}}")).await;
    let began = Instant::now();
    let _member = member(&mesh).await;
    // Three attempts, the first after two seconds, each a second after the other.
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    let seen = app.recorded();
    assert!(seen.len() >= 3, "{seen:?}");
    assert_eq!(seen[0].header("host"), "a.example", "{seen:?}");
    assert_eq!(seen[0].header("x-a"), "b", "{seen:?}");
}

/// Fields: WorkloadGroup spec.probe.timeoutSeconds
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_in_time_is_a_failure() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let template = format!("{{ports: {{http: {}}}, labels: {{app: web}}}}", app.port());
    let get = format!("httpGet: {{path: /hold, port: {}}}", app.port());
    let probe = format!("{{periodSeconds: 1, timeoutSeconds: 1, {get}}}");
    group(&mesh, "vms", &format!("{{template: {template}, probe: {probe}}}")).await;
    let member = mesh.member("vms");
    let process = member.attempt("proxy", &[]);
    eventually("the late answer is told", async || match process.log() {
        log if log.contains("no answer within 1s") => Ok(()),
        log => Err(log),
    })
    .await;
    mesh.api().healthy("default", "web", 0).await;
    app.release();
    mesh.api().healthy("default", "web", 1).await;
}

/// Fields: WorkloadGroup spec.probe.httpGet.scheme
#[tokio::test(flavor = "multi_thread")]
async fn a_page_over_tls_is_asked_whoever_has_signed_its_certificate() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let key =
        tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.unwrap());
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream.shutdown().await);
        }
    });
    probed(&mesh, &app, &format!("httpGet: {{scheme: HTTPS, port: {port}}}")).await;
    let _member = member(&mesh).await;
    let client = mesh.client().await;
    client.until("it is called", "http://web/", |it| it.status == 200).await;
    serving.abort();
    mesh.api().healthy("default", "web", 0).await;
}

/// Fields: WorkloadGroup spec.probe.tcpSocket.host, WorkloadGroup spec.probe.tcpSocket.port
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_socket_is_closed_is_taken_out_and_comes_back() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let watched = HttpApp::start("watched").await;
    let port = watched.port();
    probed(&mesh, &app, &format!("tcpSocket: {{host: 127.0.0.1, port: {port}}}")).await;
    let _member = member(&mesh).await;
    let mut again = None;
    let close = async || drop(watched);
    goes_and_comes_back(&mesh, close, async || {
        again = Some(HttpApp::start_at("watched", port).await);
    })
    .await;
    assert!(again.is_some());
}

/// Fields: WorkloadGroup spec.probe.exec.command[]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_asked_where_the_machine_allows_it() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let sign = mesh.directory().join("sign");
    std::fs::write(&sign, "").unwrap();
    probed(&mesh, &app, &format!("exec: {{command: [test, -e, {}]}}", sign.display())).await;
    let _member = mesh.member("vms").switch("--allow-exec-probes").proxy().await;
    let fail = async || std::fs::remove_file(&sign).unwrap();
    goes_and_comes_back(&mesh, fail, async || std::fs::write(&sign, "").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_not_run_where_the_machine_does_not_allow_it() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let trace = mesh.directory().join("trace");
    probed(&mesh, &app, &format!("exec: {{command: [touch, {}]}}", trace.display())).await;
    let member = mesh.member("vms");
    let process = member.attempt("proxy", &[]);
    eventually("what is missing is told", async || match process.log() {
        log if log.contains("--allow-exec-probes") => Ok(()),
        log => Err(log),
    })
    .await;
    assert!(!trace.exists(), "it was run");
    mesh.api().healthy("default", "web", 0).await;
    // The same group without its probe: the member is called at once.
    let template = format!("{{ports: {{http: {}}}, labels: {{app: web}}}}", app.port());
    group(&mesh, "vms", &format!("{{template: {template}}}")).await;
    mesh.api().healthy("default", "web", 1).await;
    assert!(!trace.exists(), "it was run");
}

/// Fields: WorkloadGroup spec.probe.grpc.port, WorkloadGroup spec.probe.grpc.service
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_health_service_says_no_is_taken_out_and_comes_back() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let grpc = GrpcApp::start("shop.Orders").await;
    let probe = |service: &str| format!("grpc: {{port: {}, service: {service}}}", grpc.port());
    probed(&mesh, &app, &probe("shop.Orders")).await;
    let _member = member(&mesh).await;
    let fail = async || grpc.set_serving(false);
    goes_and_comes_back(&mesh, fail, async || grpc.set_serving(true)).await;
    // A service that the server does not know is none that serves.
    probed(&mesh, &app, &probe("shop.Other")).await;
    mesh.api().healthy("default", "web", 0).await;
}
