//! Workloads come into the registry, and leave it in order or at once.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::Value;

use crate::mesh::{Mesh, registered, soon};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";

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
