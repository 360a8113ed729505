//! Listeners that a Sidecar resource opens for its application's calls: each carries the hosts that it names, and no others.

use std::net::SocketAddr;
use std::path::Path;

use meltemi_tests::{
    Http1, HttpApp, Mesh, Response, Sidecar, TcpApp, eventually, free_port, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::streams::hello;

/// Gives the workloads of `front` these egress listeners.
async fn listen(mesh: &Mesh, egress: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: front}},
          spec: {{workloadSelector: {{labels: {{app: front}}}}, egress: [{egress}]}}}}"
    ))
    .await;
}

/// A service with this port, and its one workload.
async fn serve(mesh: &Mesh, name: &str, namespace: &str, port: u16, app: u16) -> Sidecar {
    mesh.apply(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}},
          spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}, targetPort: {app}}},
            {{name: http-other, port: 80, targetPort: {app}}}]}}}}"
    ))
    .await;
    mesh.workload(name).namespace(namespace).port(app, "http").proxy().await
}

/// The answer to a request for a host, once a listener is there and it is as it should be.
async fn until(
    what: &str,
    address: SocketAddr,
    host: &str,
    is_right: impl Fn(&Response) -> bool,
) -> Response {
    eventually(what, async || {
        let mut calls = Http1::try_connect(address).await.map_err(|error| error.to_string())?;
        let answer = calls.try_call("GET", "/", &[("host", host)], b"").await;
        let answer = answer.map_err(|error| error.to_string())?;
        if is_right(&answer) {
            return Ok(answer);
        }
        Err(format!("{} {:?}", answer.status, answer.text()))
    })
    .await
}

/// Fields: Sidecar spec.egress[].bind, Sidecar spec.egress[].port.number, Sidecar spec.egress[].port.protocol,
/// Sidecar spec.egress[].hosts[]
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_carries_requests_to_its_hosts_at_its_port() {
    let mesh = Mesh::start().await;
    let (near, far) = (HttpApp::start("near").await, HttpApp::start("far").await);
    let port = free_port();
    mesh.apply("{apiVersion: v1, kind: Namespace, metadata: {name: far}}").await;
    let _near = serve(&mesh, "near", "default", port, near.port()).await;
    let _far = serve(&mesh, "far", "far", port, far.port()).await;
    let front = mesh.workload("front").proxy().await;
    let listener = |hosts: &str| {
        format!(
            "{{port: {{number: {port}, protocol: HTTP, name: http}}, bind: 127.0.0.1,
              hosts: ['{hosts}']}}, {{hosts: ['*/*']}}"
        )
    };
    listen(&mesh, &listener("./*")).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let far_host = "far.far.svc.cluster.local";
    until("the listener is there", address, "near", |it| it.served_by() == "near").await;
    let mut calls = Http1::connect(address).await;
    for (host, status) in [
        ("near".to_owned(), 200),
        (format!("near:{port}"), 200),
        (format!("near.default.svc.cluster.local:{port}"), 200),
        ("near:80".to_owned(), 502),
        (far_host.to_owned(), 502),
        (format!("{far_host}:{port}"), 502),
        (near.address().to_string(), 502),
    ] {
        let answer = calls.call("GET", "/", &[("host", &host)], b"").await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
        let told = answer.text().contains("does not carry");
        assert_eq!(told, status == 502, "{host}: {}", answer.text());
    }
    assert_eq!((near.requests(), far.requests()), (4, 0));
    let through = front.http().await.get(&format!("http://{far_host}:{port}/")).await;
    assert_eq!(through.served_by(), "far", "the address for all reaches the others");
    // Connections that are open go by what is in effect.
    listen(&mesh, &listener("far/*")).await;
    until("the other is carried", address, far_host, |it| it.served_by() == "far").await;
    assert_eq!(calls.call("GET", "/", &[("host", "near")], b"").await.status, 502);
    listen(&mesh, "{hosts: ['*/*']}").await;
    eventually("the listener is closed", async || match TcpStream::connect(address).await {
        Ok(_) => Err("it takes connections".to_owned()),
        Err(_) => Ok(()),
    })
    .await;
    assert_eq!(calls.call("GET", "/", &[("host", far_host)], b"").await.status, 502);
}

/// The bytes that come back from an address.
async fn echo(address: SocketAddr) -> Result<[u8; 6], String> {
    let exchange = async {
        let (mut stream, mut back) = (TcpStream::connect(address).await?, [0; 6]);
        stream.write_all(b"\x00bytes").await?;
        stream.read_exact(&mut back).await?;
        Ok::<_, std::io::Error>(back)
    };
    exchange.await.map_err(|error| error.to_string())
}

