//! What subscribers hear of changes.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use meltemi_wire::delta::Connection;
use meltemi_wire::transport::plaintext_channel;
use serde_json::{Value, json};

use crate::mesh::{HELLO, Mesh, Subscriber, registered, soon};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";

#[tokio::test]
async fn a_change_reaches_ten_subscribers_at_once_and_alone() {
    let mesh = Mesh::start().await;
    let member = mesh.member("web").await;
    let provider = mesh.member("hello").await;
    let first = provider.register("hello-1", "127.0.0.1");
    registered(&first).await;
    let mut subscribers: Vec<Subscriber> = (0..10).map(|_| member.subscribe("web")).collect();
    for subscriber in &mut subscribers {
        subscriber.sees("hello-1").await;
    }
    subscribers.iter_mut().for_each(|subscriber| drop(subscriber.pending()));

    let began = Instant::now();
    assert_eq!(mesh.api(Method::POST, ENTRIES, &entry()).await.0, StatusCode::CREATED);
    for subscriber in &mut subscribers {
        let update = subscriber.next().await;
        let names: Vec<_> = update.added.iter().map(|added| added.name.as_str()).collect();
        assert_eq!(names, [format!("{HELLO}/vm-1")], "only what changed");
        assert!(update.removed.is_empty());
    }
    // A few milliseconds; the rest is for machines with other work.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A workload of the service `hello` that has no proxy.
fn entry() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": "vm-1"},
        "spec": {"address": "127.0.0.9", "labels": {"app": "hello"}, "ports": {"http": 9000}},
    })
}

#[tokio::test]
async fn members_alone_may_follow_over_tls() {
    let mesh = Mesh::start().await;
    let stranger = Subscriber::start(mesh.stranger(), "stranger");
    let mut state = stranger.handle.state();
    let refused = state.wait_for(|state| match state {
        Connection::Disconnected { reason, .. } => reason.contains("client certificate"),
        Connection::Connected { .. } => false,
    });
    soon("a refusal", refused).await.unwrap();
}

#[tokio::test]
async fn plaintext_readers_see_services_and_endpoints() {
    let mesh = Mesh::start().await;
    let provider = mesh.member("hello").await;
    let _hello = provider.register("hello-1", "127.0.0.1");
    let xds = mesh.plane.addresses().xds.unwrap().to_string().parse().unwrap();
    let mut reader = Subscriber::start(plaintext_channel(&xds), "reader");
    reader.sees("hello-1").await;
}

#[tokio::test]
async fn a_bad_resource_does_not_hold_up_a_good_one() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    web.connected(true).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello"},
        "spec": {"selector": {"app": "hello"}, "ports": [{"name": "http", "port": 80}]},
    });
    assert_eq!(mesh.api(Method::POST, SERVICES, &service).await.0, StatusCode::CREATED);
    let mut wrong = service.clone();
    wrong["metadata"]["name"] = "wrong".into();
    wrong["spec"]["ports"][0]["port"] = 70_000.into();
    let (status, told) = mesh.api(Method::POST, SERVICES, &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
    assert_eq!(mesh.api(Method::POST, ENTRIES, &entry()).await.0, StatusCode::CREATED);
    web.sees("vm-1").await;
    let path = format!("{ENTRIES}/vm-1");
    assert_eq!(mesh.api(Method::DELETE, &path, &Value::Null).await.0, StatusCode::OK);
    web.loses("vm-1").await;
}
