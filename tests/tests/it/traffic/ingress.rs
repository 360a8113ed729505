//! Where a workload's application takes what comes in, and how it is spoken to: the ingress listeners of a Sidecar resource.

use meltemi_tests::{HttpApp, Mesh, Sidecar, UnixApp, eventually, free_port};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::inbound_pool::{open, under_way};

/// Gives the workloads of `web` these listeners, and further fields of the specification.
async fn listen(mesh: &Mesh, ingress: &str, further: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: web}},
          spec: {{workloadSelector: {{labels: {{app: web}}}}, ingress: [{ingress}] {further}}}}}"
    ))
    .await;
}

/// A listener that leads to a place.
fn to(port: u16, protocol: &str, endpoint: &str) -> String {
    format!(
        "{{port: {{number: {port}, protocol: {protocol}, name: web}}, defaultEndpoint: '{endpoint}'}}"
    )
}

async fn web(mesh: &Mesh, port: u16, protocol: &str) -> Sidecar {
    mesh.workload("web").port(port, protocol).proxy().await
}

/// Fields: Sidecar spec.ingress[].defaultEndpoint, Sidecar spec.ingress[].port.number
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_for_a_port_goes_to_the_endpoint() {
    let mesh = Mesh::start().await;
    let (one, two) = (HttpApp::start("one").await, HttpApp::start("two").await);
    let socket = mesh.directory().join("web.sock");
    let _unix = UnixApp::start("unix", &socket);
    // Nobody listens there: the sidecar is ready since the endpoint answers.
    let port = free_port();
    listen(&mesh, &to(port, "HTTP", &format!("127.0.0.1:{}", one.port())), "").await;
    let _web = web(&mesh, port, "http").await;
    let caller = mesh.client().await;
    assert_eq!(caller.http().await.get("http://web/").await.served_by(), "one");
    for (endpoint, name) in [
        // The workload's own address.
        (format!("0.0.0.0:{}", two.port()), "two"),
        (format!("unix://{}", socket.display()), "unix"),
        (format!("127.0.0.1:{}", one.port()), "one"),
    ] {
        listen(&mesh, &to(port, "HTTP", &endpoint), "").await;
        caller.until(&endpoint, "http://web/", |it| it.served_by() == name).await;
        let mut calls = caller.http().await;
        for _ in 0..5 {
            let body = vec![b'x'; 100_000];
            let answer = calls.call("POST", "http://web/", &[("host", "web")], &body).await;
            assert_eq!((answer.status, answer.served_by()), (200, name));
        }
    }
}

/// Fields: Sidecar spec.ingress[].defaultEndpoint
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_ready_when_its_endpoint_answers() {
    let mesh = Mesh::start().await;
    let socket = mesh.directory().join("web.sock");
    let port = free_port();
    listen(&mesh, &to(port, "HTTP", &format!("unix://{}", socket.display())), "").await;
    let _web = mesh.workload("web").port(port, "http").attempt("proxy", &[]);
    let (api, caller) = (mesh.api(), mesh.client().await);
    eventually("the workload is there, and not ready", async || {
        let path = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";
        let (_, entries) = api.get(path).await;
        let is_web = |it: &&Value| it["metadata"]["labels"]["app"] == "web";
        let web = entries["items"].as_array().and_then(|items| items.iter().find(is_web));
        let condition = web.map(|web| &web["status"]["conditions"][0]);
        let is_unready = |it: &Value| it["type"] == "Healthy" && it["status"] == "False";
        condition.is_some_and(is_unready).then_some(()).ok_or(entries.to_string())
    })
    .await;
    let _unix = UnixApp::start("unix", &socket);
    caller.until("it may be called", "http://web/", |it| it.served_by() == "unix").await;
}

/// Fields: Sidecar spec.ingress[].port.name
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_number_nobody_means_is_found_by_its_name() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("web").await;
    let (port, strange) = (free_port(), free_port());
    mesh.apply(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}},
           ports: [{{name: web, port: 80, targetPort: {port}}}]}}}}"
    ))
    .await;
    listen(&mesh, &to(strange, "HTTP", &format!("127.0.0.1:{}", app.port())), "").await;
    let _web = web(&mesh, port, "http").await;
    let caller = mesh.client().await;
    assert_eq!(caller.http().await.get("http://web/").await.served_by(), "web");
}

