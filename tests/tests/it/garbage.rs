//! Bytes that mean nothing, on every port: they harm nobody.

use std::net::SocketAddr;
use std::time::Duration;

use meltemi_tests::{Http1, Mesh, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// A TLS 1.3 ClientHello's beginning, with lengths that promise more than comes.
const TORN_HELLO: &[u8] =
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03torn off in the middle of the random bytes";

fn garbage() -> Vec<Vec<u8>> {
    let noise = |seed: u32, length: usize| {
        let mut state = seed;
        let mut next = || {
            // Xorshift: the same noise in every run.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect::<Vec<u8>>()
    };
    vec![
        Vec::new(),
        vec![0],
        TORN_HELLO.to_vec(),
        b"\x16\x03\x01\xff\xff".to_vec(),
        b"\x15\x03\x03\x00\x02\x02\x28".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"GET / HTTP/1.1\r\n: \x00\r\n\r\n".to_vec(),
        b"SSH-2.0-test\r\n".to_vec(),
        vec![b'\n'; 5_000],
        noise(1, 1),
        noise(2, 100),
        noise(3, 5_000),
        noise(4, 200_000),
    ]
}

/// Sends bytes and ends our side; reads whatever comes, until the other side ends, for a moment at most.
async fn throw(address: SocketAddr, bytes: &[u8]) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map(drop)
    };
    // A port may close at once or wait for more; neither is wrong, and an error is an answer too.
    drop(timeout(Duration::from_millis(300), exchange).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_port_harms_nobody() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    let server = &hello.instances[0].1;
    let open = mesh.http_service("open", 1).await;
    let open = &open.instances[0].1;
    let policy = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: open}\n\
        spec: {selector: {matchLabels: {app: open}}, mtls: {mode: PERMISSIVE}}\n";
    mesh.apply(policy).await;
    eventually("callers in plaintext are taken", async || {
        let answer = Http1::connect(open.inbound).await.try_call("GET", "/", &[], b"").await;
        answer.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let control = mesh.addresses();
    let ports = [
        ("api", control.api),
        ("xds", control.xds),
        ("secure_xds", control.secure_xds),
        ("dns", control.dns),
        ("monitoring", control.monitoring),
        ("outbound", client.outbound),
        ("inbound", server.inbound),
        ("permissive inbound", open.inbound),
        ("admin", server.admin),
        ("metrics", server.metrics),
        ("health", server.health),
    ];
    let mut calls = client.http().await;
    for (port, address) in ports {
        let mut throws = tokio::task::JoinSet::new();
        for bytes in garbage() {
            throws.spawn(async move { throw(address, &bytes).await });
        }
        within(port, throws.join_all()).await;
        let response = calls.get("http://hello/").await;
        assert_eq!(response.status, 200, "after garbage on {port}: {}", response.text());
        let response = Http1::connect(open.inbound).await.get("/").await;
        assert_eq!(response.status, 200, "after garbage on {port}: {}", response.text());
    }
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for bytes in garbage().iter().filter(|it| it.len() < 60_000) {
        udp.send_to(bytes, control.dns).await.unwrap();
    }
    // New ones can join, which needs every port of the control plane.
    let newcomer = mesh.http_service("newcomer", 1).await;
    assert_eq!(mesh.client().await.http().await.get("http://newcomer/").await.status, 200);
    assert_eq!(newcomer.requests(), [1]);
    let log = mesh.control_log();
    assert!(!log.contains("panicked"), "{log}");
    for sidecar in [server, open, &client] {
        assert!(!sidecar.process.log().contains("panicked"), "{}", sidecar.process.log());
    }
}
