//! Workloads come into the registry, and leave it in order or at once.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use meltemi_wire::registration::GroupNews;
use serde_json::{Value, json};

use crate::mesh::{Mesh, registered, soon};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";
const GROUPS: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadgroups";

#[tokio::test]
async fn a_registration_makes_a_service_an_entry_and_an_endpoint() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    registered(&hello).await;

    let (status, service) = mesh.api(Method::GET, &format!("{SERVICES}/hello"), &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{service}");
    assert_eq!(service["spec"]["ports"][0]["port"], 80);
    let (status, entry) = mesh.api(Method::GET, &format!("{ENTRIES}/hello-1"), &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{entry}");
    assert_eq!(entry["spec"]["serviceAccount"], "hello");

    hello.set_ready(false, "the application does not answer");
    web.loses("hello-1").await;
    hello.set_ready(true, "");
    web.sees("hello-1").await;
}

#[tokio::test]
async fn a_drain_waits_for_every_proxy_that_knew_the_workload() {
    let mesh = Mesh::start().await;
    let member = mesh.member("web").await;
    let mut subscribers = [member.subscribe("web"), member.subscribe("web")];
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    for subscriber in &mut subscribers {
        subscriber.sees("hello-1").await;
    }
    let drained = soon("the drain", hello.drain()).await.unwrap();
    assert_eq!((drained.acknowledged, drained.gone), (2, 0));
    for subscriber in &mut subscribers {
        let told = subscriber.pending();
        let removed = told.iter().any(|it| it.removed.iter().any(|name| name.ends_with("hello-1")));
        assert!(removed, "told before the drain was answered: {told:?}");
    }
    let path = format!("{ENTRIES}/hello-1");
    assert_eq!(mesh.api(Method::GET, &path, &Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_endpoint_goes_with_its_stream() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    let began = Instant::now();
    drop(hello);
    web.loses("hello-1").await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// A proxy that hangs keeps its connection, but answers no ping: its thread is blocked.
#[tokio::test]
async fn a_proxy_that_hangs_is_noticed() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    let member = mesh.member("hello").await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (hang, hanging) = tokio::sync::oneshot::channel::<()>();
    let proxy = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let _hello = member.register("hello-1", "127.0.0.1");
            hanging.await.unwrap();
            // On purpose in the way of the runtime.
            let _ = released.recv();
        });
    });
    web.sees("hello-1").await;
    let began = Instant::now();
    hang.send(()).unwrap();
    web.loses("hello-1").await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(release);
    proxy.join().unwrap();
}

fn group(weight: u32, account: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadGroup",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "metadata": {"labels": {"app": "hello"}, "annotations": {"note": "x"}},
            "template": {
                "ports": {"http": 8080}, "locality": "eu/a", "weight": weight,
                "serviceAccount": account,
            },
            "probe": {"periodSeconds": 7, "tcpSocket": {"port": 8080}},
        },
    })
}

#[tokio::test]
async fn a_member_takes_what_its_group_says_and_follows_its_changes() {
    let mesh = Mesh::start().await;
    let (hello, mut news) = mesh.member("hello").await.join("web", "hello-1");
    let refused = |news: &GroupNews| news.as_ref().is_err_and(|reason| !reason.is_empty());
    let reason = soon("the refusal", news.wait_for(refused)).await.unwrap().clone().unwrap_err();
    for part in ["WorkloadGroup `web`", "namespace `default`", "meltemi apply"] {
        assert!(reason.contains(part), "{reason}");
    }

    let (status, answer) = mesh.api(Method::POST, GROUPS, &group(3, "hello")).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    registered(&hello).await;
    let told = soon("the group", news.wait_for(Result::is_ok)).await.unwrap().clone().unwrap();
    assert_eq!((&*told.ports, told.probe.unwrap().period_seconds), (&[8080][..], 7));
    let path = format!("{ENTRIES}/hello-1");
    let (status, entry) = mesh.api(Method::GET, &path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{entry}");
    let annotations = &entry["metadata"]["annotations"];
    assert_eq!(annotations["istio.io/autoRegistrationGroup"], "web");
    assert_eq!(annotations["note"], "x");
    assert_eq!(entry["spec"]["labels"]["app"], "hello");
    assert_eq!(entry["spec"]["ports"], json!({"http": 8080}));
    assert_eq!((&entry["spec"]["weight"], &entry["spec"]["locality"]), (&json!(3), &json!("eu/a")));

    // A change reaches the member while its health stays what its sidecar has said.
    hello.set_ready(false, "not now");
    let mut changed = group(5, "hello");
    changed["spec"]["template"]["ports"] = json!({"http": 9090});
    let (status, answer) = mesh.api(Method::PUT, &format!("{GROUPS}/web"), &changed).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let is_new = |news: &GroupNews| news.as_ref().is_ok_and(|group| group.ports == [9090]);
    drop(soon("the new group", news.wait_for(is_new)).await.unwrap());
    let (_, entry) = mesh.api(Method::GET, &path, &Value::Null).await;
    assert_eq!(entry["spec"]["weight"], 5, "{entry}");
    assert_eq!(entry["status"]["conditions"][0]["status"], "False", "{entry}");

    // It is nobody's group any longer that has not proved to be of its service account.
    let (status, answer) =
        mesh.api(Method::PUT, &format!("{GROUPS}/web"), &group(5, "other")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let mut standing = hello.registered();
    soon("the end of the membership", standing.wait_for(|standing| !standing)).await.unwrap();
}

#[tokio::test]
async fn a_member_must_be_of_the_service_account_of_its_group() {
    let mesh = Mesh::start().await;
    let (status, answer) = mesh.api(Method::POST, GROUPS, &group(1, "other")).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let (hello, mut news) = mesh.member("hello").await.join("web", "hello-1");
    let refused = |news: &GroupNews| news.as_ref().is_err_and(|reason| !reason.is_empty());
    let reason = soon("the refusal", news.wait_for(refused)).await.unwrap().clone().unwrap_err();
    assert!(reason.contains("--service-account other"), "{reason}");
    assert!(!*hello.registered().borrow());
}
