//! What the follower makes of changes, refusals and a lost watch.

use bytes::Bytes;
use meltemi_store::{Expect, Limits, MemoryStore};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, watch};

use super::*;

const HOST: &str = "hello.default.svc.cluster.local";

fn key(name: &str) -> Key {
    Key::new("", "services", Some("default"), name)
}

fn service(name: &str, port: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": port}], "selector": {"app": name}},
    })
}

async fn put(store: &dyn Store, name: &str, value: &Value) -> u64 {
    store.put(key(name), Bytes::from(value.to_string()), Expect::Any).await.unwrap()
}

fn follower(store: &Arc<dyn Store>) -> (Follower, Arc<Publisher>) {
    let publisher = Arc::new(Publisher::default());
    let settings = Settings::new("cluster.local".parse().unwrap(), "svc.cluster.local");
    let (wanted, _) = watch::channel(BTreeMap::new());
    let (_, found) = mpsc::channel(1);
    let keys = KeyNews { wanted, found, kept: Vec::new() };
    (Follower::new(store.clone(), publisher.clone(), settings, keys), publisher)
}

#[tokio::test]
async fn every_change_of_the_store_is_published_with_its_version() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    put(&*store, "hello", &service("hello", 80)).await;
    let (mut follower, publisher) = follower(&store);
    let version = follower.list().await.unwrap();
    assert_eq!(publisher.snapshot().service(HOST).unwrap().ports[0].number, 80);
    let running = tokio::spawn(follower.run(version));

    let version = put(&*store, "hello", &service("hello", 81)).await;
    publisher.reached(version).await;
    assert_eq!(publisher.snapshot().service(HOST).unwrap().ports[0].number, 81);

    let namespace = Key::new("", "namespaces", None, "other");
    let version = store.put(namespace, Bytes::from_static(b"{}"), Expect::Any).await.unwrap();
    publisher.reached(version).await;

    let version = store.delete(key("hello"), Expect::Any).await.unwrap();
    publisher.reached(version).await;
    assert!(publisher.snapshot().service(HOST).is_none());
    running.abort();
}

#[tokio::test]
async fn a_bad_object_is_set_aside_and_blocks_no_other() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    put(&*store, "hello", &service("hello", 80)).await;
    let (mut follower, publisher) = follower(&store);
    let version = follower.list().await.unwrap();
    let running = tokio::spawn(follower.run(version));

    put(&*store, "hello", &service("hello", 70_000)).await;
    store.put(key("broken"), Bytes::from_static(b"{"), Expect::Any).await.unwrap();
    let version = put(&*store, "other", &service("other", 80)).await;
    publisher.reached(version).await;
    let snapshot = publisher.snapshot();
    assert_eq!(snapshot.service(HOST).unwrap().ports[0].number, 80, "the last good one stays");
    assert!(snapshot.service("other.default.svc.cluster.local").is_some());
    let reasons: Vec<_> = snapshot.rejected().values().map(String::as_str).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().any(|reason| reason.contains("70000")), "{reasons:?}");

    put(&*store, "hello", &service("hello", 82)).await;
    let version = store.delete(key("broken"), Expect::Any).await.unwrap();
    publisher.reached(version).await;
    assert!(publisher.snapshot().rejected().is_empty());
    running.abort();
}

#[tokio::test]
async fn a_lost_watch_is_made_good_by_reading_all_anew() {
    let limits = Limits { events: 2, ..Limits::default() };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_limits(limits));
    put(&*store, "hello", &service("hello", 80)).await;
    store.put(key("broken"), Bytes::from_static(b"{"), Expect::Any).await.unwrap();
    let (mut follower, publisher) = follower(&store);
    let version = follower.list().await.unwrap();
    assert_eq!(publisher.snapshot().rejected().len(), 1);

    store.delete(key("hello"), Expect::Any).await.unwrap();
    store.delete(key("broken"), Expect::Any).await.unwrap();
    for port in 1..10 {
        put(&*store, "other", &service("other", port)).await;
    }
    let last = put(&*store, "late", &service("late", 80)).await;
    let running = tokio::spawn(follower.run(version));
    publisher.reached(last).await;
    let snapshot = publisher.snapshot();
    assert!(snapshot.service(HOST).is_none(), "what went away unseen is gone");
    assert!(snapshot.rejected().is_empty());
    assert_eq!(snapshot.service("other.default.svc.cluster.local").unwrap().ports[0].number, 9);
    assert!(snapshot.service("late.default.svc.cluster.local").is_some());
    running.abort();
}
