//! What a start says when it cannot succeed, and clients that do not behave.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use meltemi_control::{ControlPlane, StoreChoice};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::mesh::{Mesh, options, registered, soon, state_dir};

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_stays_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = options(dir.path());
    wrong.addresses.monitoring = taken.local_addr().ok();
    let message = ControlPlane::start(wrong).await.unwrap_err().to_string();
    let address = taken.local_addr().unwrap().to_string();
    assert!(message.contains(&address) && message.contains("--monitoring"), "{message}");
    ControlPlane::start(options(dir.path())).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_is_named() {
    let mut wrong = options(std::path::Path::new("/proc/none"));
    let message = ControlPlane::start(wrong.clone()).await.unwrap_err().to_string();
    assert!(message.contains("/proc/none/state") && message.contains("--state-dir"), "{message}");
    let dir = tempfile::tempdir().unwrap();
    wrong.state_dir = dir.path().join("state");
    wrong.store = StoreChoice::Directory("/proc/none".into());
    let message = ControlPlane::start(wrong).await.unwrap_err().to_string();
    assert!(message.contains("/proc/none"), "{message}");
}

/// The directory in which [`a_full_disk_is_said_so`] starts this very test, in a process of its own.
const FULL: &str = "MELTEMI_TEST_FULL_DISK";

#[tokio::test]
async fn full_disk_process() {
    let Some(dir) = std::env::var_os(FULL) else { return };
    // With a handler, a write beyond the limit fails as one to a full disk does; without, it ends the process.
    let _handled = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).unwrap();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Fsize, none).unwrap();
    let error = ControlPlane::start(options(dir.as_ref())).await.unwrap_err();
    println!("refused: {error}");
}

#[tokio::test]
async fn a_full_disk_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let started = ControlPlane::start(options(dir.path())).await.unwrap();
    started.stop().await;
    let state = state_dir(dir.path());
    // Each file in turn is the first that cannot be written.
    for file in ["store.redb", "admin.token", "token.key", "ca"] {
        let path = state.join(file);
        match path.is_dir() {
            true => std::fs::remove_dir_all(&path).unwrap(),
            false => std::fs::remove_file(&path).unwrap(),
        }
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::full_disk_process", "--nocapture"])
            .env(FULL, dir.path())
            .output();
        let output = soon("an end", output).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("refused: ") && text.contains(&*path.to_string_lossy()), "{text}");
        assert!(text.contains("space") || text.contains("free some"), "{text}");
    }
}

#[tokio::test]
async fn a_damaged_store_or_an_exposed_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    ControlPlane::start(options(dir.path())).await.unwrap().stop().await;
    let state = state_dir(dir.path());
    let key = state.join("token.key");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let message = ControlPlane::start(options(dir.path())).await.unwrap_err().to_string();
    assert!(message.contains("token.key") && message.contains("chmod 600"), "{message}");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    for name in ["ca/ca-key.pem", "ca/root-key.pem"] {
        let key = state.join(name);
        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        let message = ControlPlane::start(options(dir.path())).await.unwrap_err().to_string();
        for part in [name, "mode 0644", "chmod 600"] {
            assert!(message.contains(part), "{message}");
        }
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(state.join("store.redb"), vec![7; 100_000]).unwrap();
    let message = ControlPlane::start(options(dir.path())).await.unwrap_err().to_string();
    assert!(message.contains("store.redb") && message.contains("copy"), "{message}");
    // An empty file is no new store: all rules that it held would be gone.
    std::fs::write(state.join("store.redb"), "").unwrap();
    let message = ControlPlane::start(options(dir.path())).await.unwrap_err().to_string();
    assert!(message.contains("store.redb") && message.contains("copy"), "{message}");
}

#[tokio::test]
async fn garbage_on_every_port_disturbs_nobody() {
    let mesh = Mesh::start().await;
    let bound = *mesh.plane.addresses();
    let ports = [bound.xds, bound.dns, bound.monitoring, Some(bound.api), Some(bound.secure_xds)];
    for address in ports.into_iter().flatten() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0xff; 4096]).await.unwrap();
        // An answer, an end or a reset: all but a hang.
        let mut answer = Vec::new();
        drop(soon("the end of the connection", stream.read_to_end(&mut answer)).await);
    }
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    registered(&hello).await;
    web.sees("hello-1").await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_kept() {
    let mesh = Mesh::start().await;
    let bound = *mesh.plane.addresses();
    let ended = async |address, said: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(soon("the end of the connection", stream.read_to_end(&mut answer)).await);
    };
    tokio::join!(ended(bound.secure_xds, ""), ended(bound.xds.unwrap(), "PRI * HTTP/2.0"));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_clients_that_say_nothing() {
    let mesh = Mesh::start().await;
    let bound = *mesh.plane.addresses();
    let mut silent = Vec::new();
    for address in [bound.api, bound.secure_xds, bound.xds.unwrap(), bound.monitoring.unwrap()] {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    let stopped = tokio::time::timeout(Duration::from_secs(9), mesh.plane.stop()).await;
    assert!(stopped.is_ok(), "streams and silent connections were waited for");
    drop((silent, hello));
}
