//! Watch: what is there, what comes, where to resume, and when it ends.

use http::StatusCode;
use meltemi_apiserver::Closing;
use serde_json::{Value, json};

use crate::server::{SERVICES, Server, service};

async fn version(server: &Server) -> String {
    let (_, list) = server.get(SERVICES).await;
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

async fn relabel(server: &Server, name: &str, label: &str) {
    let patch = json!({"metadata": {"labels": {"team": label}}});
    let path = format!("{SERVICES}/{name}");
    let (status, answer) =
        server.call(http::Method::PATCH, &path, "application/merge-patch+json", patch).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn changes_arrive_in_order() {
    let server = Server::start().await;
    let from = version(&server).await;
    let mut lines = server.watch(&format!("{SERVICES}?watch=1&resourceVersion={from}")).await;
    server.create(SERVICES, &service("a", "x")).await;
    relabel(&server, "a", "y").await;
    server.delete(&format!("{SERVICES}/a")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    let modified = lines.next().await.unwrap();
    assert_eq!(
        (&modified["type"], &modified["object"]["metadata"]["labels"]["team"]),
        (&json!("MODIFIED"), &json!("y"))
    );
    assert_eq!(lines.event().await, pair("DELETED", "a"));

    let resumed = modified["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let mut lines = server.watch(&format!("{SERVICES}?watch=true&resourceVersion={resumed}")).await;
    assert_eq!(
        lines.event().await,
        pair("DELETED", "a"),
        "a watch goes on after the version it names"
    );
}

#[tokio::test]
async fn without_a_version_it_begins_with_what_is_there() {
    let server = Server::start().await;
    server.create(SERVICES, &service("a", "x")).await;
    for query in ["watch=1", "watch=1&resourceVersion=0"] {
        let mut lines = server.watch(&format!("{SERVICES}?{query}")).await;
        assert_eq!(lines.event().await, pair("ADDED", "a"));
    }
    let query =
        "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut lines = server.watch(&format!("{SERVICES}?{query}")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_selector_makes_objects_come_and_go() {
    let server = Server::start().await;
    server.create(SERVICES, &service("a", "x")).await;
    let from = version(&server).await;
    let mut lines = server
        .watch(&format!("{SERVICES}?watch=1&resourceVersion={from}&labelSelector=team%3Dy"))
        .await;
    relabel(&server, "a", "y").await;
    server.create(SERVICES, &service("b", "x")).await;
    relabel(&server, "a", "x").await;
    server.delete(&format!("{SERVICES}/a")).await;
    server.create(SERVICES, &service("c", "y")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    assert_eq!(lines.event().await, pair("DELETED", "a"));
    assert_eq!(lines.event().await, pair("ADDED", "c"));
}

#[tokio::test]
async fn unknown_versions_are_gone() {
    let server = Server::start().await;
    for from in ["1".to_owned(), u64::MAX.to_string()] {
        let mut lines = server.watch(&format!("{SERVICES}?watch=1&resourceVersion={from}")).await;
        let error = lines.next().await.unwrap();
        assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
        assert_eq!(error["object"]["reason"], "Expired");
        assert_eq!(lines.next().await, None);
    }
}

#[tokio::test]
async fn it_ends_in_time_and_says_where() {
    let server = Server::start().await;
    let from = version(&server).await;
    let query = format!("watch=1&resourceVersion={from}&timeoutSeconds=1&allowWatchBookmarks=true");
    let mut lines = server.watch(&format!("{SERVICES}?{query}")).await;
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": "elsewhere"}})).await;
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let told: u64 =
        bookmark["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(told > from.parse().unwrap(), "changes elsewhere move the place to resume from");
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn it_ends_with_the_server() {
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let server = Server::start_with(|state| state.with_closing(Closing::on(stopping))).await;
    server.create(SERVICES, &service("a", "x")).await;
    let mut lines = server.watch(&format!("{SERVICES}?watch=1")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    stop.send(true).unwrap();
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn tables_have_one_head() {
    let server = Server::start().await;
    server.create(SERVICES, &service("a", "x")).await;
    server.create(SERVICES, &service("b", "x")).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let path = format!("{SERVICES}?watch=1&timeoutSeconds=1");
    let request = server.request(http::Method::GET, &path).header("accept", accept);
    let response = server.send(request.body(Default::default()).unwrap()).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let tables: Vec<Value> = body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert!(tables[0]["object"]["columnDefinitions"].is_array());
    assert!(tables[1]["object"]["columnDefinitions"].is_null());
}
