//! Ten thousand idle connections to one proxy.

use meltemi_tests::{Http1, Mesh, memory_kib};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const WANTED: u64 = 10_000;
/// Descriptors that the test and a proxy need beside those of the idle connections.
const SPARE: u64 = 1_000;
/// What an idle connection may cost a proxy; a build without optimisation included.
const PER_CONNECTION: u64 = 48 * 1024;

/// Raises the limit on open files as far as it goes, for this process and those that it starts: how many connections
/// that allows.
fn allowed() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wished = Some(most.min(WANTED + SPARE).max(limit.current.unwrap_or(u64::MAX)));
    let raised = Rlimit { current: wished, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("up to its maximum a limit may be raised");
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    WANTED.min(current.saturating_sub(SPARE))
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little_and_hinder_nobody() {
    let count = allowed();
    if count < WANTED {
        eprintln!("the limit on open files allows {count} connections of {WANTED}");
    }
    assert!(count >= 100, "no test without file descriptors");
    let mesh = Mesh::start().await;
    let _hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    // Buffers that grow once have grown.
    for _ in 0..200 {
        assert_eq!(client.http().await.get("http://hello/").await.status, 200);
    }
    let before = memory_kib(client.pid(), "VmRSS");
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut calls = client.http().await;
        let response = calls.get("http://hello/").await;
        assert_eq!(response.status, 200, "connection {}: {}", idle.len(), response.text());
        idle.push(calls);
    }
    let after = memory_kib(client.pid(), "VmRSS");
    let each = after.saturating_sub(before) * 1024 / count;
    eprintln!("{count} idle connections: {before} KiB became {after} KiB, {each} bytes each");
    assert!(each < PER_CONNECTION, "{each} bytes for an idle connection");
    let mut calls: Http1 = client.http().await;
    assert_eq!(calls.get("http://hello/").await.status, 200, "others are served");
    let step = (count / 50) as usize;
    for (at, calls) in idle.iter_mut().step_by(step.max(1)).enumerate() {
        // One that the proxy has closed in the meantime would be no idle connection.
        assert_eq!(calls.get("http://hello/").await.status, 200, "idle connection {at} lives");
    }
}
