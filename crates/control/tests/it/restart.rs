//! A control plane that stops, or is killed, and comes back: nobody loses anything.

use std::process::Stdio;

use meltemi_control::{ControlFile, ControlPlane};
use meltemi_wire::delta::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::mesh::{Mesh, Subscriber, join, options, registered, soon, state_dir};

/// Waits until a client is back, and asserts that it was told of no removal.
async fn back_without_loss(web: &mut Subscriber) {
    web.connected(true).await;
    let told = web.pending();
    assert!(told.iter().all(|update| update.removed.is_empty()), "{told:?}");
}

#[tokio::test]
async fn a_stop_takes_nobody_out_and_a_start_has_everything_again() {
    let mesh = Mesh::start().await;
    let (bundle, token) = (mesh.bundle(), mesh.plane.file().token.clone());
    let joined = mesh.member("web").await;
    let mut web = joined.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    registered(&hello).await;

    let mesh = soon("a restart", mesh.restart()).await;
    assert_eq!(mesh.bundle(), bundle, "the same CA");
    assert_eq!(mesh.plane.file().token, token, "the same token");
    back_without_loss(&mut web).await;
    registered(&hello).await;
    // A newcomer, with a certificate of before, sees what was registered before.
    joined.subscribe("newcomer").sees("hello-1").await;
    let hello_2 = mesh.member("hello").await.register("hello-2", "127.0.0.2");
    web.sees("hello-2").await;
    drop((hello, hello_2));
}

#[tokio::test]
async fn who_does_not_come_back_goes_after_a_time_of_grace() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    let provider = mesh.member("hello").await;
    let (stays, goes) =
        (provider.register("stays", "127.0.0.1"), provider.register("goes", "127.0.0.2"));
    web.sees("stays").await;
    registered(&stays).await;
    registered(&goes).await;
    let mesh = mesh.restart_after(|| drop(goes)).await;
    back_without_loss(&mut web).await;
    web.loses("goes").await;
    let told = web.pending();
    assert!(told.iter().all(|update| update.removed.is_empty()), "{told:?}");
    mesh.member("web").await.subscribe("newcomer").sees("stays").await;
    drop(stays);
}

/// The process that [`a_kill_loses_nothing`] kills: this very test, in a process of its own.
const STATE: &str = "MELTEMI_TEST_CONTROL_STATE";

#[tokio::test]
async fn control_process() {
    let Some(dir) = std::env::var_os(STATE) else { return };
    let mut plane = ControlPlane::start(options(dir.as_ref())).await.unwrap();
    println!("ready");
    let failed = plane.failed().await;
    panic!("{failed}");
}

async fn start_process(dir: &std::path::Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::control_process", "--nocapture"])
        .env(STATE, dir)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.ends_with("ready") {
                return;
            }
        }
        panic!("the control plane did not start");
    };
    soon("a control plane in a process of its own", ready).await;
    child
}

#[tokio::test]
async fn a_kill_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start_process(dir.path()).await;
    let state = state_dir(dir.path());
    let file = ControlFile::read(&state).unwrap();

    // A control plane in use is not started twice.
    let refused = ControlPlane::start(options(dir.path())).await.unwrap_err().to_string();
    assert!(refused.contains("in use") && refused.contains(&file.pid.to_string()), "{refused}");

    let joined = join(&file, &state, "web").await;
    let mut web = joined.subscribe("web");
    let hello = join(&file, &state, "hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    registered(&hello).await;

    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    child.wait().await.unwrap();
    web.connected(false).await;
    assert!(matches!(*web.handle.state().borrow(), Connection::Disconnected { .. }));

    let mesh = Mesh::start_in(dir, |options| {
        options.addresses.secure_xds = file.secure_xds;
        options.addresses.api = file.api;
    })
    .await;
    assert_eq!(mesh.plane.file().trust_bundle, file.trust_bundle, "the same CA");
    back_without_loss(&mut web).await;
    registered(&hello).await;
    joined.subscribe("newcomer").sees("hello-1").await;
}
