//! The benchmark as a whole, with the contestants that are always there: what it prints, and that nothing outlives it.

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

async fn run(scenario: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let windows = ["--rounds=2", "--seconds=0.2", "--warm-up=0.1", "--rate=500"];
    let arguments: Vec<&str> = [scenario].into_iter().chain(windows).collect();
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
    for scenario in ["pair-http1", "proxy-http1", "connect", "pair-h2", "pair-grpc"] {
        let report = run(scenario).await;
        let [direct, relay] = &report["contestants"].as_array().unwrap()[..] else {
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
    let report = run("pair-tcp").await;
    let relay = &report["contestants"][1];
    assert!(median(relay, "mib_per_second") > 1.0 && median(relay, "cpu_us_per_mib") > 1.0);
    let report = run("idle").await;
    let relay = &report["contestants"][0];
    assert!(median(relay, "held_mib") > median(relay, "idle_mib"), "{report:#}");
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
