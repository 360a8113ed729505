//! `meltemi run` beside a real control plane: exit codes, signals, ports, tokens, and the command's life.

mod plane;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use plane::{Plane, Run};

/// An application on the port that it is given: answers nothing, but accepts.
const APP: &str = "import socket,sys,signal\n\
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n\
    s=socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
    while True: s.accept()[0].close()";

/// A port that was free just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_commands_exit_code_is_runs_own() {
    let plane = Plane::start().await;
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("echo $MELTEMI_SIDECAR_WORKLOAD", 0)]
    {
        let ended = plane.run("").command(&["sh", "-c", script]).output().await;
        assert_eq!(ended.status.code(), Some(code), "{script}: {ended:?}");
        if code == 0 && script.starts_with("echo") {
            let out = String::from_utf8_lossy(&ended.stdout);
            assert!(out.starts_with("default/sh-"), "{out}");
        }
    }
    let missing = plane.run("").command(&["/none/such"]).output().await;
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/none/such"));
    assert_eq!(plane.homes("default"), Vec::<String>::new(), "a run without a name leaves nothing");
}

#[tokio::test]
async fn a_command_has_the_huge_pages_that_its_sidecar_does_without() {
    let plane = Plane::start().await;
    let huge_pages = |status: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("THP_enabled:"))
            .map(|it| it.trim().to_owned())
    };
    let own = huge_pages(&std::fs::read_to_string("/proc/self/status").unwrap());
    let ended = plane.run("").command(&["cat", "/proc/self/status"]).output().await;
    assert_eq!(huge_pages(&String::from_utf8_lossy(&ended.stdout)), own, "{ended:?}");
    let ended = plane.run("").command(&["env"]).output().await;
    let environment = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!environment.contains("HUGE_PAGES"), "{environment}");
    let script = "cat /proc/$PPID/status";
    let ended = plane.run("").command(&["sh", "-c", script]).output().await;
    let sidecars = huge_pages(&String::from_utf8_lossy(&ended.stdout));
    assert_eq!(sidecars.as_deref(), own.as_deref().map(|_| "0"), "{ended:?}");
}

#[tokio::test]
async fn a_sidecar_may_open_all_files_that_it_can_and_its_command_as_many_as_without() {
    let plane = Plane::start().await;
    let script = "ulimit -Sn; grep 'open files' /proc/$PPID/limits";
    let ended = plane.run("").files(300).command(&["sh", "-c", script]).output().await;
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    let words: Vec<_> = out.split_whitespace().collect();
    let ["300", "Max", "open", "files", soft, hard, "files"] = words[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(soft, hard);
}

#[tokio::test]
async fn signals_reach_the_command_and_sigterm_ends_it_in_order() {
    let plane = Plane::start().await;
    let script = "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; \
                  echo up; while true; do sleep 600 & wait $!; kill $!; done";
    let mut run = plane.run("--name client-1").command(&["sh", "-c", script]).start();
    let mut out = run.stdout();
    assert_eq!(out.next_line().await.unwrap().as_deref(), Some("up"));
    for (signal, word) in [(Signal::HUP, "hup"), (Signal::USR1, "usr1"), (Signal::TERM, "term")] {
        run.signal(signal);
        assert_eq!(out.next_line().await.unwrap().as_deref(), Some(word));
    }
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(5), "{}", ended.err);
    ended.tells_in_order(&["drained: acknowledged by", "last request finished", "command ended"]);
    assert_eq!(plane.homes("default"), ["client-1"], "a name keeps its directory");
}

#[tokio::test]
async fn a_service_is_ready_when_its_port_answers_and_leaves_before_its_command_ends() {
    let plane = Plane::start().await;
    let port = free_port();
    let flags = format!("--service hello --port {port}/http --name hello-1");
    let app = port.to_string();
    let mut run = plane.run(&flags).command(&["python3", "-c", APP, &app]).start();
    let ready = run.ready().await;
    assert_eq!(ready["workload"], "default/hello-1");
    for name in ["outbound", "inbound", "admin", "metrics", "health"] {
        assert!(ready[name].as_str().unwrap().starts_with("127.0.0.1:"), "{ready}");
    }
    let entry = plane.entry("hello-1").await.unwrap();
    assert_eq!(entry["status"]["conditions"][0]["status"], "True", "{entry}");
    run.signal(Signal::TERM);
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(7), "{}", ended.err);
    ended.tells_in_order(&["drained: acknowledged by", "last request finished", "command ended"]);
    assert!(plane.entry("hello-1").await.is_none());
}

