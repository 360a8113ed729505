//! The kinds of patch, over the wire.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{ROUTES, SERVICES, Server, route, service};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

async fn patch(server: &Server, path: &str, kind: &str, body: Value) -> (StatusCode, Value) {
    server.call(Method::PATCH, path, kind, body).await
}

#[tokio::test]
async fn each_kind_in_its_way() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    server.create(SERVICES, &service("hello", "a")).await;
    let (_, after) =
        patch(&server, &path, MERGE, json!({"metadata": {"labels": {"team": null, "x": "y"}}}))
            .await;
    assert_eq!(after["metadata"]["labels"], json!({"x": "y"}));
    let operations = json!([{"op": "test", "path": "/spec/ports/0/port", "value": 80}, {"op": "replace", "path": "/spec/ports/0/port", "value": 81}]);
    let (_, after) = patch(&server, &path, JSON, operations.clone()).await;
    assert_eq!(after["spec"]["ports"][0]["port"], 81);
    assert_eq!(
        patch(&server, &path, JSON, operations).await.0,
        StatusCode::BAD_REQUEST,
        "the test fails now"
    );
    let ports = json!({"spec": {"ports": [{"name": "grpc", "port": 90}]}});
    let (_, after) = patch(&server, &path, STRATEGIC, ports).await;
    assert_eq!(
        after["spec"]["ports"].as_array().unwrap().len(),
        2,
        "ports are merged by number: {after}"
    );

    server.create(ROUTES, &route("hello")).await;
    let refused = patch(&server, &format!("{ROUTES}/hello"), STRATEGIC, json!({})).await;
    assert_eq!(refused.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        patch(&server, &path, "text/plain", json!({})).await.0,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn a_patch_may_insist_on_a_version_but_not_on_another_name() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    let made = server.create(SERVICES, &service("hello", "a")).await;
    let mut stale = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "labels": {"n": "1"}}});
    assert_eq!(patch(&server, &path, MERGE, stale.clone()).await.0, StatusCode::OK);
    stale["metadata"]["labels"]["n"] = json!("2");
    assert_eq!(patch(&server, &path, MERGE, stale).await.0, StatusCode::CONFLICT);
    assert_eq!(
        patch(&server, &path, MERGE, json!({"metadata": {"name": "x"}})).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        patch(&server, &path, MERGE, json!({"spec": 7})).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(patch(&server, &path, MERGE, json!(7)).await.0, StatusCode::BAD_REQUEST);
    let nobody = format!("{SERVICES}/nobody");
    assert_eq!(patch(&server, &nobody, MERGE, json!({})).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn concurrent_patches_all_count() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    server.create(SERVICES, &service("hello", "a")).await;
    let patches = (0..4).map(|index| {
        let label = format!("l{index}");
        patch(&server, &path, MERGE, json!({"metadata": {"labels": {label: "1"}}}))
    });
    for (status, answer) in futures_util::future::join_all(patches).await {
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let (_, object) = server.get(&path).await;
    assert_eq!(object["metadata"]["labels"].as_object().unwrap().len(), 5, "{object}");
}

#[tokio::test]
async fn apply_makes_or_merges() {
    let server = Server::start().await;
    let path = format!("{ROUTES}/hello");
    let mut applied = route("hello");
    applied["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    assert_eq!(
        patch(&server, &path, APPLY, applied.clone()).await.0,
        StatusCode::BAD_REQUEST,
        "who applies?"
    );
    let path = format!("{path}?fieldManager=test&force=true");
    let (status, made) = patch(&server, &path, APPLY, applied.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    applied["metadata"]["labels"] = json!({"a": "3"});
    let (status, after) = patch(&server, &path, APPLY, applied).await;
    assert_eq!(
        (status, &after["metadata"]["labels"]),
        (StatusCode::OK, &json!({"a": "3"})),
        "b is no longer applied"
    );
    assert_eq!(after["metadata"]["uid"], made["metadata"]["uid"]);

    let yaml =
        "apiVersion: v1\nkind: Service\nmetadata: {name: y}\nspec:\n  ports:\n  - port: 80\n";
    let path = format!("{SERVICES}/y?fieldManager=test");
    let (status, made) = server.call(Method::PATCH, &path, APPLY, yaml).await;
    assert_eq!(
        (status, &made["spec"]["ports"][0]["port"]),
        (StatusCode::CREATED, &json!(80)),
        "{made}"
    );
}

#[tokio::test]
async fn a_map_that_is_no_longer_applied_keeps_what_others_put_into_it() {
    let server = Server::start().await;
    let plain = format!("{ROUTES}/hello");
    let path = format!("{plain}?fieldManager=test&force=true");
    let mut applied = route("hello");
    let metadata = applied["metadata"].clone();
    applied["metadata"]["labels"] = json!({"mine": "1"});
    patch(&server, &path, APPLY, applied.clone()).await;
    let theirs = json!({"metadata": {"labels": {"theirs": "2"}}});
    assert_eq!(patch(&server, &plain, MERGE, theirs).await.0, StatusCode::OK);
    applied["metadata"] = metadata;
    let (status, after) = patch(&server, &path, APPLY, applied).await;
    assert_eq!(
        (status, &after["metadata"]["labels"]),
        (StatusCode::OK, &json!({"theirs": "2"})),
        "{after}"
    );
}
