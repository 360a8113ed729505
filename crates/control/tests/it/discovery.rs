//! What subscribers hear of changes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use meltemi_wire::delta::Connection;
use meltemi_wire::transport::plaintext_channel;
use meltemi_wire::type_url::{ENDPOINT, WORKLOAD};
use meltemi_wire::xds::{
    AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, DiscoveryRequest,
};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::Code;

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

/// Envoy and gRPC clients would take silence for a mesh without clusters, and drop those that they have.
#[tokio::test]
async fn clients_of_envoys_resources_are_turned_away_with_a_word() {
    let mesh = Mesh::start().await;
    let xds = mesh.plane.addresses().xds.unwrap().to_string().parse().unwrap();
    let mut client = AggregatedDiscoveryServiceClient::new(plaintext_channel(&xds));
    let type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();

    let asked = DiscoveryRequest { type_url: type_url.clone(), ..DiscoveryRequest::default() };
    let whole = client.stream_aggregated_resources(tokio_stream::iter([asked]));
    let refused = soon("an answer to the state of the world", whole).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("its own sidecars"), "{refused}");

    let asked = DeltaDiscoveryRequest { type_url, ..DeltaDiscoveryRequest::default() };
    let requests = tokio_stream::iter([asked]).chain(tokio_stream::pending());
    let answers = soon("a delta stream", client.delta_aggregated_resources(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    let refused = soon("an answer to the delta", answers.message()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let word = refused.message();
    assert!(word.contains("its own sidecars") && word.contains("v3.Cluster"), "{refused}");
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

/// The endpoints that a subscriber has been told of.
#[derive(Default)]
struct Held(BTreeSet<String>);

impl Held {
    /// Takes one update in; answers with the endpoints that it added and removed.
    async fn next(&mut self, subscriber: &mut Subscriber) -> (Vec<String>, Vec<String>) {
        loop {
            let update = subscriber.next().await;
            if update.type_url != ENDPOINT {
                continue;
            }
            let added: Vec<String> = update.added.into_iter().map(|added| added.name).collect();
            self.0.retain(|name| !update.removed.contains(name));
            self.0.extend(added.iter().cloned());
            return (added, update.removed);
        }
    }

    async fn until(&mut self, subscriber: &mut Subscriber, count: usize) {
        while self.0.len() != count {
            self.next(subscriber).await;
        }
    }
}

#[tokio::test]
async fn clients_of_a_large_service_are_sent_their_subsets() {
    let mesh = Mesh::start().await;
    let member = mesh.member("web").await;
    let service = |annotations: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "hello", "annotations": annotations},
            "spec": {"selector": {"app": "hello"}, "ports": [{"name": "http", "port": 80}]},
        })
    };
    let created = mesh.api(Method::POST, SERVICES, &service(json!({}))).await;
    assert_eq!(created.0, StatusCode::CREATED, "{}", created.1);
    for number in 0..120 {
        let mut entry = entry();
        entry["metadata"]["name"] = format!("vm-{number}").into();
        assert_eq!(mesh.api(Method::POST, ENTRIES, &entry).await.0, StatusCode::CREATED);
    }
    let (mut web, mut shop) = (member.subscribe("web-1"), member.subscribe("shop-1"));
    let (mut of_web, mut of_shop) = (Held::default(), Held::default());
    of_web.until(&mut web, 120).await;
    of_shop.until(&mut shop, 120).await;

    let path = format!("{SERVICES}/hello");
    let few = service(json!({"meltemi.io/endpoint-subset": "19"}));
    let (status, told) = mesh.api(Method::PUT, &path, &few).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
    assert!(told.to_string().contains("`19` is not a number of endpoints"), "{told}");
    let some = service(json!({"meltemi.io/endpoint-subset": "20"}));
    let (status, told) = mesh.api(Method::PUT, &path, &some).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    of_web.until(&mut web, 20).await;
    of_shop.until(&mut shop, 20).await;
    assert_ne!(of_web.0, of_shop.0, "each has its own");

    // What is none of the client's is not told: the next that it hears of is the change after it.
    let number_of = |name: &str| name.rsplit_once('/').unwrap().1.to_owned();
    let none = (0..120).map(|number| format!("vm-{number}"));
    let none = none.map(|name| format!("{HELLO}/{name}")).find(|name| !of_web.0.contains(name));
    let own = of_web.0.first().unwrap().clone();
    for gone in [&none.unwrap(), &own] {
        let path = format!("{ENTRIES}/{}", number_of(gone));
        assert_eq!(mesh.api(Method::DELETE, &path, &Value::Null).await.0, StatusCode::OK);
    }
    let (added, removed) = of_web.next(&mut web).await;
    assert_eq!((added.len(), removed), (1, vec![own]), "{added:?}");
    assert_eq!(of_web.0.len(), 20);

    // The same client on a new connection is sent the same endpoints.
    let (mut again, mut of_again) = (member.subscribe("web-1"), Held::default());
    let (added, removed) = of_again.next(&mut again).await;
    assert_eq!((added.len(), removed.len()), (20, 0));
    assert_eq!(of_again.0, of_web.0);
}

/// What is meant for one workload alone: its policies, its tokens' keys, its secrets.
#[tokio::test]
async fn a_workload_is_described_to_its_own_identity_alone() {
    let mesh = Mesh::start().await;
    let owner = mesh.member("hello").await;
    let registration = owner.register("hello-1", "127.0.0.1");
    registered(&registration).await;
    for (account, is_told) in [("hello", true), ("web", false)] {
        let member = mesh.member(account).await;
        // Who it says to be is no proof.
        let mut subscriber = member.subscribe("hello-1");
        subscriber.handle.subscribe(WORKLOAD, "default/hello-1");
        let answer = loop {
            let update = subscriber.next().await;
            if update.type_url == WORKLOAD {
                break update;
            }
        };
        let added: Vec<_> = answer.added.iter().map(|added| added.name.as_str()).collect();
        match is_told {
            true => assert_eq!(added, ["default/hello-1"]),
            false => assert_eq!((added, answer.removed), (vec![], vec!["default/hello-1".into()])),
        }
    }
}
