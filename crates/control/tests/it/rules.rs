//! Virtual services, destination rules and sidecars on their way to proxies.

use http::{Method, StatusCode};
use meltemi_wire::delta::client::Update;
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::type_url::{SERVICE, WORKLOAD};
use prost::Message;
use serde_json::{Value, json};

use crate::mesh::{HELLO, Mesh, Subscriber, registered};

const NETWORKING: &str = "/apis/networking.istio.io/v1/namespaces/default";

impl Mesh {
    async fn apply(&self, plural: &str, kind: &str, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "networking.istio.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        });
        let (status, told) =
            self.api(Method::POST, &format!("{NETWORKING}/{plural}"), &object).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
    }

    async fn delete(&self, plural: &str, name: &str) {
        let path = format!("{NETWORKING}/{plural}/{name}");
        assert_eq!(self.api(Method::DELETE, &path, &Value::Null).await.0, StatusCode::OK);
    }
}

impl Subscriber {
    /// Waits for an update of a resource, and answers with its message; `None` if it is gone.
    async fn hears<M: Message + Default>(&mut self, kind: &str, name: &str) -> Option<M> {
        loop {
            let Update { type_url, added, removed, .. } = self.next().await;
            if type_url != kind {
                continue;
            }
            if let Some(added) = added.iter().find(|added| added.name == name) {
                return Some(M::decode(&*added.body).unwrap());
            }
            if removed.iter().any(|removed| removed == name) {
                return None;
            }
        }
    }

    async fn hears_service(&mut self, name: &str) -> Option<v1::Service> {
        self.hears(SERVICE, name).await
    }
}

/// The rules of a message by name.
fn names(rules: &[Vec<u8>]) -> Vec<String> {
    let rules = rules.iter().map(|rule| serde_json::from_slice::<Value>(rule).unwrap());
    rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rules_travel_with_the_service_that_they_are_for() {
    let mesh = Mesh::start().await;
    let provider = mesh.member("hello").await;
    let hello = provider.register("hello-1", "127.0.0.1");
    registered(&hello).await;
    let mut web = mesh.member("web").await.subscribe("web");
    let service = web.hears_service(HELLO).await.unwrap();
    assert!(service.virtual_services.is_empty() && service.destination_rules.is_empty());

    let to_v1 = json!([{"route": [{"destination": {"host": "hello", "subset": "v1"}}]}]);
    let spec = json!({"hosts": ["hello"], "http": to_v1});
    mesh.apply("virtualservices", "VirtualService", "canary", spec).await;
    let service = web.hears_service(HELLO).await.unwrap();
    assert_eq!(names(&service.virtual_services), ["canary"]);
    let rule: Value = serde_json::from_slice(&service.virtual_services[0]).unwrap();
    let to = &rule["http"][0]["action"]["route"][0]["destination"];
    assert_eq!(*to, json!({"host": HELLO, "subset": "v1"}));

    let spec = json!({"host": "hello", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]});
    mesh.apply("destinationrules", "DestinationRule", "versions", spec).await;
    let service = web.hears_service(HELLO).await.unwrap();
    assert_eq!(names(&service.destination_rules), ["versions"]);
    assert_eq!(names(&service.virtual_services), ["canary"]);

    mesh.delete("virtualservices", "canary").await;
    let service = web.hears_service(HELLO).await.unwrap();
    assert!(service.virtual_services.is_empty());
}

#[tokio::test]
async fn a_host_that_only_a_virtual_service_names_is_answered_for() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    web.handle.subscribe(SERVICE, "shop.example.com");
    assert!(web.hears_service("shop.example.com").await.is_none());
    let to = json!([{"route": [{"destination": {"host": "hello"}}]}]);
    let spec = json!({"hosts": ["*.example.com"], "http": to});
    mesh.apply("virtualservices", "VirtualService", "shop", spec).await;
    let service = web.hears_service("shop.example.com").await.unwrap();
    assert_eq!((service.host.as_str(), service.r#virtual), ("*.example.com", true));
    assert_eq!(names(&service.virtual_services), ["shop"]);
    mesh.delete("virtualservices", "shop").await;
    assert!(web.hears_service("shop.example.com").await.is_none());
}

#[tokio::test]
async fn a_service_entry_is_seen_where_it_is_exported_to() {
    let mesh = Mesh::start().await;
    let mut web = mesh.member("web").await.subscribe("web");
    web.handle.subscribe(SERVICE, "api.example.com");
    assert!(web.hears_service("api.example.com").await.is_none());
    let spec = |to: &str| {
        json!({
            "hosts": ["api.example.com"], "exportTo": [to], "location": "MESH_EXTERNAL",
            "resolution": "DNS", "subjectAltNames": ["api.example.com"],
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        })
    };
    mesh.apply("serviceentries", "ServiceEntry", "hidden", spec("other")).await;
    mesh.delete("serviceentries", "hidden").await;
    mesh.apply("serviceentries", "ServiceEntry", "seen", spec(".")).await;
    let service = web.hears_service("api.example.com").await.unwrap();
    assert_eq!(service.subject_alt_names, ["api.example.com"]);
    assert!(service.addresses[0].starts_with("240.240."), "{:?}", service.addresses);
}

#[tokio::test]
async fn a_sidecar_hides_what_it_does_not_name_and_tells_its_workload_the_rest() {
    let mesh = Mesh::start().await;
    let provider = mesh.member("hello").await;
    let hello = provider.register("hello-1", "127.0.0.1");
    registered(&hello).await;
    let mut own = provider.subscribe("hello-1");
    own.handle.subscribe(WORKLOAD, "default/hello-1");
    let workload: v1::Workload = own.hears(WORKLOAD, "default/hello-1").await.unwrap();
    assert_eq!((workload.labels["app"].as_str(), workload.sidecar), ("hello", None));
    let mut web = mesh.member("web").await.subscribe("web");
    assert!(web.hears_service(HELLO).await.is_some());

    let spec = json!({
        "workloadSelector": {"labels": {"app": "hello"}},
        "egress": [{"hosts": ["other/*"]}],
        "ingress": [{"port": {"number": 8001, "protocol": "HTTP", "name": "http"}, "defaultEndpoint": "127.0.0.1:9001"}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    });
    mesh.apply("sidecars", "Sidecar", "hello", spec).await;
    let workload: v1::Workload = own.hears(WORKLOAD, "default/hello-1").await.unwrap();
    let sidecar = workload.sidecar.unwrap();
    assert_eq!(sidecar.name, "default/hello");
    assert_eq!(sidecar.outbound_mode(), v1::OutboundMode::RegistryOnly);
    assert_eq!(sidecar.ingress[0].default_endpoint, "127.0.0.1:9001");

    let spec = json!({"egress": [{"hosts": ["other/*"]}]});
    mesh.apply("sidecars", "Sidecar", "default", spec).await;
    assert!(web.hears_service(HELLO).await.is_none(), "it is not of the namespace `other`");
    mesh.delete("sidecars", "default").await;
    assert!(web.hears_service(HELLO).await.is_some());
}
