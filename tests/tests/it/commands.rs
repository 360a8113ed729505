//! Commands that cannot do what they are asked: what they say, and their exit codes.

use std::net::TcpListener;

use meltemi_tests::{Mesh, Outcome, meltemi, mesh};
use tokio::process::Command;

async fn run(arguments: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(meltemi());
    command.args(arguments).env("MELTEMI_STATE_DIR", directory.path().join("state"));
    mesh::run(command, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for flag in ["--api", "--xds", "--secure-xds", "--dns", "--monitoring"] {
        let mut arguments = vec!["control"];
        for each in ["--api", "--xds", "--secure-xds", "--dns", "--monitoring"] {
            arguments.extend([each, if each == flag { address.as_str() } else { free }]);
        }
        let outcome = run(&arguments).await;
        assert_eq!(outcome.code, Some(1), "{flag}: {outcome}");
        for part in [flag, address.as_str()] {
            assert!(outcome.stderr.contains(part), "{flag}: {outcome}");
        }
    }
    let mesh = Mesh::start().await;
    for flag in ["--outbound", "--inbound", "--admin", "--metrics", "--health"] {
        let mut proxy = mesh.workload("client").flag(flag, &address).attempt("proxy", &[]);
        assert_eq!(proxy.ended().await.code(), Some(1), "{flag}: {}", proxy.log());
        let log = proxy.log();
        assert!(log.contains(flag) && log.contains(&address), "{flag}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_written_is_a_clear_error() {
    // Root may write anywhere but here.
    for directory in ["/proc/meltemi", "/dev/null/state"] {
        let mut command = Command::new(meltemi());
        command.args(["control", "--state-dir", directory]);
        for flag in ["--api", "--xds", "--secure-xds", "--dns", "--monitoring"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let outcome = mesh::run(command, "").await;
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains(directory), "{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_control_plane_does_not_share_a_state_directory() {
    let mesh = Mesh::start().await;
    let mut arguments = vec!["control"];
    for flag in ["--api", "--xds", "--secure-xds", "--dns", "--monitoring"] {
        arguments.extend([flag, "127.0.0.1:0"]);
    }
    let outcome = mesh.command(&arguments, "").await;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains(mesh.state().to_str().unwrap()), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_ends_with_2_and_help_has_an_example() {
    for arguments in [
        &["control", "--api", "nonsense"][..],
        &["nonsense"],
        &["run", "--service", "Not A Name", "--", "true"],
        &["proxy", "--service", "a", "--port", "70000"],
        &["token", "create", "--ttl", "never"],
    ] {
        let outcome = run(arguments).await;
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome}");
        assert!(!outcome.stderr.is_empty(), "{arguments:?}");
    }
    for command in [
        "control", "run", "proxy", "apply", "delete", "get", "describe", "validate", "token",
        "demo",
    ] {
        let outcome = run(&[command, "--help"]).await;
        assert_eq!(outcome.code, Some(0), "{command}: {outcome}");
        assert!(outcome.stdout.contains("Example"), "{command}: {outcome}");
    }
}