/// Fields: Sidecar spec.ingress[].port.number
#[tokio::test(flavor = "multi_thread")]
async fn ports_without_a_listener_take_nothing() {
    let mesh = Mesh::start().await;
    let (one, two) = (HttpApp::start("one").await, HttpApp::start("two").await);
    let ports = [one.port(), two.port()];
    // Left out, the endpoint is the same port.
    let listener = format!("{{port: {{number: {}, protocol: HTTP, name: web}}}}", one.port());
    listen(&mesh, &listener, "").await;
    let web = mesh.workload("web").port(ports[0], "http").port(ports[1], "http").proxy().await;
    let caller = mesh.client().await;
    let mut calls = caller.http().await;
    let [taken, refused] = ports.map(|port| format!("http://web:{port}/"));
    assert_eq!(calls.get(&taken).await.served_by(), "one");
    let answer = calls.get(&refused).await;
    assert_eq!((answer.status, two.requests()), (503, 0));
    assert!(answer.text().contains("serves no such service or port"), "{}", answer.text());
    drop(web);
}

/// How many requests and connections a called sidecar has counted.
async fn counted(called: &Sidecar) -> (u64, u64) {
    let scrape = called.scrape().await;
    let sum = |metric| scrape.sum(metric, &[("reporter", "destination")]) as u64;
    (sum("istio_requests_total"), sum("istio_tcp_connections_opened_total"))
}

/// Fields: Sidecar spec.ingress[].port.protocol
#[tokio::test(flavor = "multi_thread")]
async fn the_listeners_protocol_goes_before_the_services() {
    for (protocol, version, seen) in
        [("HTTP", "HTTP/1.1", (1, 0)), ("HTTP2", "HTTP/2.0", (1, 0)), ("TCP", "HTTP/1.1", (0, 1))]
    {
        let mesh = Mesh::start().await;
        let app = HttpApp::start("web").await;
        listen(&mesh, &to(app.port(), protocol, ""), "").await;
        let web = web(&mesh, app.port(), "http").await;
        let caller = mesh.client().await;
        let answer = caller.http().await.get("http://web/echo").await;
        assert_eq!(answer.json()["version"], version, "{protocol}");
        eventually("it is counted", async || {
            let counted = counted(&web).await;
            (counted == seen).then_some(()).ok_or(format!("{protocol}: {counted:?}"))
        })
        .await;
    }
}

/// Fields: Sidecar spec.ingress[].port.protocol
#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_requests_where_the_listener_says_so() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("web").await;
    listen(&mesh, &to(app.port(), "HTTP", ""), "").await;
    let web = web(&mesh, app.port(), "tcp").await;
    let caller = mesh.client().await;
    let mut stream = open(&caller, "web", app.port()).await;
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    eventually("a request is counted", async || {
        let counted = counted(&web).await;
        (counted == (1, 0)).then_some(()).ok_or(format!("{counted:?}"))
    })
    .await;
}

/// Fields: Sidecar spec.ingress[].connectionPool
#[tokio::test(flavor = "multi_thread")]
async fn a_listeners_own_limits_take_the_place_of_all() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("web").await;
    let port = format!("number: {}, protocol: HTTP, name: web", app.port());
    let listener =
        format!("{{port: {{{port}}}, connectionPool: {{http: {{http2MaxRequests: 2}}}}}}");
    listen(&mesh, &listener, ", inboundConnectionPool: {http: {http2MaxRequests: 1}}").await;
    let _web = web(&mesh, app.port(), "http").await;
    let caller = mesh.client().await;
    let mut held = JoinSet::new();
    for count in 1..=2 {
        let mut calls = caller.http().await;
        held.spawn(async move { calls.get("http://web/hold").await.status });
        under_way(&app, count).await;
    }
    assert_eq!(caller.http().await.get("http://web/").await.status, 503);
    app.release();
    assert_eq!(held.join_all().await, [200; 2]);
}
