//! Create, replace and delete: what Kubernetes makes of metadata, conflicts and bad objects.

use http::StatusCode;
use serde_json::{Value, json};

use crate::server::{ROUTES, SERVICES, Server, route, service};

fn reason(answer: &(StatusCode, Value)) -> (u16, &str) {
    assert_eq!(answer.1["kind"], "Status", "{}", answer.1);
    assert_eq!(answer.1["code"], answer.0.as_u16());
    (answer.0.as_u16(), answer.1["reason"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn create_fills_in_metadata() {
    let server = Server::start().await;
    let made = server.create(SERVICES, &service("hello", "a")).await;
    let metadata = &made["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["generation"]), (&json!("default"), &json!(1)));
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let (status, read) = server.get(&format!("{SERVICES}/hello")).await;
    assert_eq!((status, read), (StatusCode::OK, made));

    let again = server.post(SERVICES, &service("hello", "a")).await;
    assert_eq!(reason(&again), (409, "AlreadyExists"));
    assert_eq!(again.1["details"], json!({"name": "hello", "group": "", "kind": "services"}));
}

#[tokio::test]
async fn names_are_generated() {
    let server = Server::start().await;
    let mut object = service("x", "a");
    object["metadata"] = json!({"generateName": "hello-"});
    let names = [server.create(SERVICES, &object).await, server.create(SERVICES, &object).await]
        .map(|made| made["metadata"]["name"].as_str().unwrap().to_owned());
    assert!(names.iter().all(|name| name.starts_with("hello-") && name.len() == 11), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn misplaced_objects_are_refused() {
    let server = Server::start().await;
    let with = |change: fn(&mut Value)| {
        let mut object = service("hello", "a");
        change(&mut object);
        object
    };
    let cases = [
        (SERVICES, with(|o| o["metadata"]["namespace"] = json!("other")), (400, "BadRequest")),
        (SERVICES, with(|o| o["kind"] = json!("Namespace")), (400, "BadRequest")),
        (SERVICES, with(|o| o["apiVersion"] = json!("v2")), (400, "BadRequest")),
        (SERVICES, with(|o| o["metadata"]["resourceVersion"] = json!("7")), (400, "BadRequest")),
        (SERVICES, with(|o| o["metadata"] = json!({})), (422, "Invalid")),
        (SERVICES, with(|o| o["metadata"]["name"] = json!("Not_A_Name")), (422, "Invalid")),
        (SERVICES, json!([]), (400, "BadRequest")),
        ("/api/v1/namespaces/nowhere/services", with(|_| ()), (404, "NotFound")),
        ("/api/v1/services", with(|_| ()), (400, "BadRequest")),
        ("/api/v1/widgets", with(|_| ()), (404, "NotFound")),
        ("/api/v1/namespaces/default/services/hello", with(|_| ()), (405, "MethodNotAllowed")),
    ];
    for (path, object, expected) in cases {
        let answer = server.post(path, &object).await;
        assert_eq!(reason(&answer), expected, "{path} {object}: {}", answer.1["message"]);
    }
}

#[tokio::test]
async fn bad_fields_are_named() {
    let server = Server::start().await;
    let mut bad = route("hello");
    bad["spec"]["http"][0]["route"][0]["wieght"] = json!(1);
    let answer = server.post(ROUTES, &bad).await;
    assert_eq!(reason(&answer), (422, "Invalid"));
    let causes = answer.1["details"]["causes"].as_array().unwrap();
    assert!(
        causes[0]["field"].as_str().unwrap().starts_with("spec.http[0].route[0]"),
        "{causes:?}"
    );
    assert_eq!(
        server.get(&format!("{ROUTES}/hello")).await.0,
        StatusCode::NOT_FOUND,
        "nothing took effect"
    );
}

#[tokio::test]
async fn replace_needs_the_version_that_stands() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    assert_eq!(reason(&server.put(&path, &service("hello", "a")).await), (404, "NotFound"));
    let first = server.create(SERVICES, &service("hello", "a")).await;

    let mut second = first.clone();
    second["metadata"]["labels"]["team"] = json!("b");
    let (status, second) = server.put(&path, &second).await;
    assert_eq!(
        (status, &second["metadata"]["generation"]),
        (StatusCode::OK, &json!(1)),
        "labels are no substance"
    );
    assert_eq!(reason(&server.put(&path, &first).await), (409, "Conflict"));

    let mut third = service("hello", "c");
    third["spec"]["ports"][0]["port"] = json!(81);
    let (_, third) = server.put(&path, &third).await;
    assert_eq!(third["metadata"]["generation"], 2, "a change of the spec is a new generation");
    assert_eq!(third["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(third["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);
    let (_, same) = server.put(&path, &third).await;
    assert_eq!(same, third, "no change, no version");
    assert_eq!(reason(&server.put(&path, &service("other", "a")).await), (400, "BadRequest"));
}

#[tokio::test]
async fn delete_checks_preconditions() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    let made = server.create(SERVICES, &service("hello", "a")).await;
    let wrong = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    let answer = server.call(http::Method::DELETE, &path, "application/json", wrong).await;
    assert_eq!(reason(&answer), (409, "Conflict"));
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    let (status, done) = server.call(http::Method::DELETE, &path, "application/json", right).await;
    assert_eq!((status, &done["status"]), (StatusCode::OK, &json!("Success")));
    assert_eq!(reason(&server.delete(&path).await), (404, "NotFound"));
}

#[tokio::test]
async fn finalizers_hold_an_object_back() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/hello");
    let mut held = service("hello", "a");
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    server.create(SERVICES, &held).await;
    let (status, marked) = server.delete(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    let release = json!({"metadata": {"finalizers": null}});
    let (status, _) =
        server.call(http::Method::PATCH, &path, "application/merge-patch+json", release).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(server.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn delete_collection_and_namespace() {
    let server = Server::start().await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        server.create(SERVICES, &service(name, label)).await;
    }
    let (status, gone) = server.delete(&format!("{SERVICES}?labelSelector=team%3Dx")).await;
    assert_eq!((status, gone["items"].as_array().unwrap().len()), (StatusCode::OK, 2));
    let (_, left) = server.get(SERVICES).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);

    let namespace = json!({"metadata": {"name": "shop"}});
    server.create("/api/v1/namespaces", &namespace).await;
    server.create("/api/v1/namespaces/shop/services", &service("a", "x")).await;
    assert_eq!(server.delete("/api/v1/namespaces/shop").await.0, StatusCode::OK);
    assert_eq!(server.get("/api/v1/namespaces/shop/services/a").await.0, StatusCode::NOT_FOUND);
    assert_eq!(reason(&server.delete("/api/v1/namespaces/default").await), (403, "Forbidden"));
}

#[tokio::test]
async fn dry_runs_keep_nothing() {
    let server = Server::start().await;
    let (status, shown) =
        server.post(&format!("{SERVICES}?dryRun=All"), &service("hello", "a")).await;
    assert_eq!((status, &shown["metadata"]["name"]), (StatusCode::CREATED, &json!("hello")));
    assert_eq!(server.get(&format!("{SERVICES}/hello")).await.0, StatusCode::NOT_FOUND);
    server.create(SERVICES, &service("hello", "a")).await;
    assert_eq!(
        reason(&server.post(&format!("{SERVICES}?dryRun=All"), &service("hello", "a")).await).0,
        409
    );
    let (_, shown) =
        server.put(&format!("{SERVICES}/hello?dryRun=All"), &service("hello", "b")).await;
    assert_eq!(shown["metadata"]["labels"]["team"], "b");
    assert_eq!(server.delete(&format!("{SERVICES}/hello?dryRun=All")).await.0, StatusCode::OK);
    let (_, kept) = server.get(&format!("{SERVICES}/hello")).await;
    assert_eq!(kept["metadata"]["labels"]["team"], "a");
    assert_eq!(
        reason(&server.post(&format!("{SERVICES}?dryRun=Some"), &service("x", "a")).await).0,
        400
    );
}

#[tokio::test]
async fn status_is_written_apart() {
    let server = Server::start().await;
    let path = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";
    let entry = json!({"metadata": {"name": "w"}, "spec": {"address": "127.0.0.1"}, "status": {"conditions": []}});
    let made = server.create(path, &entry).await;
    assert!(made.get("status").is_none(), "a new object has no status: {made}");
    let healthy = json!([{"type": "Healthy", "status": "True"}]);
    let mut with_status = made.clone();
    with_status["status"] = json!({"conditions": healthy});
    with_status["spec"]["address"] = json!("127.0.0.2");
    let (status, after) = server.put(&format!("{path}/w/status"), &with_status).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!(after["spec"]["address"], "127.0.0.1", "the status path writes the status alone");
    assert_eq!(
        (&after["status"]["conditions"], &after["metadata"]["generation"]),
        (&healthy, &json!(1))
    );
    let moved = json!({"spec": {"address": "127.0.0.3"}, "status": null});
    let (_, after) = server
        .call(http::Method::PATCH, &format!("{path}/w"), "application/merge-patch+json", moved)
        .await;
    assert_eq!(
        (&after["spec"]["address"], &after["status"]["conditions"]),
        (&json!("127.0.0.3"), &healthy)
    );
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let server = Server::start().await;
    let mut large = service("hello", "a");
    large["metadata"]["annotations"] = json!({"x": "y".repeat(3 << 20)});
    assert_eq!(reason(&server.post(SERVICES, &large).await), (413, "RequestEntityTooLarge"));
    assert_eq!(
        reason(&server.call(http::Method::POST, SERVICES, "application/json", "{").await),
        (400, "BadRequest")
    );
    let cbor = server.call(http::Method::POST, SERVICES, "application/cbor", "x").await;
    assert_eq!(reason(&cbor), (415, "UnsupportedMediaType"));
}

#[tokio::test]
async fn plain_secrets_are_kept_as_data() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets";
    let secret =
        json!({"metadata": {"name": "s"}, "stringData": {"a": "foob"}, "data": {"b": "Zg=="}});
    let made = server.create(path, &secret).await;
    assert_eq!(made["data"], json!({"a": "Zm9vYg==", "b": "Zg=="}));
    assert!(made.get("stringData").is_none());
}

#[tokio::test]
async fn what_is_left_out_is_filled_in() {
    let server = Server::start().await;
    let made = server.create(SERVICES, &service("hello", "a")).await;
    let port = json!({"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80});
    assert_eq!((&made["spec"]["type"], &made["spec"]["ports"][0]), (&json!("ClusterIP"), &port));
    let (_, again) = server.put(&format!("{SERVICES}/hello"), &service("hello", "a")).await;
    assert_eq!(again, made, "the same without defaults is no change");
}
