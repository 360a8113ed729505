//! Workloads come into the registry, and leave it in order or at once.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use meltemi_wire::proto::meltemi::v1::register_request::Kind;
use meltemi_wire::proto::meltemi::v1::registration_client::RegistrationClient;
use meltemi_wire::proto::meltemi::v1::{RegisterRequest, RegisteredWorkload};
use meltemi_wire::registration::{GroupNews, Registrar};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::mesh::{Member, Mesh, registered, soon};

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

/// Waits until an object is there, or is not.
async fn is_there(mesh: &Mesh, path: &str, expected: bool) -> Value {
    let asked = async {
        loop {
            let (status, object) = mesh.api(Method::GET, path, &Value::Null).await;
            if status.is_success() == expected {
                return object;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(path, asked).await
}

#[tokio::test]
async fn what_is_deleted_under_a_sidecar_that_is_there_comes_back() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    registered(&hello).await;
    web.sees("hello-1").await;
    let (entry, service) = (format!("{ENTRIES}/hello-1"), format!("{SERVICES}/hello"));
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    for path in [&entry, &entry, &service] {
        let first = is_there(&mesh, path, true).await;
        let (status, answer) = mesh.api(Method::DELETE, path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        web.loses("hello-1").await;
        web.sees("hello-1").await;
        assert_ne!(uid(&is_there(&mesh, path, true).await), uid(&first), "{path}");
    }
    assert!(*hello.registered().borrow(), "its stream stood all along");

    // What leaves in order is not brought back.
    soon("the drain", hello.drain()).await.unwrap();
    let next = mesh.member("hello").await.register("hello-2", "127.0.0.1");
    registered(&next).await;
    web.sees("hello-2").await;
    is_there(&mesh, &entry, false).await;
}

fn start(
    member: &Member,
    instance: &str,
    address: &str,
) -> (Registrar, watch::Receiver<GroupNews>) {
    let workload =
        RegisteredWorkload { instance: instance.into(), ..member.workload("hello-1", address) };
    let (told, news) = watch::channel(Err(String::new()));
    (Registrar::start(member.channel(), workload, told), news)
}

#[tokio::test]
async fn a_name_is_its_sidecars_as_long_as_it_answers() {
    let mesh = Mesh::start().await;
    let (one, other) = (mesh.member("hello").await, mesh.member("hello").await);
    let (first, _news) = start(&one, "a", "127.0.0.1");
    registered(&first).await;
    let (second, mut news) = start(&other, "b", "127.0.0.2");
    let refused = |news: &GroupNews| news.as_ref().is_err_and(|reason| !reason.is_empty());
    let reason = soon("the refusal", news.wait_for(refused)).await.unwrap().clone().unwrap_err();
    for part in ["default/hello-1", "from 127.0.0.1", "another --name"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(*first.registered().borrow() && !*second.registered().borrow());

    // The same sidecar comes back by another connection before its first one is missed.
    let (again, _news) = start(&one, "a", "127.0.0.1");
    registered(&again).await;
    drop((first, again));
    registered(&second).await;
}

/// Its connection stands, but nobody answers any longer.
#[tokio::test]
async fn a_name_of_who_does_not_answer_is_the_next_ones() {
    let mesh = Mesh::start().await;
    let member = mesh.member("hello").await;
    let workload =
        RegisteredWorkload { instance: "a".into(), ..member.workload("hello-1", "127.0.0.1") };
    let (requests, stream) = mpsc::channel(1);
    requests.send(RegisterRequest { kind: Some(Kind::Workload(workload)) }).await.unwrap();
    let mut service = RegistrationClient::new(member.channel());
    let silent = service.register(ReceiverStream::new(stream)).await.unwrap().into_inner();
    is_there(&mesh, &format!("{ENTRIES}/hello-1"), true).await;
    let (second, _news) = start(&member, "b", "127.0.0.2");
    registered(&second).await;
    drop((requests, silent));
}
