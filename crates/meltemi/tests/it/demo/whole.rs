//! The whole demo: its figures, and its end in every way that it can end.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};
use tokio::sync::{Mutex, MutexGuard};

use super::{command, left};
use crate::mesh::{Run, run};

/// One demo at a time: each is as many processes as a small machine can take.
static TURN: Mutex<()> = Mutex::const_new(());

/// A demo that goes on until it is ended.
struct Demo {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// What it says of its API.
    api: String,
    temporary: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Demo {
    /// Starts a demo and waits until traffic flows.
    async fn start() -> Demo {
        let turn = TURN.lock().await;
        let temporary = tempfile::tempdir().unwrap();
        let mut child = command("demo --rate 20", &temporary).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let api = String::new();
        let mut demo = Demo { child, stdout, api, temporary, _turn: turn };
        demo.api = demo.line("API ").await;
        demo.line("To end all of it").await;
        demo
    }

    /// Waits for a line of its output with this text in it.
    async fn line(&mut self, text: &str) -> String {
        while let Some(line) = self.stdout.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?}: {}", self.errors().await);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its standard error up to the end, which comes when none of its own processes writes there any more: also the janitor
    /// has ended then.
    async fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut text).await.unwrap();
        text
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

fn service<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let services = summary["services"].as_array().unwrap();
    services.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {summary}"))
}

/// The requests of a service's versions.
fn versions(service: &Value) -> Vec<(&str, u64)> {
    let endpoints = service["endpoints"].as_array().unwrap();
    endpoints.iter().map(|it| (it["version"].as_str().unwrap(), count(&it["requests"]))).collect()
}

#[tokio::test]
async fn figures_add_up_all_of_it_is_mtls_and_nothing_is_left() {
    let _turn = TURN.lock().await;
    let temporary = tempfile::tempdir().unwrap();
    let line = "demo --duration 3s --rate 60 --output json";
    let told: Run = run(command(line, &temporary), "").await;
    let Run { code, out, err } = told;
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let summary: Value = serde_json::from_str(&out).unwrap();

    let requests = count(&summary["requests"]);
    assert_eq!((requests, count(&summary["succeeded"])), (180, 180), "{out}");
    assert_eq!(summary["success_rate"], 1.0);
    assert_eq!(summary["mtls_share"], 1.0);
    let duration = summary["duration_s"].as_f64().unwrap();
    assert!(duration >= 3.0, "{out}");
    let quantiles: Vec<f64> = ["p50", "p90", "p99"]
        .iter()
        .map(|it| summary["latency_ms"][it].as_f64().unwrap())
        .collect();
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{out}");

    assert_eq!(summary["services"].as_array().unwrap().len(), 4);
    for name in ["storefront", "catalog", "reviews", "ratings"] {
        let service = service(&summary, name);
        let sum: u64 = versions(service).iter().map(|(_, requests)| requests).sum();
        assert_eq!(sum, count(&service["requests"]), "{name}: {out}");
        for endpoint in service["endpoints"].as_array().unwrap() {
            let address: std::net::SocketAddr =
                endpoint["address"].as_str().unwrap().parse().unwrap();
            assert!(address.ip().is_loopback(), "{out}");
        }
    }
    for name in ["storefront", "catalog", "reviews"] {
        assert_eq!(count(&service(&summary, name)["requests"]), requests, "{name}: {out}");
    }
    let reviews = versions(service(&summary, "reviews"));
    assert_eq!(reviews.iter().map(|(version, _)| *version).collect::<Vec<_>>(), ["v1", "v2", "v3"]);
    assert!(reviews.iter().all(|(_, requests)| (50..=70).contains(requests)), "{reviews:?}");
    let rated: u64 = reviews.iter().filter(|(v, _)| *v != "v1").map(|(_, requests)| requests).sum();
    assert_eq!(count(&service(&summary, "ratings")["requests"]), rated, "{out}");
    left::nothing(temporary.path());
}

