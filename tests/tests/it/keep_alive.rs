//! The keep-alive race: a server closes an idle connection just as it is used again. No caller may notice.

use std::time::Duration;

use meltemi_tests::{Http1, IdleCloser, Mesh, Sidecar, free_port, within};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

/// Many callers of one kind.
#[derive(Clone, Copy)]
struct Plan {
    method: &'static str,
    callers: u64,
    requests: u64,
    /// How long after an answer the next request is sent: from here on, in a hundred steps of this length.
    from: Duration,
    step: Duration,
}

async fn pair(mesh: &Mesh, app: &IdleCloser) -> ([Sidecar; 2], u16) {
    let sidecar = mesh.workload("brief").port(app.port(), "http").proxy().await;
    let listen = free_port();
    let upstream = format!("brief:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    ([sidecar, client], listen)
}

/// Calls again and again; gives every answer that was not good.
async fn call(listen: u16, plan: Plan, caller: u64) -> Vec<String> {
    let mut connection = Http1::connect(([127, 0, 0, 1], listen).into()).await;
    let mut failures = Vec::new();
    for at in 0..plan.requests {
        // Different for each caller, so that all steps are met.
        let step = plan.step * ((at * 7 + caller * 13) % 100) as u32;
        let start = Instant::now() + plan.from + step;
        // The time that passes is what is tested here.
        interval_at(start, Duration::MAX).tick().await;
        match connection.try_call(plan.method, "/", &[], b"").await {
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

async fn run(listen: u16, plan: Plan) -> Vec<String> {
    let mut callers = JoinSet::new();
    for caller in 0..plan.callers {
        callers.spawn(call(listen, plan, caller));
    }
    within("all callers", callers.join_all()).await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_requests_around_the_idle_close_get_no_503() {
    let idle = Duration::from_millis(50);
    let mesh = Mesh::start().await;
    let app = IdleCloser::start(idle).await;
    let (_sidecars, listen) = pair(&mesh, &app).await;
    let around = Plan {
        method: "GET",
        callers: 16,
        requests: 150,
        from: idle - Duration::from_millis(4),
        step: Duration::from_micros(80),
    };
    assert_eq!(run(listen, around).await, Vec::<String>::new(), "{} closed", app.closed());
    assert!(app.closed() > 0, "the server closed nothing: nothing was tested");
    assert!(app.requests() >= around.callers * around.requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_must_not_be_repeated_meet_no_closed_connection_either() {
    // Long enough that a busy machine's delays are short beside it: a request that the server has not read when its time
    // is over is lost whatever a proxy does.
    let idle = Duration::from_millis(500);
    let mesh = Mesh::start().await;
    let app = IdleCloser::start(idle).await;
    let (_sidecars, listen) = pair(&mesh, &app).await;
    // What the server does has to be seen first.
    let learning = Plan {
        method: "GET",
        callers: 16,
        requests: 4,
        from: idle + Duration::from_millis(50),
        step: Duration::ZERO,
    };
    assert_eq!(run(listen, learning).await, Vec::<String>::new());
    let closed = app.closed();
    assert!(closed > 0, "the server closed nothing: nothing was learned");
    let around = Plan {
        method: "POST",
        callers: 48,
        requests: 16,
        from: idle - Duration::from_millis(200),
        step: Duration::from_micros(2_200),
    };
    assert_eq!(run(listen, around).await, Vec::<String>::new(), "{} closed", app.closed());
    assert!(app.closed() > closed, "no connection was idle for long: nothing was tested");
}
