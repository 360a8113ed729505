//! The benchmark as a whole, with the contestants that are always there: what it prints, and that nothing outlives it.

mod guard;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A benchmark of the floor alone, whose processes all work below `directory`.
fn bench(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi-bench"));
    command.args(arguments).args(["--without-meltemi", "--against=none", "--output=json"]);
    command.env("TMPDIR", directory.path()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The processes that work below a directory.
fn working_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let places = entries.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    places.filter(|place| place.starts_with(directory)).collect()
}

/// The report of a run that has one section, and that section.
async fn run(scenario: &str) -> (Value, Value) {
    let report = run_with(&[scenario, "--rate=500"]).await;
    let [section] = &report["sections"].as_array().unwrap()[..] else { panic!("{report:#}") };
    let section = section.clone();
    (report, section)
}

async fn run_with(arguments: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let windows = ["--rounds=2", "--seconds=0.2", "--warm-up=0.1"];
    let arguments: Vec<&str> = arguments.iter().copied().chain(windows).collect();
    let output = timeout(PATIENCE, bench(&directory, &arguments).output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(working_in(directory.path()), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn median(contestant: &Value, figure: &str) -> f64 {
    contestant["figures"][figure]["median"].as_f64().unwrap_or_else(|| panic!("{contestant:#}"))
}

#[tokio::test]
async fn requests_are_counted_and_priced_over_every_wire() {
    for (scenario, unit) in [
        ("pair-http1", "request"),
        ("proxy-http1", "request"),
        ("connect", "request"),
        ("pair-h2", "request"),
        ("pair-grpc", "request"),
        ("pair-grpc-stream", "message"),
        ("tcp-short", "connection"),
        ("handshakes", "connection"),
    ] {
        let (report, section) = run(scenario).await;
        assert_eq!(report["unit"], unit);
        let [direct, relay] = &section["contestants"].as_array().unwrap()[..] else {
            panic!("{report:#}");
        };
        assert_eq!((&direct["name"], &relay["name"]), (&"direct".into(), &"relay".into()));
        for contestant in [direct, relay] {
            assert_eq!(contestant["errors"], 0, "{scenario}: {report:#}");
            assert!(median(contestant, "requests_per_second") > 10.0, "{scenario}: {report:#}");
            assert!(median(contestant, "p99_ms") >= median(contestant, "p50_ms"));
        }
        assert!(direct["figures"].get("cpu_us_per_request").is_none(), "no proxy, no price");
        assert!(median(relay, "cpu_us_per_request") > 1.0, "{scenario}: {report:#}");
        assert!(median(relay, "memory_mib") > 1.0);
    }
}

#[tokio::test]
async fn bytes_and_idle_connections_are_priced() {
    let (_, section) = run("pair-tcp").await;
    let relay = &section["contestants"][1];
    assert!(median(relay, "mib_per_second") > 1.0 && median(relay, "cpu_us_per_mib") > 1.0);
    let (report, section) = run("idle").await;
    let relay = &section["contestants"][0];
    assert!(median(relay, "held_mib") > median(relay, "idle_mib"), "{report:#}");
}

#[tokio::test]
async fn long_bodies_are_priced_by_request_and_by_mib() {
    for scenario in ["pair-http1", "pair-h2"] {
        let report = run_with(&[scenario, "--body=300k", "--connections=2"]).await;
        assert_eq!((&report["body"], &report["rate"]), (&Value::from(307_200), &Value::Null));
        for contestant in report["sections"][0]["contestants"].as_array().unwrap() {
            assert_eq!(contestant["errors"], 0, "{report:#}");
            let per_second = median(contestant, "requests_per_second");
            let mib = median(contestant, "mib_per_second");
            assert!((mib / per_second - 300.0 / 1024.0).abs() < 0.001, "{report:#}");
        }
        let relay = &report["sections"][0]["contestants"][1];
        assert!(median(relay, "cpu_us_per_mib") > 1.0 && median(relay, "cpu_us_per_request") > 1.0);
    }
}

#[tokio::test]
async fn a_list_of_connections_gives_a_section_each_and_one_picture() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("figures.svg");
    let plot = format!("--plot={}", file.display());
    let report = run_with(&["pair-http1", "--connections=1,4", "--rate=500", &plot]).await;
    let sections = report["sections"].as_array().unwrap();
    let connections: Vec<_> = sections.iter().map(|it| it["connections"].as_u64()).collect();
    assert_eq!(connections, [Some(1), Some(4)]);
    let svg = std::fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for part in [">1 connection<", ">4 connections<", ">relay<", ">latency p99, ms<"] {
        assert!(svg.contains(part), "{part:?} in {svg}");
    }
}

#[tokio::test]
async fn a_run_with_nobody_to_measure_says_so() {
    for scenario in ["services", "churn"] {
        let directory = tempfile::tempdir().unwrap();
        let output = bench(&directory, &[scenario]).output();
        let output = timeout(PATIENCE, output).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("none of the contestants"), "{said}");
    }
}

#[tokio::test]
async fn nothing_outlives_a_benchmark_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["pair-http1", "--seconds=60"];
    let mut bench = bench(&directory, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(bench.stderr.take().unwrap()).lines();
    let begun = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.starts_with("round 1/") {
                return;
            }
        }
        panic!("it ended before its first round");
    };
    timeout(PATIENCE, begun).await.unwrap();
    assert!(!working_in(directory.path()).is_empty());
    bench.kill().await.unwrap();
    let gone = async {
        while !working_in(directory.path()).is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}