#[tokio::test]
async fn an_interrupt_ends_it_with_a_summary_and_nothing_is_left() {
    let mut demo = Demo::start().await;
    assert!(left::processes(demo.temporary.path()).len() > 14);
    let figures = demo.line("storefront ").await;
    assert!(figures.contains("100.00 % succeeded"), "{figures}");
    // Nobody on this machine needs a token, and it says so.
    let (_, address) = demo.api.split_once("http://").unwrap();
    let (address, rest) = address.split_once('/').unwrap();
    assert!(rest.contains("asks nobody on this machine for a token"), "{}", demo.api);
    let mut api = TcpStream::connect(address).await.unwrap();
    let asked = format!("GET /api/v1/namespaces HTTP/1.1\r\nhost: {address}\r\n\r\n");
    api.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    BufReader::new(api).read_line(&mut answer).await.unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK\r\n");
    demo.signal(Signal::INT);
    let summary = demo.line(" requests in ").await;
    assert!(summary.contains("100.00 % succeeded"), "{summary}");
    let errors = demo.errors().await;
    assert_eq!(demo.child.wait().await.unwrap().code(), Some(0), "{errors}");
    left::nothing(demo.temporary.path());
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once_and_nothing_is_left() {
    let mut demo = Demo::start().await;
    demo.signal(Signal::TERM);
    demo.signal(Signal::INT);
    let errors = demo.errors().await;
    assert_eq!(demo.child.wait().await.unwrap().code(), Some(1), "{errors}");
    assert!(errors.contains("interrupted"), "{errors}");
    left::nothing(demo.temporary.path());
}

#[tokio::test]
async fn of_a_killed_demo_nothing_is_left() {
    let mut demo = Demo::start().await;
    assert!(left::processes(demo.temporary.path()).len() > 14);
    demo.signal(Signal::KILL);
    demo.errors().await;
    left::nothing(demo.temporary.path());
}

#[tokio::test]
async fn a_program_that_ends_is_told_and_the_others_go_on() {
    let mut demo = Demo::start().await;
    let reviews = left::pid(demo.temporary.path(), "meltemi bookshop reviews", "--version=v2");
    kill_process(reviews, Signal::KILL).unwrap();
    let told = demo.line("reviews-v2 has ended").await;
    assert!(told.contains("137"), "{told}");
    demo.signal(Signal::INT);
    demo.line(" requests in ").await;
    demo.errors().await;
    left::nothing(demo.temporary.path());
}

#[tokio::test]
async fn what_does_not_come_up_is_told_with_its_last_lines_and_nothing_is_left() {
    let _turn = TURN.lock().await;
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = std::pin::pin!(run(command("demo --rate 20", &temporary), ""));
    let control = tokio::select! {
        control = control_of(temporary.path()) => control,
        early = &mut demo => panic!("{early:?}"),
    };
    kill_process(control, Signal::KILL).unwrap();
    let errors = demo.await.fails(1);
    assert!(errors.contains("control ended (signal: 9 (SIGKILL)) while the mesh was"), "{errors}");
    assert!(errors.contains("its last lines:\n"), "{errors}");
    left::nothing(temporary.path());
}

#[tokio::test]
async fn without_a_directory_there_is_no_demo() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = command("demo", &temporary);
    command.env("TMPDIR", temporary.path().join("missing"));
    let told = run(command, "").await.fails(1);
    assert!(told.contains("missing") && told.contains("TMPDIR"), "{told}");
}

/// Waits for the control plane of the demo in this directory.
async fn control_of(temporary: &Path) -> Pid {
    let mut look = tokio::time::interval(Duration::from_millis(2));
    loop {
        look.tick().await;
        let demo = std::fs::read_dir(temporary).unwrap().flatten().next();
        let file = demo.map(|demo| demo.path().join("state/control.json"));
        let text = file.and_then(|file| std::fs::read(file).ok());
        let told = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        if let Some(pid) = told.and_then(|told| told["pid"].as_i64()) {
            return Pid::from_raw(pid.try_into().unwrap()).unwrap();
        }
    }
}
