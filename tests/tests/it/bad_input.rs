//! HTTP that must not pass: smuggling, oversized heads, clients that send a byte now and then.

use std::pin::pin;
use std::time::Duration;

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink, split};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

async fn pair(mesh: &Mesh) -> (HttpApp, [Sidecar; 2], std::net::SocketAddr) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), "http").proxy().await;
    let listen = free_port();
    let upstream = format!("hello:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    (app, [sidecar, client], ([127, 0, 0, 1], listen).into())
}

/// Heads that are read in two ways by two readers, and what is no HTTP at all. A coding other than `chunked` alone is
/// answered 501, as Envoy does.
const SMUGGLING: &[(&str, &str)] = &[
    ("both lengths", "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
    ("a list of lengths", "content-length: 5, 6\r\n\r\nhello"),
    ("a signed length", "content-length: +5\r\n\r\nhello"),
    ("a negative length", "content-length: -1\r\n\r\n"),
    ("a hexadecimal length", "content-length: 0x5\r\n\r\nhello"),
    ("an endless length", "content-length: 99999999999999999999\r\n\r\n"),
    ("chunked not last", "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked in disguise", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("a space before the colon", "content-length : 5\r\n\r\nhello"),
    ("a folded line", "x-a: b\r\n c\r\n\r\n"),
    ("a bare carriage return", "x-a: b\rx-b: c\r\n\r\n"),
    ("a NUL", "x-a: b\0c\r\n\r\n"),
    ("a name with a space", "x a: b\r\n\r\n"),
    ("no name", ": b\r\n\r\n"),
    ("two hosts", "host: other\r\n\r\n"),
];

/// Chunked bodies that two readers may read in two ways.
const CHUNKS: &[(&str, &str)] = &[
    ("no number", "x\r\nhello\r\n0\r\n\r\n"),
    ("a negative number", "-5\r\nhello\r\n0\r\n\r\n"),
    ("an endless number", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("too short a chunk", "5\r\nhel\r\n0\r\n\r\n"),
    ("too long a chunk", "5\r\nhello world\r\n0\r\n\r\n"),
    ("no line end after a chunk", "5\r\nhello0\r\n\r\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_heads_are_answered_400_and_never_forwarded() {
    let mesh = Mesh::start().await;
    let (app, [_server, client], upstream) = pair(&mesh).await;
    for (what, rest) in SMUGGLING {
        for (address, target) in [(upstream, "/"), (client.outbound, "http://hello/")] {
            let mut calls = Http1::connect(address).await;
            calls.send(format!("POST {target} HTTP/1.1\r\nhost: hello\r\n{rest}")).await;
            let response = calls.response().await;
            let expected = if rest.starts_with("transfer-encoding") { 501 } else { 400 };
            assert_eq!(response.status, expected, "{what} to {target}");
            assert!(calls.is_closed().await, "{what}: what follows has no beginning");
        }
    }
    for line in
        ["GET  / HTTP/1.1", "GET / HTTP/1.1 x", "GET / HTTP/3.0", "GET", "G\u{1}T / HTTP/1.1"]
    {
        let mut calls = Http1::connect(upstream).await;
        calls.send(format!("{line}\r\nhost: hello\r\n\r\n")).await;
        let status = calls.response().await.status;
        assert!(matches!(status, 400 | 505), "{line:?}: {status}");
        assert!(calls.is_closed().await, "{line:?}");
    }
    assert_eq!(app.requests(), 0, "nothing reached the application");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_end_the_request_and_the_connection() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, upstream) = pair(&mesh).await;
    for (what, chunks) in CHUNKS {
        let mut calls = Http1::connect(upstream).await;
        let head = "POST /echo HTTP/1.1\r\nhost: hello\r\ntransfer-encoding: chunked\r\n\r\n";
        calls.send(format!("{head}{chunks}")).await;
        match calls.try_response("POST").await {
            Ok(response) => assert_eq!(response.status, 400, "{what}"),
            // The request was under way: the end of the connection is the answer.
            Err(error) => eprintln!("{what}: {error}"),
        }
        assert!(calls.is_closed().await, "{what}");
    }
    let mut calls = Http1::connect(upstream).await;
    assert_eq!(calls.get("/echo").await.json()["served_by"], "hello", "others are served");
    let after = app.requests();
    assert_eq!(calls.get("/").await.status, 200);
    assert_eq!(app.requests(), after + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_heads_are_answered_431() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, upstream) = pair(&mesh).await;
    let long = format!("x-long: {}\r\n", "v".repeat(200_000));
    let many = (0..20_000).map(|at| format!("x-{at}: v\r\n")).collect::<String>();
    for (what, fields) in [("one long field", long), ("many fields", many)] {
        let mut calls = Http1::connect(upstream).await;
        let head = format!("GET / HTTP/1.1\r\nhost: hello\r\n{fields}\r\n");
        // It may be refused before all of it is sent.
        drop(calls.try_send(head.as_bytes()).await);
        assert_eq!(calls.response().await.status, 431, "{what}");
    }
    assert_eq!(app.requests(), 0);
    let mut calls = Http1::connect(upstream).await;
    let fair = "v".repeat(20_000);
    let response = calls.call("GET", "/", &[("x-fair", &fair)], b"").await;
    assert_eq!(response.status, 200, "a head of 20 KB passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_byte_a_second_meets_a_limit() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, upstream) = pair(&mesh).await;
    let mut slow = Http1::connect(upstream).await;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let head = format!("GET / HTTP/1.1\r\nhost: hello\r\nx-slow: {}\r\n\r\n", "v".repeat(600));
    let mut sent = 0;
    for byte in head.as_bytes().chunks(1) {
        tokio::select! {
            biased;
            response = slow.try_response("GET") => {
                if let Ok(response) = response {
                    assert_eq!(response.status, 408, "{}", response.text());
                }
                break;
            }
            _ = ticks.tick() => {}
        }
        if slow.try_send(byte).await.is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 120, "a head may take two minutes and more");
        if sent % 5 == 0 {
            let mut others = Http1::connect(upstream).await;
            assert_eq!(others.get("/").await.status, 200, "others are served");
        }
    }
    eprintln!("the limit was met after {sent} bytes, a second each");
}

/// A frame of HTTP/2 (RFC 9113, section 4.1) for the stream 1, or for the connection where it is of SETTINGS.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let stream = u8::from(kind != SETTINGS);
    let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    [&head[..], payload].concat()
}

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// POST / of the host `hello`, by HPACK's static table (RFC 7541, appendix A).
const POST: &[u8] = b"\x83\x86\x84\x41\x05hello";

/// Sends a beginning, then the same bytes again every half second until the other end closes; how often.
async fn drip(to: std::net::SocketAddr, beginning: &[u8], more: &[u8]) -> u32 {
    let stream = TcpStream::connect(to).await.expect("it listens");
    let (mut read, mut write) = split(stream);
    write.write_all(beginning).await.expect("it takes what it does not know yet");
    let mut nowhere = sink();
    let mut ended = pin!(copy(&mut read, &mut nowhere));
    let mut ticks = interval(Duration::from_millis(500));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => return sent,
            _ = ticks.tick() => {}
        }
        if write.write_all(more).await.is_err() {
            return sent;
        }
        sent += 1;
        assert!(sent < 240, "what has begun may take two minutes and more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_in_http2_meets_a_limit_and_a_slow_body_does_not() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, upstream) = pair(&mesh).await;
    let begun = [PREFACE, &frame(SETTINGS, 0, &[])].concat();
    // A request whose body pauses within a frame for as long as the others drip.
    let mut patient = TcpStream::connect(upstream).await.unwrap();
    let data = frame(DATA, END_STREAM, b"hello");
    let (first, rest) = data.split_at(11);
    let head = frame(HEADERS, END_HEADERS, POST);
    patient.write_all(&[&begun, &head, first].concat()).await.unwrap();
    let open = [begun.clone(), frame(HEADERS, 0, POST)].concat();
    let dripping = [&open[..], &frame(CONTINUATION, END_HEADERS, &[0; 255])[..9]].concat();
    let (silent, dripped, nothing) = tokio::join!(
        drip(upstream, &open, b""),
        drip(upstream, &dripping, b"\0"),
        drip(upstream, PREFACE, b""),
    );
    eprintln!("closed after {silent}, {dripped} and {nothing} half seconds");
    assert!(dripped > 0, "it was listened to");
    patient.write_all(rest).await.unwrap();
    assert!(is_answered(&mut patient).await, "the request with the slow body");
    assert_eq!(app.requests(), 1, "none of the others was a request");
    assert_eq!(Http1::connect(upstream).await.get("/").await.status, 200, "others are served");
}

/// Whether the head of an answer comes before the connection ends.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        if head[3] == HEADERS {
            return true;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            break;
        }
    }
    false
}
