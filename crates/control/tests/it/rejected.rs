//! What is set aside is told, with the reason.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::get;
use crate::mesh::Mesh;

const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/serviceentries";
const REJECTED: &str = "/meltemi/v1/rejected";

fn entry(name: &str, host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": name},
        "spec": {
            "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "DNS",
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        },
    })
}

impl Mesh {
    /// What is set aside as of the version of an object.
    async fn rejected(&self, seen: &Value) -> Value {
        let version = seen["metadata"]["resourceVersion"].as_str().unwrap();
        let path = format!("{REJECTED}?resourceVersion={version}");
        let (status, rejected) = self.api(Method::GET, &path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{rejected}");
        rejected
    }

    async fn made(&self, object: &Value) -> Value {
        let (status, made) = self.api(Method::POST, ENTRIES, object).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }
}

#[tokio::test]
async fn who_wrote_the_second_claim_to_a_host_hears_of_it_at_once() {
    let mesh = Mesh::start().await;
    let first = mesh.made(&entry("first", "api.example.com")).await;
    assert_eq!(mesh.rejected(&first).await, json!([]));
    let second = mesh.made(&entry("second", "api.example.com")).await;
    let rejected = mesh.rejected(&second).await;
    let reason = rejected[0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("api.example.com") && reason.contains("ServiceEntry default/first"),
        "{rejected}"
    );
    let told = json!([
        {"kind": "ServiceEntry", "namespace": "default", "name": "second", "reason": reason},
    ]);
    assert_eq!(rejected, told);

    let path = format!("{ENTRIES}/first");
    assert_eq!(mesh.api(Method::DELETE, &path, &Value::Null).await.0, StatusCode::OK);
    let third = mesh.made(&entry("third", "other.example.com")).await;
    assert_eq!(mesh.rejected(&third).await, json!([]), "the host is the second one's now");
}

#[tokio::test]
async fn strangers_and_those_from_the_future_are_told_nothing() {
    let mesh = Mesh::start().await;
    let api = mesh.plane.addresses().api;
    assert_eq!(get(api, REJECTED).await.0, StatusCode::UNAUTHORIZED);
    let path = format!("{REJECTED}?resourceVersion=999999");
    let (status, told) = mesh.api(Method::GET, &path, &Value::Null).await;
    assert_eq!((status, &told["reason"]), (StatusCode::GATEWAY_TIMEOUT, &json!("Timeout")));
    let path = format!("{REJECTED}?resourceVersion=x");
    assert_eq!(mesh.api(Method::GET, &path, &Value::Null).await.0, StatusCode::BAD_REQUEST);
}
