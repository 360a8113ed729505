//! What callers met at endpoints that have left before anybody told of it, and what callers met that have left themselves.
//!
//! Nobody reports by the clock here: the last report of each caller is its only one, so that the order of things is the test's.

use meltemi_tests::{Mesh, Process, Signal, test_app};
use tokio::process::Command;

use super::told::{self, Figures, outcomes};

const QUIET: [&str; 2] = ["--report-interval", "1h"];

fn of(calls: u64) -> Figures {
    Figures { calls, ..Figures::default() }
}

async fn nothing_is_told(mesh: &Mesh) {
    let (_, told) = mesh.api().get("/meltemi/v1/outcomes?window=1h").await;
    assert_eq!(told["items"], serde_json::json!([]), "told before its time: {told}");
}

/// One endpoint is drained, one is killed, one stays.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_leave_before_their_caller_reports_are_told_of() {
    let mesh = Mesh::start_with(&QUIET).await;
    let mut hello = Vec::new();
    for name in ["hello-1", "hello-2", "hello-3"] {
        hello.push(told::named(&mesh, name).await);
    }
    let mut one = mesh.workload("one").flag("--name", "one-1").proxy().await;
    let mut http = one.http().await;
    for _ in 0..30 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    hello[0].1.process.signal(Signal::TERM);
    hello[0].1.process.ended().await;
    hello[1].1.process.kill().await;
    mesh.api().healthy("default", "hello", 1).await;
    nothing_is_told(&mesh).await;
    drop(http);
    one.process.signal(Signal::TERM);
    one.process.ended().await;
    let expected = ["hello-1", "hello-2", "hello-3"].map(|it| ("one-1", it, of(10)));
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
}

/// The other order: the caller is out of the registry, and then tells, still by its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_first_is_told_of_by_its_name_and_stays_after_its_endpoint() {
    let mesh = Mesh::start_with(&QUIET).await;
    let (_app, mut hello) = told::named(&mesh, "hello-1").await;
    let mut one = mesh.workload("one").flag("--name", "one-1").proxy().await;
    let mut http = one.http().await;
    for _ in 0..10 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    nothing_is_told(&mesh).await;
    drop(http);
    one.process.signal(Signal::TERM);
    one.process.ended().await;
    let expected = [("one-1", "hello-1", of(10))];
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
    hello.process.kill().await;
    mesh.api().healthy("default", "hello", 0).await;
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
}

/// As the seed's program does it: two services of one program call each other, then one after the other is drained, and it ends.
/// The second one tells of the first when that has gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_after_its_calls_has_told_of_all() {
    let mesh = Mesh::start_with(&QUIET).await;
    let mut command = Command::new(test_app());
    command.arg("pair").arg(mesh.state()).args(["one", "two", "10"]);
    let mut pair = Process::start("pair", command, mesh.directory());
    assert_eq!(pair.ended().await.code(), Some(0), "{}", pair.log());
    mesh.api().healthy("default", "one", 0).await;
    let expected = [("one-", "two-", of(10)), ("two-", "one-", of(10))];
    outcomes(&mesh, "window=1h", &expected).await;
}
