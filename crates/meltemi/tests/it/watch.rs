//! `meltemi get --watch`, and readers that go away.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::mesh::{Mesh, service};

/// How long an event may take before a test counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of a running command.
struct Running {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mesh: &Mesh, line: &str) -> Self {
        let mut child = mesh.command(line).stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line comes in time");
        line.unwrap().expect("the command goes on")
    }
}

#[tokio::test]
async fn changes_are_printed_as_they_come() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("first", 80)).await;
    let mut rows = Running::start(&mesh, "get svc --watch");
    assert!(rows.line().await.starts_with("NAME "));
    assert!(rows.line().await.starts_with("first "));
    mesh.apply(&service("second", 80)).await;
    assert!(rows.line().await.starts_with("second "));
    mesh.apply(&service("first", 81)).await;
    assert!(rows.line().await.contains("81/TCP"));
    mesh.run("delete svc first").await.succeeds();
    assert!(rows.line().await.starts_with("first "));
}

#[tokio::test]
async fn one_object_can_be_followed_in_any_form() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("other", 80)).await;
    let mut names = Running::start(&mesh, "get svc hello --watch -o name");
    let mut yaml = Running::start(&mesh, "get svc hello --watch -o yaml");
    mesh.apply(&(service("another", 80) + &service("hello", 80))).await;
    assert_eq!(names.line().await, "service/hello");
    assert_eq!(yaml.line().await, "---");
    assert_eq!(yaml.line().await, "apiVersion: v1");
}

#[tokio::test]
async fn a_watch_ends_when_the_control_plane_does() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("a", 80)).await;
    let mut child = mesh.command("get svc --watch -o name").stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("service/a"));
    drop(mesh);
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let mesh = Mesh::start().await;
    for line in ["get svc --watch -o name", "get svc -o json", "completion bash"] {
        mesh.apply(&service("a", 80)).await;
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = mesh.command(line).stdin(Stdio::null()).stdout(writer).spawn().unwrap();
        let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{line}");
    }
}
