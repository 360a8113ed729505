//! System calls per request, counted by `strace` in a window of its own: tracing slows everything down.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::error::BenchError;
use crate::process::Process;
use crate::role::load::Ask;
use crate::scenario::Carried;
use crate::window::{expect_measuring, seen};

/// Requests a second, few enough for a traced proxy.
const RATE: u32 = 500;
/// How long requests are counted.
const WINDOW: Duration = Duration::from_secs(2);
/// How long `strace` may take to take hold of all threads, and other steps.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts them; nothing where there are no requests, or no `strace`.
pub async fn per_request(
    ask: &Ask,
    contestant: &Contestant,
    directory: &Path,
) -> Result<Option<f64>, BenchError> {
    let pids = contestant.pids();
    if ask.wire.carried() == Carried::Tcp || pids.is_empty() {
        return Ok(None);
    }
    let summary = directory.join("strace.txt");
    let mut words = vec!["-c".to_owned(), "-f".to_owned(), "-o".to_owned()];
    words.push(summary.display().to_string());
    words.extend(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]));
    let mut strace = Process::start("strace", "strace", &words, directory)?;
    if let Err(error) = until_traced(&mut strace, &pids).await {
        eprintln!("note: system calls are not counted: {error}");
        strace.terminate();
        strace.ended().await;
        return Ok(None);
    }
    // No warm-up: what is traced and what is counted as requests is the same time.
    let mut load =
        Process::role("load", &ask.window(Some(RATE), Duration::ZERO, WINDOW), directory)?;
    expect_measuring(&mut load, PATIENCE).await?;
    let seen = seen(&mut load, WINDOW + PATIENCE).await?;
    load.succeeded(PATIENCE).await?;
    strace.terminate();
    strace.ended().await;
    let text = std::fs::read_to_string(&summary)
        .map_err(BenchError::system(format!("read {}", summary.display())))?;
    let calls = total(&text).filter(|_| seen.requests > 0);
    Ok(calls.map(|calls| calls as f64 / seen.requests as f64))
}

/// Waits until every thread has a tracer.
async fn until_traced(strace: &mut Process, pids: &[u32]) -> Result<(), BenchError> {
    let began = Instant::now();
    while !pids.iter().all(|pid| is_traced(*pid)) {
        strace.check()?;
        if began.elapsed() > PATIENCE {
            return Err(strace.not_ready("it did not take hold of every thread"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn is_traced(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| task.path().join("status")).all(|path| {
        let status = std::fs::read_to_string(path).unwrap_or_default();
        // A thread that has ended meanwhile has no status.
        status.is_empty() || tracer(&status).is_some_and(|pid| pid != 0)
    })
}

fn tracer(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()
}

/// The number of calls in the last line of `strace -c`.
fn total(summary: &str) -> Option<u64> {
    let line = summary.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           1       600           read
 40.00    0.000400           1       400        12 write
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           1      1000        12 total
";
        assert_eq!(total(text), Some(1000));
        assert_eq!(total(&text.replace("        12 total", " total")), Some(1000));
        assert_eq!(total(""), None);
    }

    #[test]
    fn a_tracer_is_found() {
        assert_eq!(tracer("Name:\tx\nTracerPid:\t12\n"), Some(12));
        assert_eq!(tracer("Name:\tx\n"), None);
        assert!(!is_traced(std::process::id()));
    }
}
