//! The test language itself, without a mesh: where it is wrong, every other test is.

use std::time::Duration;

use meltemi_tests::calls::Ask;
use meltemi_tests::{
    GrpcApp, Http1, HttpApp, IdleCloser, Load, Process, Signal, TcpApp, client, eventually,
    is_alive, test_app, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_http_application_answers_as_its_paths_say() {
    let app = HttpApp::start("direct").await;
    let mut calls = Http1::connect(app.address()).await;
    assert_eq!(calls.get("/").await.text(), "direct\n");
    assert_eq!(calls.get("/bytes/7").await.body.len(), 7);
    let stream = calls.get("/stream/40000").await;
    assert_eq!((stream.body.len(), stream.header("transfer-encoding")), (40_000, Some("chunked")));
    assert_eq!(app.sent(), 40_000);
    let response = calls.call("GET", "/trailers", &[("te", "trailers")], b"").await;
    assert_eq!(response.trailer("x-checked"), Some("yes"));
    assert_eq!(calls.call("HEAD", "/bytes/7", &[], b"").await.body, b"");
    let echo = calls.call("POST", "/echo", &[("x-a", "b")], b"12345").await.json();
    assert_eq!((&echo["body"], &echo["method"]), (&5.into(), &"POST".into()));
    let before = app.requests();
    assert_eq!(calls.get("/stats").await.json()["requests"], before);
    let head =
        "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
    calls.send(head).await;
    let mut interim = [0; 25];
    within("100", calls.stream().read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    calls.send("x").await;
    assert_eq!(calls.response().await.status, 200);
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(calls.call("GET", "/upgrade", &headers, b"").await.status, 101);
    calls.send("frames").await;
    let mut back = [0; 6];
    within("an echo", calls.stream().read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_waits_for_its_release() {
    let app = HttpApp::start("direct").await;
    let load = Load::start(app.address(), "/hold", 2);
    eventually("two held requests", async || match app.in_flight() {
        2 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    assert_eq!(load.report().answered(), 0);
    app.release();
    load.answers(10).await;
    let report = load.stop().await;
    assert_eq!((report.failures, report.answers.len()), (vec![], 1));
    assert_eq!(app.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_remembers_every_failure() {
    let app = HttpApp::start("direct").await;
    let load = Load::start(app.address(), "/status/503", 1);
    eventually("failures", async || match load.report().failures.len() {
        0 | 1 => Err("too few".to_owned()),
        _ => Ok(()),
    })
    .await;
    let report = load.stop().await;
    assert_eq!(report.answered(), 0);
    assert!(report.failures.iter().all(|it| it.starts_with("503")), "{:?}", report.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idle_closer_closes_what_is_idle() {
    let app = IdleCloser::start(Duration::from_millis(20)).await;
    let mut calls = Http1::connect(app.address()).await;
    assert_eq!(calls.get("/").await.text(), "ok\n");
    assert!(calls.is_closed().await);
    assert_eq!((app.requests(), app.closed()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grpc_application_notes_deadlines_and_cancellations() {
    let app = GrpcApp::start("direct").await;
    let mut calls = client::grpc(([127, 0, 0, 1], app.port()).into()).await;
    let answer = calls.unary(Ask { text: "a".into(), ..Ask::default() }).await.unwrap();
    assert_eq!(answer.into_inner().served_by, "direct");
    let hanging = tokio::spawn(async move {
        drop(calls.unary(Ask { hang: true, ..Ask::default() }).await);
    });
    within("the call", app.hanging().wait_for(|count| *count == 1)).await.unwrap();
    hanging.abort();
    within("its end", app.given_up().wait_for(|count| *count == 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_applications_speak_first_or_send_back() {
    let app = TcpApp::banner(b"hello\n").await;
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    within("the end", stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!((all.as_slice(), app.seen().as_slice()), (&b"hello\nx"[..], &b"x"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_ended_by_their_ids_and_keep_their_logs() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo told >&2; echo ready; exec sleep 600"]);
    let mut process = Process::start("shell", command, directory.path());
    assert_eq!(process.line().await.as_deref(), Some("ready"));
    assert!(process.status().is_none());
    let pid = process.pid();
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code(), None);
    assert!(!is_alive(pid));
    assert_eq!(process.log(), "told\n");
    let outcome = meltemi_tests::mesh::run(Command::new(test_app()), "").await;
    assert_eq!(outcome.code, Some(2), "{outcome}");
}
