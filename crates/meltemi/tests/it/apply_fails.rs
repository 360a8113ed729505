//! `meltemi apply`: bad input and faults leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::sync::Notify;

use crate::mesh::{Mesh, Run, between, feed, route, service};

#[tokio::test]
async fn one_wrong_field_keeps_everything_out() {
    let mesh = Mesh::start().await;
    let wrong = route("hello").replace("  - route:", "  - rout:");
    mesh.write("rules.yaml", &(service("hello", 80) + &wrong));
    let run = mesh.run("apply -f rules.yaml").await;
    assert_eq!(run.out, "");
    let error = run.fails(1);
    assert!(error.contains("rules.yaml:20:5:"), "{error}");
    assert!(error.contains("spec.http[0].rout"), "{error}");
    assert!(error.contains("`route`"), "{error}");
    assert!(error.contains("error: 1 error in the input, nothing was applied"), "{error}");
    assert_eq!(mesh.service("hello").await, None);
}

#[tokio::test]
async fn every_problem_is_told_with_its_place() {
    let mesh = Mesh::start().await;
    let input = service("a", 80).replace("port: 80", "port: 70000")
        + &service("b", 80)
        + &service("b", 80)
        + &route("c").replace("  - c\n", "  - 'not a host'\n");
    let error = mesh.run_with("apply -f -", &input).await.fails(1);
    for part in ["-:10:11:", "70000", "stands in -:", "not a host", "nothing was applied"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    for (input, part) in [
        ("a: [1", "-:1:1: is not YAML"),
        ("", "holds no object"),
        ("---\n---\n", "holds no object"),
        ("kind: Service\n", "apiVersion"),
        ("apiVersion: v1\nkind: Servce\nmetadata: {name: a}\n", "Service"),
    ] {
        let error = mesh.run_with("apply -f -", input).await.fails(1);
        assert!(error.contains(part), "{input}: {error}");
    }
    assert_eq!(mesh.run("get svc -o name").await.succeeds(), "");
}

#[tokio::test]
async fn unreadable_input_is_named() {
    let mesh = Mesh::start().await;
    mesh.write("empty/notes.txt", "x");
    for (line, code, part) in [
        ("apply -f missing.yaml", 1, "missing.yaml"),
        ("apply -f empty", 1, "no file ending in"),
        ("apply -R -f empty", 1, "no file ending in"),
        ("apply -f https://example.com/a.yaml", 2, "curl"),
        ("apply", 2, "--filename"),
        ("apply -f a.yaml -n No_Namespace", 2, "--namespace"),
    ] {
        let error = mesh.run(line).await.fails(code);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[tokio::test]
async fn a_namespace_other_than_the_flags_is_refused() {
    let mesh = Mesh::start().await;
    let input = service("hello", 80).replace("metadata:", "metadata:\n  namespace: shop");
    let error = mesh.run_with("apply -n default -f -", &input).await.fails(1);
    assert!(error.contains("-:1:1: ") && error.contains("--namespace default"), "{error}");
    let error = mesh.run_with("apply -f -", &input).await.fails(1);
    assert!(error.contains("service/hello") && error.contains("\"shop\" not found"), "{error}");
    assert!(error.contains("nothing was applied"), "{error}");
}

/// Refuses to write objects of this name, but lets them be tried.
fn refuse(name: &'static str) -> impl FnOnce(axum::Router) -> axum::Router {
    between(move |request: Request, next: Next| async move {
        let uri = request.uri();
        let is_dry = uri.query().is_some_and(|query| query.contains("dryRun"));
        if request.method() == Method::PATCH && uri.path().ends_with(name) && !is_dry {
            return full();
        }
        next.run(request).await
    })
}

fn full() -> Response {
    let status = json!({"kind": "Status", "code": 507, "reason": "InternalError", "message": "the disk is full"});
    (StatusCode::INSUFFICIENT_STORAGE, axum::Json(status)).into_response()
}

#[tokio::test]
async fn a_write_that_fails_takes_back_those_before_it() {
    let mesh = Mesh::start_with(refuse("/third")).await;
    mesh.apply(&service("first", 80)).await;
    let before = mesh.service("first").await.unwrap();
    let input = service("first", 81)
        + &service("second", 80)
        + &service("third", 80)
        + &service("fourth", 80);
    let run = mesh.run_with("apply -f -", &input).await;
    assert_eq!(run.out, "");
    let error = run.fails(1);
    for part in [
        "error: service/third was not applied",
        "the disk is full",
        "taken back: service/second (deleted again), service/first (as before)",
        "not applied: service/third, service/fourth",
        "as it was before",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let after = mesh.service("first").await.unwrap();
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
    for name in ["second", "third", "fourth"] {
        assert_eq!(mesh.service(name).await, None, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_said() {
    // From the second service on, nothing can be written or deleted any more.
    let writes = Arc::new(AtomicUsize::new(0));
    let mesh = Mesh::start_with(between(move |request: Request, next: Next| {
        let writes = writes.clone();
        async move {
            let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
            let is_write = request.method() != Method::GET && !is_dry;
            if is_write && writes.fetch_add(1, Ordering::Relaxed) >= 1 {
                return full();
            }
            next.run(request).await
        }
    }))
    .await;
    let error = mesh.run_with("apply -f -", &(service("a", 80) + &service("b", 80))).await.fails(1);
    assert!(error.contains("applied, and not taken back: service/a ("), "{error}");
    assert!(error.contains("not applied: service/b\n"), "{error}");
    assert!(error.contains("meltemi get"), "{error}");
    assert!(mesh.service("a").await.is_some());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_refusal() {
    let mesh = Mesh::start_with(between(|request: Request, next: Next| async move {
        let uri = request.uri();
        let is_dry = uri.query().is_some_and(|query| query.contains("dryRun"));
        let breaks = request.method() == Method::PATCH && uri.path().ends_with("/b") && !is_dry;
        let response = next.run(request).await;
        if !breaks {
            return response;
        }
        let lost = futures_util::stream::iter([Err::<String, _>(std::io::Error::other("lost"))]);
        Response::new(axum::body::Body::from_stream(lost))
    }))
    .await;
    let input = service("a", 80) + &service("b", 80) + &service("c", 80);
    let error = mesh.run_with("apply -f -", &input).await.fails(1);
    for part in [
        "it is not known whether service/b was applied",
        "taken back: service/a (deleted again)",
        "not applied: service/c\n",
        "See with `meltemi get`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(mesh.service("b").await.is_some());
    assert_eq!((mesh.service("a").await, mesh.service("c").await), (None, None));
}

#[tokio::test]
async fn a_signal_between_two_writes_takes_the_first_back() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mesh = Mesh::start_with(between({
        let (arrived, go_on) = (arrived.clone(), go_on.clone());
        move |request: Request, next: Next| {
            let (arrived, go_on) = (arrived.clone(), go_on.clone());
            async move {
                let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
                if request.method() == Method::PATCH && !is_dry {
                    arrived.notify_one();
                    go_on.notified().await;
                }
                next.run(request).await
            }
        }
    }))
    .await;
    let mut child = mesh.command("apply -f -").spawn().unwrap();
    feed(&mut child, &(service("a", 80) + &service("b", 80))).await;
    arrived.notified().await;
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    go_on.notify_one();
    let error = Run::of(child.wait_with_output().await.unwrap()).fails(1);
    assert!(error.contains("service/b was not applied: the command was told to stop"), "{error}");
    assert!(error.contains("taken back: service/a (deleted again)"), "{error}");
    assert_eq!((mesh.service("a").await, mesh.service("b").await), (None, None));
}

#[tokio::test]
async fn a_control_plane_that_is_away_or_foreign_is_named() {
    let mesh = Mesh::start().await;
    let mut command = mesh.command("apply -f -");
    command.env("MELTEMI_API", "http://127.0.0.1:1");
    let error = crate::mesh::run(command, &service("a", 80)).await.fails(1);
    assert!(error.contains("http://127.0.0.1:1") && error.contains("`meltemi control`"), "{error}");

    let mut command = mesh.command("apply -f -");
    command.env_remove("MELTEMI_API").env_remove("MELTEMI_TOKEN_FILE");
    let error = crate::mesh::run(command, &service("a", 80)).await.fails(1);
    assert!(error.contains("no control plane") && error.contains("`meltemi control`"), "{error}");

    mesh.write("wrong", "another");
    let mut command = mesh.command("get svc");
    command.env("MELTEMI_TOKEN_FILE", mesh.home.path().join("wrong"));
    let error = crate::mesh::run(command, "").await.fails(1);
    assert!(error.contains("Unauthorized") && error.contains("--token-file"), "{error}");

    let stranger = Mesh::start_with(|_| axum::Router::new()).await;
    let error = stranger.run("get svc").await.fails(1);
    assert!(error.contains("404") && error.contains("is this the API"), "{error}");
}
