//! The keep-alive race: a server closes an idle connection just as it is used again. No caller may notice.

use std::time::Duration;

use meltemi_tests::{Http1, IdleCloser, Mesh, Sidecar, free_port, within};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

const IDLE: Duration = Duration::from_millis(50);
const CALLERS: u64 = 16;
const REQUESTS: u64 = 150;

async fn pair(mesh: &Mesh, app: &IdleCloser) -> ([Sidecar; 2], u16) {
    let sidecar = mesh.workload("brief").port(app.port(), "http").proxy().await;
    let listen = free_port();
    let upstream = format!("brief:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    ([sidecar, client], listen)
}

/// Calls again and again just when the server closes; gives every answer that was not good.
async fn call_around_the_close(listen: u16, method: &'static str, caller: u64) -> Vec<String> {
    let mut connection = Http1::connect(([127, 0, 0, 1], listen).into()).await;
    let mut failures = Vec::new();
    for at in 0..REQUESTS {
        // From 3 ms before the close to 3 ms after it, in steps of 0.1 ms, different for each caller.
        let shift = Duration::from_micros((at * 7 + caller * 13) % 60 * 100);
        let start = Instant::now() + IDLE - Duration::from_millis(3) + shift;
        // The time that passes is what is tested here.
        interval_at(start, IDLE).tick().await;
        match connection.try_call(method, "/", &[], b"").await {
            Ok(response) if response.status == 200 => {}
            Ok(response) => failures.push(format!("{}: {}", response.status, response.text())),
            Err(error) => {
                failures.push(error.to_string());
                connection = Http1::connect(([127, 0, 0, 1], listen).into()).await;
            }
        }
    }
    failures
}

async fn race(method: &'static str) {
    let mesh = Mesh::start().await;
    let app = IdleCloser::start(IDLE).await;
    let (_sidecars, listen) = pair(&mesh, &app).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call_around_the_close(listen, method, caller));
    }
    let failures = within("all callers", callers.join_all()).await.concat();
    assert!(app.closed() > 0, "the server closed nothing: nothing was tested");
    let (closed, seen) = (app.closed(), app.requests());
    assert_eq!(failures, Vec::<String>::new(), "{closed} closed, {seen} requests seen");
    assert!(seen >= CALLERS * REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_requests_around_the_idle_close_get_no_503() {
    race("GET").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_must_not_be_repeated_meet_no_closed_connection_either() {
    race("POST").await;
}
