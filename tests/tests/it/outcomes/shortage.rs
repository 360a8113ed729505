//! A caller that has no descriptor left for a connection: that is not its endpoints' fault.

use meltemi_tests::{Mesh, Sidecar};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::told::{Figures, named, outcomes};

/// Lets a process open nothing more, until the limit that is returned is given back to it.
fn exhaust(pid: Pid) -> Rlimit {
    let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
    // A socket's entry is a link to nowhere.
    let is_free = |number: &u64| std::fs::symlink_metadata(format!("{path}/{number}")).is_err();
    let before = rustix::process::getrlimit(Resource::Nofile);
    let first_free = (0..).find(is_free);
    let limit = Rlimit { current: first_free, maximum: before.maximum };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap()
}

fn pid(sidecar: &Sidecar) -> Pid {
    i32::try_from(sidecar.pid()).ok().and_then(Pid::from_raw).expect("a process has an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_not_charged_with_what_its_caller_lacks() {
    let mesh = Mesh::start().await;
    let hello = [named(&mesh, "hello-1").await, named(&mesh, "hello-2").await];
    let caller = mesh.workload("caller").proxy().await;
    // A connection of the caller's application that stands before, as it takes a descriptor.
    let mut http = caller.http().await;
    assert_ne!(http.call("GET", "http://nobody/", &[], b"").await.status, 200);
    let before = exhaust(pid(&caller));
    for _ in 0..12 {
        let answer = http.call("GET", "http://hello/", &[], b"").await;
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("after 1 attempts"), "{}", answer.text());
        assert!(answer.text().contains("Too many open files"), "{}", answer.text());
    }
    prlimit(Some(pid(&caller)), Resource::Nofile, before).unwrap();
    for _ in 0..20 {
        assert_eq!(http.call("GET", "http://hello/", &[], b"").await.status, 200);
    }
    assert_eq!(hello.each_ref().map(|(app, _)| app.requests()), [10, 10], "none is ejected");
    let figures = Figures { calls: 10, ..Figures::default() };
    let each = [("caller", "hello-1", figures), ("caller", "hello-2", figures)];
    outcomes(&mesh, "service=hello&window=1h", &each).await;
}
