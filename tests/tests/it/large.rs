//! Bodies of a gigabyte in both directions, with flat memory and back-pressure.

use std::time::Duration;

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, eventually, memory_kib, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GIB: u64 = 1 << 30;
/// How much a proxy's peak memory may grow over a gigabyte.
const FLAT_KIB: u64 = 64 * 1024;
/// How much may be under way between two ends of which one does not read: the kernel's buffers of three connections, twice
/// over, and what the proxies hold.
const UNDER_WAY: u64 = 64 << 20;

async fn pair(mesh: &Mesh) -> (HttpApp, [Sidecar; 2]) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), "http").proxy().await;
    let client = mesh.client().await;
    assert_eq!(client.http().await.get("http://hello/stream/1000").await.status, 200);
    (app, [sidecar, client])
}

fn peaks(sidecars: &[Sidecar; 2]) -> [u64; 2] {
    sidecars.each_ref().map(|it| memory_kib(it.pid(), "VmHWM"))
}

fn assert_flat(before: [u64; 2], sidecars: &[Sidecar; 2], what: &str) {
    for (before, after) in before.into_iter().zip(peaks(sidecars)) {
        let grown = after.saturating_sub(before);
        eprintln!("{what}: peak memory {before} KiB, afterwards {after} KiB");
        assert!(grown < FLAT_KIB, "{what}: a proxy grew by {grown} KiB");
    }
}

/// Reads a connection to its end: how many bytes came.
async fn drain(calls: Http1) -> u64 {
    let mut stream = calls.into_stream().into_inner();
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match within("bytes", stream.read(&mut buffer)).await.expect("the body passes whole") {
            0 => return total,
            count => total += count as u64,
        }
    }
}

async fn ask(sidecar: &Sidecar, length: u64) -> Http1 {
    let mut calls = sidecar.http().await;
    let head = format!(
        "GET http://hello/stream/{length} HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n"
    );
    calls.send(head).await;
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_passes_down_with_flat_memory() {
    let mesh = Mesh::start().await;
    let (app, sidecars) = pair(&mesh).await;
    let before = peaks(&sidecars);
    let total = drain(ask(&sidecars[1], GIB).await).await;
    assert!(total >= GIB, "{total} bytes, with framing");
    assert_eq!(app.sent(), GIB + 1000);
    assert_flat(before, &sidecars, "down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_passes_up_with_flat_memory() {
    let mesh = Mesh::start().await;
    let (_app, sidecars) = pair(&mesh).await;
    let before = peaks(&sidecars);
    for chunked in [false, true] {
        let mut calls = sidecars[1].http().await;
        let framing = match chunked {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {GIB}"),
        };
        calls
            .send(format!("PUT http://hello/echo HTTP/1.1\r\nhost: hello\r\n{framing}\r\n\r\n"))
            .await;
        let block = vec![b'u'; 1 << 20];
        let frame = [b"100000\r\n", block.as_slice(), b"\r\n"].concat();
        for _ in 0..GIB >> 20 {
            calls.send(if chunked { &frame } else { &block }).await;
        }
        if chunked {
            calls.send("0\r\n\r\n").await;
        }
        assert_eq!(calls.response().await.json()["body"], GIB, "chunked: {chunked}");
    }
    assert_flat(before, &sidecars, "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_read_holds_back_the_application() {
    let mesh = Mesh::start().await;
    let (app, sidecars) = pair(&mesh).await;
    let before = peaks(&sidecars);
    let length = 256 << 20;
    let calls = ask(&sidecars[1], length).await;
    let stalled = stalls_at("the application", async || app.sent()).await;
    assert!(stalled < UNDER_WAY, "{stalled} bytes were sent to a caller that reads none");
    assert_flat(before, &sidecars, "held back");
    assert!(drain(calls).await >= length, "all comes once it is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_read_holds_back_the_caller() {
    let mesh = Mesh::start().await;
    let (app, sidecars) = pair(&mesh).await;
    let before = peaks(&sidecars);
    let mut calls = sidecars[1].http().await;
    let head =
        "POST http://hello/hold HTTP/1.1\r\nhost: hello\r\ncontent-length: 268435456\r\n\r\n";
    calls.send(head).await;
    let mut stream = calls.into_stream().into_inner();
    let block = vec![b'u'; 64 * 1024];
    let mut sent = 0;
    // A write that does not get on for a second is held back.
    while let Ok(count) = tokio::time::timeout(Duration::from_secs(1), stream.write(&block)).await {
        sent += count.expect("the connection stands") as u64;
        assert!(sent < UNDER_WAY, "{sent} bytes were taken for an application that reads none");
    }
    assert_eq!(app.in_flight(), 1);
    assert_flat(before, &sidecars, "held back upwards");
    app.release();
}

/// Waits until a count of bytes has not changed over a hundred looks.
async fn stalls_at(who: &str, mut count: impl AsyncFnMut() -> u64) -> u64 {
    let (mut last, mut same) = (0, 0);
    eventually(&format!("{who} is held back"), async || {
        let now = count().await;
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        if same >= 100 { Ok(now) } else { Err(format!("{now} bytes")) }
    })
    .await
}