#[tokio::test]
async fn a_command_that_ends_is_taken_out_at_once() {
    let plane = Plane::start().await;
    let port = free_port();
    let flags = format!("--service hello --port {port} --name hello-1");
    let mut run = plane.run(&flags).command(&["python3", "-c", APP, &port.to_string()]).start();
    run.ready().await;
    kill_process(run.command_pid(), Signal::KILL).unwrap();
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(137), "{}", ended.err);
    assert!(!ended.err.contains("draining"), "{}", ended.err);
    plane.gone("hello-1").await;
}

#[tokio::test]
async fn a_command_and_what_it_started_die_with_its_run() {
    let plane = Plane::start().await;
    for script in ["echo up; exec sleep 600", "sleep 600 & echo up; wait"] {
        let mut run = plane.run("").command(&["sh", "-c", script]).start();
        let mut out = run.stdout();
        assert_eq!(out.next_line().await.unwrap().as_deref(), Some("up"));
        run.signal(Signal::KILL);
        assert_eq!(run.child.wait().await.unwrap().signal(), Some(9));
        // Only the command and its children still hold the other end of its output.
        let end = tokio::time::timeout(plane::PATIENCE, out.next_line()).await;
        assert_eq!(end.expect("the command lives on").unwrap(), None, "{script}");
    }
}

#[tokio::test]
async fn without_a_control_plane_a_run_says_so_and_ends_all_the_same() {
    let mut plane = Plane::start().await;
    let mut run = plane.run("").command(&["sh", "-c", "exec sleep 600"]).start();
    run.tells("registered workload").await;
    plane.kill().await;
    run.tells("the registration stream broke").await;
    run.signal(Signal::TERM);
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(143), "{}", ended.err);
    let order = ["drained without every acknowledgement", "last request finished", "command ended"];
    ended.tells_in_order(&order);
}

#[tokio::test]
async fn a_command_that_reads_the_terminal_gets_it() {
    let plane = Plane::start().await;
    let shell = &["bash", "--norc", "--noprofile", "-i"][..];
    let reader = &["sh", "-c", "read line; eval \"$line\"; read line; eval \"$line\""][..];
    let flags = format!("--service hello --port {}", free_port());
    for flags in ["", &flags] {
        for command in [shell, reader] {
            let run = plane.run(flags).command(command);
            let ended = run.on_terminal("echo answer-$((40+2))\nexit 3\n").await;
            let shown = String::from_utf8_lossy(&ended.stdout);
            assert!(shown.contains("answer-42"), "{flags} {command:?}: {shown}");
            assert_eq!(ended.status.code(), Some(3), "{flags} {command:?}: {shown}");
        }
    }
}

