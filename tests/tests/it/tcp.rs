//! Opaque bytes: protocols that the mesh does not know, and those whose server speaks first.

use meltemi_tests::{Mesh, Sidecar, TcpApp, free_port, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn pair(mesh: &Mesh, name: &str, app: &TcpApp, protocol: &str) -> ([Sidecar; 2], u16) {
    let sidecar = mesh.workload(name).port(app.port(), protocol).proxy().await;
    let listen = free_port();
    let upstream = format!("{name}:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    ([sidecar, client], listen)
}

async fn exchange(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(message).await.unwrap();
    let mut back = vec![0; message.len()];
    within("an echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, message);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_unchanged_and_each_side_ends_by_itself() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let (_sidecars, listen) = pair(&mesh, "raw", &app, "tcp").await;
    let mut stream = TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    exchange(&mut stream, &every_byte).await;
    // Looks like HTTP, but the port is declared as TCP.
    exchange(&mut stream, b"GET / HTTP/1.1\r\nbroken").await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within("the other side's end", stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_first_is_heard_at_once() {
    let mesh = Mesh::start().await;
    for protocol in ["tcp", "mysql"] {
        let app = TcpApp::banner(b"220 ready\r\n").await;
        let (_sidecars, listen) = pair(&mesh, &format!("first-{protocol}"), &app, protocol).await;
        let mut stream = TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
        let mut banner = [0; 11];
        within("the banner", stream.read_exact(&mut banner)).await.unwrap();
        assert_eq!(&banner, b"220 ready\r\n", "{protocol}");
        exchange(&mut stream, b"EHLO\r\n").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeclared_port_takes_both_http_and_bytes() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let (_sidecars, listen) = pair(&mesh, "echo", &app, "").await;
    let mut stream = TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
    exchange(&mut stream, b"\x16\x00\x01 not HTTP at all").await;
    // Nothing is sent first: the detection must not wait for ever.
    let app = TcpApp::banner(b"hello\n").await;
    let (_silent, listen) = pair(&mesh, "silent", &app, "").await;
    let mut stream = TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
    let mut banner = [0; 6];
    within("the banner after the detection", stream.read_exact(&mut banner)).await.unwrap();
    assert_eq!(&banner, b"hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_opens_a_tunnel_through_the_outbound_listener() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let (sidecars, _) = pair(&mesh, "raw", &app, "tcp").await;
    let mut calls = sidecars[1].http().await;
    let target = format!("raw:{}", app.port());
    let response = calls.call("CONNECT", &target, &[("host", &target)], b"").await;
    assert_eq!(response.status, 200);
    let mut stream = calls.into_stream().into_inner();
    exchange(&mut stream, b"through the tunnel").await;
}
