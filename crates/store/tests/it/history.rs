//! The bounded history: what no longer fits expires, and a slow watcher is told so.

use bytes::Bytes;
use meltemi_store::{Expect, Key, Limits, MemoryStore, Selector, Store, StoreError};

fn key(name: &str) -> Key {
    Key::new("", "services", Some("default"), name)
}

async fn put(store: &MemoryStore, name: &str, value: Bytes) -> u64 {
    store.put(key(name), value, Expect::Any).await.unwrap()
}

#[tokio::test]
async fn slow_watcher_expires() {
    let store = MemoryStore::with_limits(Limits { events: 4, bytes: 1 << 20 });
    let from = put(&store, "a", Bytes::from_static(b"{}")).await;
    let mut watch = store.watch(&Selector::all(), from).await.unwrap();
    for _ in 0..5 {
        put(&store, "a", Bytes::from_static(b"{}")).await;
    }
    assert!(
        matches!(watch.next().await, Err(StoreError::Expired { requested, .. }) if requested == from)
    );
    assert_eq!(watch.next().await, Err(StoreError::Closed), "the watch is over");
    assert!(matches!(store.watch(&Selector::all(), from).await, Err(StoreError::Expired { .. })));
    assert!(store.watch(&Selector::all(), from + 1).await.is_ok(), "four changes are kept");
}

#[tokio::test]
async fn history_is_bounded_in_bytes() {
    let store = MemoryStore::with_limits(Limits { events: 1000, bytes: 100 });
    let from = put(&store, "a", Bytes::from(vec![b' '; 60])).await;
    let next = put(&store, "b", Bytes::from(vec![b' '; 60])).await;
    assert!(store.watch(&Selector::all(), from).await.is_ok());
    assert!(store.watch(&Selector::all(), from - 1).await.is_err());
    put(&store, "c", Bytes::from(vec![b' '; 200])).await;
    assert!(
        store.watch(&Selector::all(), next).await.is_err(),
        "even the newest change did not fit"
    );
    assert_eq!(
        store.list(&Selector::all()).await.unwrap().entries.len(),
        3,
        "objects are not history"
    );
}

#[tokio::test]
async fn watch_ends_with_its_store() {
    let store = MemoryStore::new();
    let from = store.list(&Selector::all()).await.unwrap().version;
    let mut watch = store.watch(&Selector::all(), from).await.unwrap();
    put(&store, "a", Bytes::from_static(b"{}")).await;
    drop(store);
    assert!(watch.next().await.is_ok(), "what happened before is still told");
    assert_eq!(watch.next().await, Err(StoreError::Closed));
}