#[tokio::test]
async fn two_runs_share_a_machine_without_a_flag() {
    let plane = Plane::start().await;
    let script = ["sh", "-c", "echo up; exec sleep 600"];
    let mut runs = [
        plane.bare_run("--name a").command(&script).start(),
        plane.bare_run("--name b").command(&script).start(),
    ];
    let mut outbound = Vec::new();
    for run in &mut runs {
        outbound.push(run.ready().await["outbound"].as_str().unwrap().to_owned());
    }
    assert_ne!(outbound[0], outbound[1]);
    for run in runs {
        run.signal(Signal::TERM);
        let ended = run.ended().await;
        assert_eq!(ended.code, Some(143), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_flag_that_changes_it() {
    let plane = Plane::start().await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    for flag in ["--outbound", "--inbound", "--admin", "--metrics", "--health"] {
        let run = plane.run(&format!("{flag} {taken}"));
        let ended = run.command(&["true"]).output().await;
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{err}");
        assert!(err.contains(&taken) && err.contains(flag), "{err}");
    }
}

#[tokio::test]
async fn one_name_has_one_proxy() {
    let plane = Plane::start().await;
    let script = ["sh", "-c", "exec sleep 600"];
    let mut first = plane.run("--name web").command(&script).start();
    first.ready().await;
    let second = plane.run("--name web").command(&["true"]).output().await;
    let err = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{err}");
    assert!(err.contains("default/web") && err.contains("--name"), "{err}");
}

#[tokio::test]
async fn bad_tokens_are_refused_with_the_remedy() {
    let plane = Plane::start().await;
    let hour = Duration::from_secs(3600);
    let expired = plane.token("default", SystemTime::now() - 2 * hour);
    let other = plane.token("other", SystemTime::now());
    let good = plane.token("default", SystemTime::now());
    let tampered = format!("{}AAAA", &good[..good.len() - 4]);
    for (token, part) in [
        (&*expired, "expired"),
        (&*other, "the join token is for default/other"),
        (&*tampered, "was changed"),
        ("nonsense", "meltemi token create"),
    ] {
        let file = plane.file("token", token);
        let run = plane.remote_run(&format!("--token-file {}", file.display()));
        let ended = run.command(&["true"]).output().await;
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{part}: {err}");
        assert!(err.contains(part), "{part}: {err}");
    }
    let file = plane.file("token", &good);
    let run = plane.remote_run(&format!("--token-file {}", file.display()));
    assert_eq!(run.command(&["true"]).output().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_named_workload_starts_without_its_control_plane() {
    let mut plane = Plane::start().await;
    let port = free_port();
    let flags = format!("--service hello --port {port} --name hello-1");
    let app = port.to_string();
    let command = ["python3", "-c", APP, &app];
    let mut first = plane.run(&flags).command(&command).start();
    first.ready().await;
    first.signal(Signal::TERM);
    first.ended().await;
    plane.kill().await;
    let mut second = plane.run(&flags).command(&command).start();
    second.ready().await;
    // Started again, it listens on other ports, and finds the workload there.
    plane.start_again().await;
    plane.appears("hello-1").await;
    second.signal(Signal::TERM);
    assert_eq!(second.ended().await.code, Some(7));
}

#[tokio::test]
async fn while_it_waits_for_the_control_plane_it_can_be_stopped() {
    let state = tempfile::tempdir().unwrap();
    let mut run = Run::new(state.path(), "").command(&["true"]).start();
    run.tells("waiting for the control plane").await;
    run.signal(Signal::TERM);
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(143), "{}", ended.err);
    assert!(ended.err.contains("meltemi control"), "{}", ended.err);
}

#[tokio::test]
async fn wrong_usage_ends_with_two_and_says_what_to_write() {
    let state = tempfile::tempdir().unwrap();
    for (flags, part) in [
        ("--port 8001", "--service NAME"),
        ("--service a --port 1/x", "http2"),
        ("--control https://mesh:15012", "--trust-bundle FILE"),
    ] {
        let ended = Run::new(state.path(), flags).command(&["true"]).output().await;
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{err}");
        assert!(err.contains(part), "{err}");
    }
    let ended = Run::new(state.path(), "").output().await;
    assert_eq!(ended.status.code(), Some(2));
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_ends_with_one() {
    let ended = Run::new(Path::new("/proc/none"), "").command(&["true"]).output().await;
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{err}");
    assert!(err.contains("/proc/none") && err.contains("--state-dir"), "{err}");
}

#[tokio::test]
async fn a_proxy_alone_prints_its_addresses_and_drains() {
    let plane = Plane::start().await;
    let mut run = plane.proxy("--name edge --output json").start();
    let line = run.stdout().next_line().await.unwrap().unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(addresses["workload"], "default/edge");
    run.ready().await;
    let admin = addresses["admin"].as_str().unwrap();
    let answer = plane::ask(admin, "POST /quitquitquit", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let ended = run.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.tells_in_order(&["drained: acknowledged by", "last request finished"]);
}
