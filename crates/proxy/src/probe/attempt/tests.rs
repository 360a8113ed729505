use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::plan::HttpGet;
use super::super::tally::Thresholds;
use super::*;

const ALLOWED: Attempts = Attempts { allow_exec: true };

fn plan(way: Way) -> Plan {
    let thresholds = Thresholds { success: NonZeroU32::MIN, failure: NonZeroU32::MIN };
    let second = Duration::from_secs(1);
    Plan { delay: Duration::ZERO, timeout: 10 * second, period: second, thresholds, way }
}

fn shell(script: &str) -> Way {
    Way::Exec(["sh", "-c", script].map(str::to_owned).to_vec())
}

#[tokio::test]
async fn a_request_succeeds_by_its_status_and_bears_the_headers_that_are_given() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut seen = Vec::new();
        for status in ["200 OK", "399 X", "400 X", "503 X"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            seen.push(String::from_utf8(head).unwrap());
        }
        seen
    });
    let headers = [("host", "other"), ("x-a", "b")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let get = HttpGet {
        place: Place::local(port),
        tls: false,
        path: "/x?y".parse().unwrap(),
        headers: headers.into_iter().collect(),
    };
    let plan = plan(Way::Http(get));
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(ALLOWED.make(&plan).await);
    }
    let is_success: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(is_success, [true, true, false, false], "{outcomes:?}");
    assert!(outcomes[3].as_ref().unwrap_err().contains("answered 503"), "{outcomes:?}");
    let seen = serving.await.unwrap();
    assert!(seen[0].starts_with("GET /x?y HTTP/1.1\r\n"), "{seen:?}");
    assert!(seen[0].contains("host: other\r\n") && seen[0].contains("x-a: b\r\n"), "{seen:?}");
    // Nobody listens any longer.
    assert!(ALLOWED.make(&plan).await.unwrap_err().contains("httpGet http://localhost"));
}

#[tokio::test]
async fn a_command_is_run_where_that_is_allowed_and_judged_by_its_exit_code() {
    assert_eq!(ALLOWED.make(&plan(shell("exit 0"))).await, Ok(()));
    let failed = ALLOWED.make(&plan(shell("exit 3"))).await.unwrap_err();
    assert!(failed.contains("exit status: 3"), "{failed}");
    let missing = Way::Exec(vec!["/none/such".into()]);
    assert!(ALLOWED.make(&plan(missing)).await.is_err());

    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("ran");
    let touch = shell(&format!("touch {}", trace.display()));
    let refused = Attempts { allow_exec: false }.make(&plan(touch.clone())).await.unwrap_err();
    assert!(refused.contains("--allow-exec-probes"), "{refused}");
    assert!(!trace.exists(), "what is not allowed is not run");
    assert_eq!(ALLOWED.make(&plan(touch)).await, Ok(()));
    assert!(trace.exists());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_that_it_has_started() {
    // The command's child holds the writing end of the pipe too: the reader sees the end when both are gone.
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let script = format!("exec 3>{}; sleep 1000 & echo up >&3; wait", pipe.display());
    let hanging = Plan { timeout: Duration::from_secs(5), ..plan(shell(&script)) };
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap());
    let late = ALLOWED.make(&hanging).await.unwrap_err();
    assert!(late.contains("no answer within 5s"), "{late}");
    assert_eq!(reading.await.unwrap(), "up\n");
}
