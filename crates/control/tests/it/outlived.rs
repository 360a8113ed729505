//! What stands by a certificate ends with it.

use std::time::{Duration, SystemTime};

use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use meltemi_identity::serial_of_pem;
use serde_json::{Value, json};

use crate::http::{open_as, request};
use crate::mesh::{Member, Mesh, registered, soon};

const REVOCATIONS: &str = "/apis/meltemi.io/v1alpha1/certificaterevocations";
const WATCH: &str = "/api/v1/services?watch=true";
/// For a certificate that is over soon, but not before what it is for has begun.
const SOON: Duration = Duration::from_secs(15);
const HOUR: Duration = Duration::from_secs(3600);

/// Lets a service account read the API.
async fn viewer(mesh: &Mesh, account: &str) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": account},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": account}],
        "roleRef": {"kind": "ClusterRole", "name": "viewer"},
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let (status, answer) = mesh.api(Method::POST, bindings, &binding).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

async fn watch(mesh: &Mesh, member: &Member) -> Response<Incoming> {
    let api = mesh.plane.addresses().api;
    let ask = request(api, Method::GET, WATCH).body(Full::default()).unwrap();
    let response = open_as(&member.identity, api, ask).await;
    assert_eq!(response.status(), StatusCode::OK);
    response
}

/// Waits until nothing more comes.
async fn ended(mut watch: Response<Incoming>) {
    let end = async { while watch.body_mut().frame().await.is_some_and(|it| it.is_ok()) {} };
    soon("the end of the watch", end).await;
}

#[tokio::test]
async fn streams_and_watches_end_with_the_certificate_that_began_them() {
    let mesh = Mesh::start().await;
    viewer(&mesh, "web").await;
    let member = mesh.member_for("web", SOON);
    let over = member.identity.svid().not_after();
    let subscriber = member.subscribe("web");
    subscriber.connected(true).await;
    ended(watch(&mesh, &member).await).await;
    assert!(SystemTime::now() >= over, "it was good still");
    subscriber.connected(false).await;
    assert!(SystemTime::now() >= over, "it was good still");
}

#[tokio::test]
async fn a_workload_whose_certificate_is_over_comes_back_with_the_next_one() {
    let mesh = Mesh::start().await;
    let mut observer = mesh.member("web").await.subscribe("web");
    let provider = mesh.member_for("hello", SOON);
    let first = provider.register("hello-1", "127.0.0.1");
    registered(&first).await;
    observer.sees("hello-1").await;
    provider.identity.replace(mesh.svid("hello", HOUR), mesh.bundle()).unwrap();
    let mut standing = first.registered();
    soon("the end of the stream", standing.wait_for(|it| !*it)).await.unwrap();
    registered(&first).await;
    // What comes of another workload comes after all that was told of the first one.
    let second = provider.register("hello-2", "127.0.0.1");
    registered(&second).await;
    loop {
        let update = observer.next().await;
        let lost = update.removed.iter().find(|name| name.ends_with("/hello-1"));
        assert_eq!(lost, None, "nobody was to lose it");
        if update.added.iter().any(|added| added.name.ends_with("/hello-2")) {
            return;
        }
    }
}

#[tokio::test]
async fn a_revoked_certificate_ends_what_stands_by_it() {
    let mesh = Mesh::start().await;
    viewer(&mesh, "web").await;
    let (member, other) = (mesh.member("web").await, mesh.member("other").await);
    let (subscriber, witness) = (member.subscribe("web"), other.subscribe("other"));
    subscriber.connected(true).await;
    witness.connected(true).await;
    let watch = watch(&mesh, &member).await;
    let serial = serial_of_pem(&member.identity.svid().chain_pem()).unwrap();
    let revocation = json!({
        "apiVersion": "meltemi.io/v1alpha1",
        "kind": "CertificateRevocation",
        "metadata": {"name": "web"},
        "spec": {"serialNumbers": [serial]},
    });
    let (status, answer) = mesh.api(Method::POST, REVOCATIONS, &revocation).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    ended(watch).await;
    subscriber.connected(false).await;
    assert!(witness.handle.state().borrow().is_connected(), "another's stands");
    let path = format!("{REVOCATIONS}/web");
    assert_eq!(mesh.api(Method::DELETE, &path, &Value::Null).await.0, StatusCode::OK);
    subscriber.connected(true).await;
}