/// Fields: Sidecar spec.egress[].captureMode, Sidecar spec.egress[].port.name
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_for_bytes_leads_to_the_host_that_it_names() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let port = free_port();
    mesh.apply(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: raw}}, spec: {{selector: {{app: raw}},
           ports: [{{name: tcp, port: {port}, targetPort: {}}}]}}}}",
        app.port()
    ))
    .await;
    let _raw = mesh.workload("raw").port(app.port(), "tcp").proxy().await;
    // Without a bind and a protocol: the name says what is spoken, and that nothing is captured says where.
    listen(
        &mesh,
        &format!(
            "{{port: {{number: {port}, name: mysql-raw}}, captureMode: NONE,
               hosts: ['./none.default.svc.cluster.local', './raw.default.svc.cluster.local']}}"
        ),
    )
    .await;
    let _front = mesh.workload("front").proxy().await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let back = eventually("bytes come back", async || echo(address).await).await;
    assert_eq!(&back, b"\x00bytes");
    assert!(app.seen().ends_with(b"\x00bytes"));
}

/// What a server says to these bytes at an address; nothing where the connection is closed.
async fn said(address: SocketAddr, bytes: &[u8]) -> Result<String, String> {
    let exchange = async {
        let (mut stream, mut text) = (TcpStream::connect(address).await?, String::new());
        stream.write_all(bytes).await?;
        match stream.read_to_string(&mut text).await {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(text),
            Err(error) => Err(error),
        }
    };
    within("an end", exchange).await.map_err(|error| error.to_string())
}

/// Fields: Sidecar spec.egress[].port.protocol
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_for_tls_leads_to_the_host_that_the_sni_names() {
    let mesh = Mesh::start().await;
    let (one, two) = (TcpApp::answers(b"one").await, TcpApp::answers(b"two").await);
    let port = free_port();
    for (host, app) in
        [("one.example.com", &one), ("two.example.com", &two), ("two.example.org", &two)]
    {
        let name = host.replace('.', "-");
        mesh.apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}}},
              spec: {{hosts: [{host}], location: MESH_EXTERNAL, resolution: STATIC,
                ports: [{{number: {port}, name: tls, protocol: TLS}}],
                endpoints: [{{address: 127.0.0.1, ports: {{tls: {}}}}}]}}}}",
            app.port()
        ))
        .await;
    }
    listen(
        &mesh,
        &format!(
            "{{port: {{number: {port}, protocol: TLS, name: tls}}, captureMode: NONE,
               hosts: ['*/*.example.com']}}, {{hosts: ['*/*']}}"
        ),
    )
    .await;
    let _front = mesh.workload("front").proxy().await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for (name, expected) in
        [("one.example.com", "one"), ("two.example.com", "two"), ("two.example.org", "")]
    {
        eventually(&format!("{name} leads to `{expected}`"), async || {
            let said = said(address, &hello(name)).await?;
            (said == expected).then_some(()).ok_or(said)
        })
        .await;
    }
}

/// The answer to a request by a Unix socket.
async fn by_socket(path: &Path, host: &str) -> Result<String, String> {
    let exchange = async {
        let (mut stream, mut text) = (UnixStream::connect(path).await?, String::new());
        let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    exchange.await.map_err(|error| error.to_string())
}

/// Fields: Sidecar spec.egress[].bind
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_may_be_a_unix_socket() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("near").await;
    let port = free_port();
    let _near = serve(&mesh, "near", "default", port, app.port()).await;
    let path = mesh.directory().join("out.sock");
    // Of a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bind = format!("bind: 'unix://{}'", path.display());
    listen(&mesh, &format!("{{port: {{number: 0, protocol: HTTP}}, {bind}, hosts: ['./*']}}"))
        .await;
    let _front = mesh.workload("front").proxy().await;
    for host in ["near".to_owned(), format!("near:{port}")] {
        let answer = eventually("it answers", async || by_socket(&path, &host).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    let refused = by_socket(&path, "far.far.svc.cluster.local").await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 50"), "{refused}");
    listen(&mesh, "{hosts: ['*/*']}").await;
    eventually("the socket is gone", async || {
        (!path.exists()).then_some(()).ok_or("it is there".to_owned())
    })
    .await;
}
