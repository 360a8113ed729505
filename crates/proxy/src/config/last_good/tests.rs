use crate::config::Own;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::fixture::{
    HELLO, added, endpoint, endpoints, removed, service, services, update, workload,
};

const OWN: &str = "default/hello-1";

/// Holds a service with two endpoints, one with none, one that is denied, and our own workload.
fn full() -> Receiver {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    for name in ["hello", "empty", "denied"] {
        receiver.ask(name);
    }
    receiver.update(services(&[
        ("hello", &service("hello", &[80])),
        ("empty", &service("empty", &[80])),
    ]));
    receiver.update(endpoints(&[&endpoint("a"), &endpoint("b")]));
    receiver.update(removed(type_url::ENDPOINT, &["empty.default.svc.cluster.local/*"]));
    receiver.update(removed(type_url::SERVICE, &["denied"]));
    receiver.update(update(type_url::WORKLOAD, vec![added(OWN, &workload())], &[]));
    receiver
}

#[test]
fn what_is_kept_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = LastGoodFile::new(&dir.path().join("proxy"));
    assert!(file.read().unwrap().is_none());
    let kept = LastGood::of(&full(), "default");
    file.write(&kept).unwrap();
    file.write(&kept).unwrap();
    let mode = fs::metadata(file.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let names = fs::read_dir(dir.path().join("proxy")).unwrap().count();
    assert_eq!(names, 1, "no temporary file is left");

    let read = file.read().unwrap().unwrap();
    assert_eq!(read, kept);
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    assert!(read.restore(&mut receiver, Some(OWN)).is_empty());
    let snapshot = receiver.snapshot();
    let hello = snapshot.find("hello").unwrap();
    assert_eq!((&*hello.host, hello.cluster(80).unwrap().endpoints().len()), (HELLO, 2));
    assert!(snapshot.find("empty").unwrap().cluster(80).unwrap().endpoints().is_empty());
    assert!(snapshot.answer("denied").is_none(), "only what is there is kept");
    assert_eq!(snapshot.inbound().find(HELLO, 80).unwrap().target_port, 8080);
    assert_eq!(LastGood::of(&receiver, "default"), kept);
}

#[test]
fn what_is_kept_is_checked_like_an_update() {
    let mut kept = LastGood::of(&full(), "default");
    kept.endpoints[0].body = Bytes::from_static(b"\xff");
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    let refused = kept.restore(&mut receiver, None);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].name, format!("{HELLO}/a"));
    let snapshot = receiver.snapshot();
    assert_eq!(snapshot.find("hello").unwrap().cluster(80).unwrap().endpoints().len(), 1);
    assert!(snapshot.inbound().ports.is_empty(), "it was another workload's");
    assert!(receiver.endpoints().all(|it| it.name != refused[0].name), "its version is not held");
}

#[test]
fn a_damaged_file_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let file = LastGoodFile::new(dir.path());
    file.write(&LastGood::of(&full(), "default")).unwrap();
    let whole = fs::read(file.path()).unwrap();
    let flipped = |at: usize| {
        let mut content = whole.clone();
        content[at] ^= 1;
        content
    };
    for content in [
        Vec::new(),
        b"garbage".to_vec(),
        whole[..25].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped(0),
        flipped(22),
        flipped(whole.len() / 2),
    ] {
        fs::write(file.path(), &content).unwrap();
        let message = file.read().unwrap_err().to_string();
        assert!(
            message.contains("is damaged") && message.contains("last-good.corrupt"),
            "{message}"
        );
        assert_eq!(fs::read(dir.path().join("last-good.corrupt")).unwrap(), content);
        assert!(file.read().unwrap().is_none());
    }
}

#[test]
fn what_cannot_be_written_is_told_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, b"").unwrap();
    let file = LastGoodFile::new(&blocked);
    let message = file.write(&LastGood::default()).unwrap_err().to_string();
    assert!(message.contains("file/last-good.bin"), "{message}");
    assert!(file.read().is_err());
}
