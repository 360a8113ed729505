//! Get and list: selectors, pages, versions of a kind, tables.

use http::StatusCode;
use serde_json::{Value, json};

use crate::server::{ROUTES, SERVICES, Server, route, service};

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

async fn with_services(all: &[(&str, &str)]) -> Server {
    let server = Server::start().await;
    for (name, label) in all {
        server.create(SERVICES, &service(name, label)).await;
    }
    server
}

#[tokio::test]
async fn selectors_narrow_a_list() {
    let server = with_services(&[("a", "x"), ("b", "y"), ("c", "x")]).await;
    let cases = [
        ("", vec!["a", "b", "c"]),
        ("?labelSelector=team%3Dx", vec!["a", "c"]),
        ("?labelSelector=team+in+(y,z)", vec!["b"]),
        ("?labelSelector=!team", vec![]),
        ("?fieldSelector=metadata.name%3Db", vec!["b"]),
        ("?fieldSelector=metadata.namespace!%3Ddefault", vec![]),
    ];
    for (query, expected) in cases {
        let (status, list) = server.get(&format!("{SERVICES}{query}")).await;
        assert_eq!((status, &list["kind"]), (StatusCode::OK, &json!("ServiceList")));
        assert_eq!(names(&list), expected, "{query}");
    }
    for bad in ["labelSelector=a%20b", "fieldSelector=spec.x%3D1", "limit=x", "continue=x"] {
        assert_eq!(
            server.get(&format!("{SERVICES}?{bad}")).await.0,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = with_services(&[("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "x")]).await;
    let (_, first) = server.get(&format!("{SERVICES}?limit=2")).await;
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(3))
    );
    let mut token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    server.delete(&format!("{SERVICES}/d")).await;
    let mut rest = Vec::new();
    while !token.is_empty() {
        let (_, page) = server.get(&format!("{SERVICES}?limit=2&continue={token}")).await;
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        rest.extend(names(&page).into_iter().map(str::to_owned));
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(rest, ["c", "e"]);
}

#[tokio::test]
async fn all_namespaces_at_once() {
    let server = with_services(&[("a", "x")]).await;
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}})).await;
    server.create("/api/v1/namespaces/shop/services", &service("b", "x")).await;
    let (_, list) = server.get("/api/v1/services").await;
    assert_eq!(names(&list), ["a", "b"]);
    let (_, list) = server.get("/api/v1/namespaces").await;
    assert_eq!(names(&list), ["default", "istio-system", "shop"]);
}

#[tokio::test]
async fn every_version_of_a_kind_shows_the_same_object() {
    let server = Server::start().await;
    server.create(ROUTES, &route("hello")).await;
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let path = ROUTES.replace("/v1/", &format!("/{version}/"));
        let (status, object) = server.get(&format!("{path}/hello")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(object["apiVersion"], format!("networking.istio.io/{version}"));
    }
    let path = ROUTES.replace("/v1/", "/v1alpha3/");
    let mut old = route("old");
    old["apiVersion"] = json!("networking.istio.io/v1alpha3");
    assert_eq!(server.create(&path, &old).await["apiVersion"], old["apiVersion"]);
    let (_, list) = server.get(ROUTES).await;
    assert!(
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["apiVersion"] == "networking.istio.io/v1")
    );
    assert_eq!(
        server.get(&format!("{}/old", ROUTES.replace("/v1/", "/v9/"))).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn tables_for_people() {
    let server = with_services(&[("a", "x")]).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, table) = server.get_as(SERVICES, accept).await;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Selector", "Age"]
    );
    let cells = &table["rows"][0]["cells"];
    assert_eq!(
        (&cells[0], &cells[1], &cells[4], &cells[5]),
        (&json!("a"), &json!("ClusterIP"), &json!("80/TCP"), &json!("app=a"))
    );
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let (_, table) = server.get_as(&format!("{SERVICES}/a?includeObject=Object"), accept).await;
    assert_eq!(table["rows"][0]["object"]["kind"], "Service");
    let (_, list) = server
        .get_as(SERVICES, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        .await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0].get("spec").is_none());
    assert_eq!(server.get_as(SERVICES, "text/html").await.0, StatusCode::NOT_ACCEPTABLE);
}
