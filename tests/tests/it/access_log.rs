//! Lines of the access log that tell of connections of bytes.

use meltemi_tests::{Mesh, Sidecar, TcpApp, eventually, free_port, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A service of bytes, and a caller of it that has a local port for it.
struct World {
    _mesh: Mesh,
    server: Sidecar,
    client: Sidecar,
    app: TcpApp,
    listen: u16,
}

impl World {
    /// With this configuration; both sidecars write lines in this form.
    async fn start(form: &str, app: TcpApp, configuration: &str) -> World {
        let mesh = Mesh::start().await;
        if !configuration.is_empty() {
            mesh.apply(configuration).await;
        }
        let logs = |service: &str| mesh.workload(service).flag("--access-log", form);
        let server = logs("raw").port(app.port(), "tcp").proxy().await;
        let listen = free_port();
        let client = logs("client").upstream(&format!("raw:{}", app.port()), listen).proxy().await;
        World { _mesh: mesh, server, client, app, listen }
    }

    /// Where the caller's sidecar finds the service's.
    fn inbound(&self) -> String {
        self.server.inbound.to_string()
    }

    /// Sends bytes, awaits so many, and ends the connection.
    async fn exchange(&self, sent: &[u8], back: usize) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.listen)).await.unwrap();
        // The other side may have ended it already.
        let _ = stream.write_all(sent).await;
        let mut echoed = vec![0; back];
        within("what comes back", stream.read_exact(&mut echoed)).await.unwrap();
        let _ = stream.shutdown().await;
        // An end or a reset.
        let _ = within("the end", stream.read(&mut [0])).await;
    }

    /// Asks the caller's sidecar for a connection to this host, and awaits its end.
    async fn tunnel(&self, target: &str) {
        let mut calls = self.client.http().await;
        let response = calls.call("CONNECT", target, &[("host", target)], b"").await;
        assert_eq!(response.status, 200, "{}", response.text());
        let mut stream = calls.into_stream();
        let _ = within("the end", stream.read(&mut [0])).await;
    }
}

async fn line(sidecar: &mut Sidecar) -> String {
    sidecar.process.line().await.expect("a line")
}

async fn json(sidecar: &mut Sidecar) -> Value {
    serde_json::from_str(&line(sidecar).await).expect("a line is JSON")
}

/// What a line in JSON says under these keys.
fn words(line: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), line[*key].clone())).collect()
}

/// The keys that are the same in every line for a kind of end.
const KEYS: [&str; 8] = [
    "method",
    "path",
    "protocol",
    "response_code",
    "response_flags",
    "bytes_received",
    "bytes_sent",
    "upstream_host",
];

fn end(flags: &str, received: u64, sent: u64, upstream: Value) -> Value {
    json!({
        "method": null, "path": null, "protocol": null, "response_code": 0,
        "response_flags": flags, "bytes_received": received, "bytes_sent": sent,
        "upstream_host": upstream,
    })
}

