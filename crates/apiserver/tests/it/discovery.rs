//! The documents by which clients find their way.

use http::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn groups_versions_and_kinds() {
    let server = Server::start().await;
    let (_, core) = server.get("/api").await;
    assert_eq!(core["versions"], json!(["v1"]));
    let (_, groups) = server.get("/apis").await;
    let networking = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["name"] == "networking.istio.io")
        .unwrap();
    assert_eq!(networking["preferredVersion"]["groupVersion"], "networking.istio.io/v1");
    let (_, group) = server.get("/apis/networking.istio.io").await;
    assert_eq!((&group["kind"], &group["versions"]), (&json!("APIGroup"), &networking["versions"]));

    for version in networking["versions"].as_array().unwrap() {
        let path = format!("/apis/{}", version["groupVersion"].as_str().unwrap());
        let (status, list) = server.get(&path).await;
        assert_eq!((status, &list["groupVersion"]), (StatusCode::OK, &version["groupVersion"]));
        let resources = list["resources"].as_array().unwrap();
        let route = resources.iter().find(|resource| resource["name"] == "virtualservices");
        assert_eq!(route.map(|route| &route["shortNames"]), Some(&json!(["vs"])), "{path}");
    }
    let (_, core) = server.get("/api/v1").await;
    let names: Vec<_> =
        core["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert!(
        ["services", "services/status", "namespaces", "secrets"]
            .iter()
            .all(|name| names.contains(name)),
        "{names:?}"
    );
    for path in ["/apis/nothing.io", "/apis/networking.istio.io/v7", "/apis/nothing.io/v1/things"] {
        let (status, failure) = server.get(path).await;
        assert_eq!((status, &failure["kind"]), (StatusCode::NOT_FOUND, &json!("Status")), "{path}");
    }
    let (_, version) = server.get("/version").await;
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1."));
    assert_eq!(server.get("/readyz").await.0, StatusCode::OK);
}

/// Every reference in an OpenAPI document points to something in it.
fn check_references(root: &Value, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("references stay in the document");
                assert!(root.pointer(pointer).is_some(), "{reference} points nowhere");
            }
            map.values().for_each(|value| check_references(root, value));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(root, value)),
        _ => {}
    }
}

/// Clients that were generated from Kubernetes' OpenAPI document ask with a slash at the end.
#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let server = Server::start().await;
    for path in ["/version", "/api", "/api/v1", "/apis", "/apis/networking.istio.io"] {
        let plain = server.get(path).await;
        assert_eq!(plain.0, StatusCode::OK, "{path}");
        assert_eq!(server.get(&format!("{path}/")).await, plain, "{path}/");
    }
}

#[tokio::test]
async fn openapi_documents_hold_together() {
    let server = Server::start().await;
    let (_, v2) = server.get("/openapi/v2").await;
    assert_eq!(v2["swagger"], "2.0");
    check_references(&v2, &v2);
    let (_, index) = server.get("/openapi/v3").await;
    for (path, place) in index["paths"].as_object().unwrap() {
        let (status, v3) = server.get(place["serverRelativeURL"].as_str().unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!v3["components"]["schemas"].as_object().unwrap().is_empty());
        check_references(&v3, &v3);
    }
    assert_eq!(server.get("/openapi/v3/apis/nothing/v1").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_kind_is_served_in_each_of_its_own_versions() {
    let server = Server::start().await;
    let group = "gateway.networking.k8s.io";
    let spec = json!({"from": [{"group": group, "kind": "TCPRoute", "namespace": "shop"}], "to": [{"group": "", "kind": "Service"}]});
    let route = json!({"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]});
    for (plural, kind, versions, spec) in [
        ("referencegrants", "ReferenceGrant", &["v1beta1", "v1", "v1alpha2"][..], spec),
        ("tcproutes", "TCPRoute", &["v1alpha2", "v1"], route),
    ] {
        for version in versions {
            let (_, list) = server.get(&format!("/apis/{group}/{version}")).await;
            let resources = list["resources"].as_array().unwrap();
            assert!(resources.iter().any(|it| it["name"] == plural), "{plural} {version}");
            let path = format!("/apis/{group}/{version}/namespaces/default/{plural}");
            let object = json!({"apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": version}, "spec": spec});
            let made = server.create(&path, &object).await;
            assert_eq!(made["apiVersion"], object["apiVersion"]);
            for other in versions {
                let path = format!("/apis/{group}/{other}/namespaces/default/{plural}/{version}");
                let (status, read) = server.get(&path).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                assert_eq!(read["apiVersion"], format!("{group}/{other}"));
            }
        }
    }
}
