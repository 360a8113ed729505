//! Services of a program: found, called, guarded and taken out as those beside sidecars are.

use http::Response;
use http_body_util::Full;
use meltemi_sdk::{Error, Service};
use meltemi_tests::{Mesh, Process, Signal, eventually, test_app};
use tokio::process::Command;

use super::{get, join, saying, says};
use crate::dns::Dig;
use crate::outcomes::told::{Figures, named, outcomes};

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_calls_a_service_of_a_program_until_it_is_dropped() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let greeter = saying("greeter", 8001, "hello").register(&program, [127, 0, 0, 1].into());
    let greeter = greeter.await.expect("registered");
    mesh.api().healthy("default", "greeter", 1).await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    for _ in 0..3 {
        let response = calls.get("http://greeter:8001/").await;
        assert_eq!((response.status, &*response.text()), (200, "hello"));
    }
    drop(greeter);
    mesh.api().healthy("default", "greeter", 0).await;
    eventually("the sidecar has let go of it", async || {
        match calls.get("http://greeter:8001/").await.status {
            503 => Ok(()),
            other => Err(format!("status {other}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_from_the_moment_at_which_it_is_registered() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    for at in 0..20 {
        let name = format!("service-{at}");
        let service = saying(&name, 8001, "here").register(&program, [127, 0, 0, 1].into()).await;
        let _service = service.expect("registered");
        let response = program.call_whole(get(&format!("http://{name}:8001/")), 1024).await;
        assert_eq!(response.expect("an answer").body(), "here");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_follow_a_service_find_each_of_its_instances_once_it_is_registered() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let ip = [127, 0, 0, 1].into();
    let caller = saying("caller", 8000, "").register(&program, ip).await.expect("registered");
    // Asked for before there is one, so that it is known that there was none.
    let missing = program.call_whole(get("http://again:8001/"), 1024).await;
    assert!(matches!(missing, Err(Error::UnknownService(_))), "{missing:?}");
    for round in 0..20 {
        let service = saying("again", 8001, "here").register(&program, ip).await;
        let service = service.expect("registered");
        for name in ["again", "again.default", "again.default.svc.cluster.local"] {
            let uri = format!("http://{name}:8001/");
            let own = program.call_whole(get(&uri), 1024).await;
            assert_eq!(own.expect("an answer").body(), "here", "{name}, round {round}");
            let other = caller.call_whole(get(&uri), 1024).await;
            assert_eq!(other.expect("an answer").body(), "here", "{name}, round {round}");
        }
        match round % 2 {
            0 => service.drain().await,
            _ => service.close().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_is_out_of_the_registry_at_once() {
    let mesh = Mesh::start().await;
    let mut command = Command::new(test_app());
    command.arg("sdk").arg(mesh.state()).args(["greeter", "8001"]);
    let mut killed = Process::start("program", command, mesh.directory());
    assert_eq!(killed.line().await.as_deref(), Some("registered"));
    let program = join(&mesh).await;
    assert_eq!(says(&program, "http://greeter:8001/").await, (200, "greeter".into()));
    killed.kill().await;
    mesh.api().healthy("default", "greeter", 0).await;
}

/// A machine that vanished looks like this: connections stand, and nothing answers. Its lease is its connection's pings, so
/// it is out within 10 s; how long it may take here is what a busy machine takes, and that it was out before it went on.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stands_still_loses_its_lease_and_comes_back() {
    let mesh = Mesh::start().await;
    let Some(dig) = Dig::of(&mesh) else { return };
    let mut command = Command::new(test_app());
    command.arg("sdk").arg(mesh.state()).args(["greeter", "8001"]);
    let mut still = Process::start("program", command, mesh.directory());
    assert_eq!(still.line().await.as_deref(), Some("registered"));
    let program = join(&mesh).await;
    let name = ["greeter.default.svc.cluster.local", "A"];
    let found = async |count| {
        mesh.api().healthy("default", "greeter", count).await;
        eventually("the name server follows", async || {
            let addresses = dig.addresses(&name).await;
            if addresses.len() == count { Ok(()) } else { Err(format!("{addresses:?}")) }
        })
        .await;
    };
    found(1).await;
    assert_eq!(says(&program, "http://greeter:8001/").await, (200, "greeter".into()));
    still.signal(Signal::STOP);
    found(0).await;
    eventually("callers have let go of it", async || {
        match program.call_whole(get("http://greeter:8001/"), 1024).await {
            Err(Error::NoInstance(_) | Error::UnknownService(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    still.signal(Signal::CONT);
    found(1).await;
    eventually("it is called again", async || {
        match program.call_whole(get("http://greeter:8001/"), 1024).await {
            Ok(response) if response.status() == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_the_last_calls_is_told_before_a_program_leaves() {
    // Nobody reports by the clock here.
    let mesh = Mesh::start_with(&["--report-interval", "1h"]).await;
    let _hello = named(&mesh, "hello-1").await;
    let program = join(&mesh).await;
    let one = saying("one", 8001, "").register(&program, [127, 0, 0, 1].into()).await;
    let one = one.expect("registered");
    for _ in 0..3 {
        let response = one.call_whole(get("http://hello/"), 1024).await.expect("an answer");
        assert_eq!(response.status(), 200);
    }
    assert_eq!(says(&program, "http://hello/").await.0, 200);
    // One way to leave each.
    drop(one);
    program.close().await;
    let of = |calls| Figures { calls, ..Figures::default() };
    let expected = [("one-", "hello-1", of(3)), ("program-", "hello-1", of(1))];
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_service_finishes_what_it_has_begun() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let (entered, mut has_entered) = tokio::sync::mpsc::channel(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = Service::new("slow", 8001).handler_fn(move |_| {
        let (entered, mut released) = (entered.clone(), released.clone());
        async move {
            entered.send(()).await.expect("it is waited for");
            drop(released.wait_for(|it| *it).await);
            Response::new(Full::new(bytes::Bytes::from("done")))
        }
    });
    let slow = slow.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    let calling = {
        let program = program.clone();
        tokio::spawn(async move { says(&program, "http://slow:8001/").await })
    };
    assert!(has_entered.recv().await.is_some());
    let draining = tokio::spawn(slow.drain());
    mesh.api().healthy("default", "slow", 0).await;
    assert!(!draining.is_finished(), "a request is under way");
    release.send_replace(true);
    assert_eq!(calling.await.expect("a call"), (200, "done".into()));
    draining.await.expect("it is drained");
}

/// Fields: AuthorizationPolicy spec.rules[].from[].source.principals[]
#[tokio::test(flavor = "multi_thread")]
async fn services_of_one_program_are_told_apart_by_policies() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let home = [127, 0, 0, 1].into();
    let friend = saying("friend", 8001, "").register(&program, home).await.expect("registered");
    let stranger = saying("stranger", 8002, "").register(&program, home).await.expect("registered");
    let vault = saying("vault", 8003, "open").register(&program, home).await.expect("registered");
    mesh.apply(
        r"
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: vault }
spec:
  selector: { matchLabels: { app: vault } }
  rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/friend] } }] }]
",
    )
    .await;
    eventually("the policy is in effect", async || {
        let denied = stranger.call_whole(get("http://vault:8003/"), 1024).await;
        match denied.expect("an answer").status().as_u16() {
            403 => Ok(()),
            other => Err(format!("status {other}")),
        }
    })
    .await;
    let response = friend.call_whole(get("http://vault:8003/"), 1024).await.expect("an answer");
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"open"[..]));
    assert_ne!(friend.inbound(), vault.inbound());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_handler_is_the_application_on_its_port() {
    let mesh = Mesh::start().await;
    let app = meltemi_tests::HttpApp::start("app-1").await;
    let program = join(&mesh).await;
    let service = Service::new("app", app.port()).label("version", "v1");
    let _service = service.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    let uri = format!("http://app:{}/echo", app.port());
    assert_eq!(says(&program, &uri).await.0, 200);
    assert_eq!(app.requests(), 1);
}