/// A port at which nobody listens, and nobody else can while this lives.
fn closed() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// A service of bytes outside of the mesh, at this port.
fn entry(name: &str, port: u16) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}}},
          spec: {{hosts: [{name}.example.com], location: MESH_EXTERNAL, resolution: STATIC,
            ports: [{{number: 9000, name: tcp, protocol: TCP}}],
            endpoints: [{{address: 127.0.0.1, ports: {{tcp: {port}}}}}]}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_is_told_at_both_ends_in_json() {
    let mut world = World::start("json", TcpApp::echo().await, "").await;
    let (app, port) = (world.app.port(), world.inbound());
    world.exchange(b"twelve bytes", 12).await;
    let at_client = json(&mut world.client).await;
    assert_eq!(words(&at_client, &KEYS), end("-", 12, 12, json!(port)));
    let host = "raw.default.svc.cluster.local";
    assert_eq!(at_client["upstream_cluster"], format!("outbound|{app}||{host}"));
    let local = &at_client["downstream_local_address"];
    assert_eq!(*local, format!("127.0.0.1:{}", world.listen));
    let at_server = json(&mut world.server).await;
    assert_eq!(words(&at_server, &KEYS), end("-", 12, 12, json!(format!("127.0.0.1:{app}"))));
    assert_eq!(at_server["upstream_cluster"], format!("inbound|{app}||"));
    assert_eq!(at_server["upstream_transport_failure_reason"], Value::Null);
    assert!(at_server["requested_server_name"].as_str().unwrap().contains(host), "{at_server}");
    assert!(at_server["duration"].is_u64() && at_server["start_time"].is_string(), "{at_server}");

    // The application is gone: its own sidecar says so. The caller's has reached that sidecar.
    world.app = TcpApp::echo().await;
    eventually("nobody listens there any more", async || {
        let connected = TcpStream::connect(("127.0.0.1", app)).await;
        connected.err().ok_or_else(|| "somebody does".to_owned())
    })
    .await;
    world.exchange(b"", 0).await;
    let at_server = json(&mut world.server).await;
    assert_eq!(words(&at_server, &KEYS), end("UF", 0, 0, json!(format!("127.0.0.1:{app}"))));
    let reason = at_server["upstream_transport_failure_reason"].as_str().unwrap();
    assert!(reason.contains("refused"), "{reason}");
    let at_client = json(&mut world.client).await;
    assert_eq!(words(&at_client, &KEYS), end("-", 0, 0, json!(port)));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_bytes_that_come_to_nothing_are_told_with_the_reason() {
    let (app, (_closed, nobody)) = (TcpApp::echo().await, closed());
    let full = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: full},
                 spec: {host: full.example.com,
                   trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}}";
    let entries = [entry("away", nobody), entry("full", app.port()), full.to_owned()];
    let mut world = World::start("json", app, &entries.join("\n---\n")).await;
    world.tunnel("away.example.com:9000").await;
    let line = json(&mut world.client).await;
    assert_eq!(words(&line, &KEYS), end("UF", 0, 0, json!(format!("127.0.0.1:{nobody}"))));
    assert_eq!(line["upstream_cluster"], "outbound|9000||away.example.com");
    let reason = line["upstream_transport_failure_reason"].as_str().unwrap();
    assert!(reason.contains("refused"), "{reason}");

    let target = "full.example.com:9000";
    let mut calls = world.client.http().await;
    assert_eq!(calls.call("CONNECT", target, &[("host", target)], b"").await.status, 200);
    let mut held = calls.into_stream();
    held.get_mut().write_all(b"held").await.unwrap();
    within("an echo", held.read_exact(&mut [0; 4])).await.unwrap();
    world.tunnel(target).await;
    let line = json(&mut world.client).await;
    assert_eq!(words(&line, &KEYS), end("UO", 0, 0, Value::Null));
    assert_eq!(line["upstream_cluster"], "outbound|9000||full.example.com");
    drop(held);
    let line = json(&mut world.client).await;
    let upstream = json!(format!("127.0.0.1:{}", world.app.port()));
    assert_eq!(words(&line, &KEYS), end("-", 4, 4, upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_is_told_at_both_ends_in_istios_text() {
    let mut world = World::start("text", TcpApp::echo().await, "").await;
    let (app, port) = (world.app.port(), world.inbound());
    world.exchange(b"four", 4).await;
    for (sidecar, upstream, cluster) in [
        (&mut world.client, port, format!("outbound|{app}||raw.default.svc.cluster.local")),
        (&mut world.server, format!("127.0.0.1:{app}"), format!("inbound|{app}||")),
    ] {
        let line = line(sidecar).await;
        let (_, rest) = line.split_once("] ").expect("a time");
        assert!(rest.starts_with("\"- - -\" 0 - - - \"-\" 4 4 "), "{line}");
        let tail = format!(" - \"-\" \"-\" \"-\" \"-\" \"{upstream}\" {cluster} - 127.0.0.1:");
        assert!(rest.contains(&tail), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_bytes_that_no_policy_allows_is_told_with_that() {
    let nobody = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: nobody}, spec: {}}";
    let mut world = World::start("text", TcpApp::echo().await, nobody).await;
    world.exchange(b"", 0).await;
    let line = line(&mut world.server).await;
    let told = "\"- - -\" 0 - - rbac_access_denied_matched_policy[none] \"-\" 0 0 ";
    assert!(line.contains(told), "{line}");
}
