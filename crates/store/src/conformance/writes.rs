//! Cases of get, list, put and delete.

use std::sync::Arc;

use super::{object, size, widget};
use crate::error::StoreError;
use crate::key::{Key, Selector, kind};
use crate::store::{Expect, Store};

/// Writers that compete in [`concurrent_counters`], and increments each.
const WRITERS: u64 = 6;
const INCREMENTS: u64 = 20;

pub(super) async fn create_once(store: &dyn Store) {
    let key = widget("one");
    assert_eq!(store.get(&key).await, Ok(None), "a new store is empty");
    let version = store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created");
    let again = store.put(key.clone(), object(&key, 2), Expect::Absent).await;
    assert_eq!(again, Err(StoreError::AlreadyExists { key: key.clone(), version }));
    let entry = store.get(&key).await.expect("read").expect("there");
    assert_eq!((entry.version, entry.created, size(&entry.value)), (version, version, 1.into()));
    assert_eq!(entry.key, key);
}

pub(super) async fn replace_only_what_was_read(store: &dyn Store) {
    let key = widget("one");
    let missing = store.put(key.clone(), object(&key, 0), Expect::Version(1)).await;
    assert_eq!(missing, Err(StoreError::NotFound { key: key.clone() }));
    let first = store.put(key.clone(), object(&key, 1), Expect::Any).await.expect("created");
    let second =
        store.put(key.clone(), object(&key, 2), Expect::Version(first)).await.expect("replaced");
    assert!(second > first, "a change raises the version");
    let stale = store.put(key.clone(), object(&key, 3), Expect::Version(first)).await;
    assert_eq!(
        stale,
        Err(StoreError::Conflict { key: key.clone(), expected: first, found: second })
    );
    let third = store
        .put(key.clone(), object(&key, 4), Expect::Any)
        .await
        .expect("replaced unconditionally");
    let entry = store.get(&key).await.expect("read").expect("there");
    assert_eq!((entry.version, entry.created, size(&entry.value)), (third, first, 4.into()));
}

pub(super) async fn delete_only_what_was_read(store: &dyn Store) {
    let key = widget("one");
    for expect in [Expect::Any, Expect::Version(1)] {
        let missing = store.delete(key.clone(), expect).await;
        assert_eq!(missing, Err(StoreError::NotFound { key: key.clone() }));
    }
    let first = store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created");
    let second = store.put(key.clone(), object(&key, 2), Expect::Any).await.expect("replaced");
    let stale = store.delete(key.clone(), Expect::Version(first)).await;
    assert_eq!(
        stale,
        Err(StoreError::Conflict { key: key.clone(), expected: first, found: second })
    );
    let gone = store.delete(key.clone(), Expect::Version(second)).await.expect("deleted");
    assert!(gone > second, "a deletion raises the version");
    assert_eq!(store.get(&key).await, Ok(None));
    assert_eq!(store.list(&Selector::all()).await.expect("listed").entries, []);
}

pub(super) async fn born_again(store: &dyn Store) {
    let key = widget("one");
    store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created");
    store.delete(key.clone(), Expect::Any).await.expect("deleted");
    let version =
        store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created again");
    let entry = store.get(&key).await.expect("read").expect("there");
    assert_eq!(
        (entry.version, entry.created),
        (version, version),
        "a new object, with a new birth"
    );
}

pub(super) async fn list_by_kind_and_namespace(store: &dyn Store) {
    let keys = [
        Key::new("", "boxs", None, "shared"),
        Key::new("", "widgets", Some("a"), "core"),
        Key::new("x.io", "widgets", Some("a"), "one"),
        Key::new("x.io", "widgets", Some("a"), "two"),
        Key::new("x.io", "widgets", Some("ab"), "one"),
        Key::new("x.io", "widgets", Some("b"), "one"),
        Key::new("y.io", "widgets", Some("a"), "one"),
    ];
    let mut last = 0;
    for key in keys.iter().rev() {
        last = store.put(key.clone(), object(key, 1), Expect::Absent).await.expect("created");
    }
    let widgets = Selector::kind(kind("x.io", "widgets"));
    let in_a = Selector { kind: None, namespace: Some("a".to_owned()) };
    let cases = [
        (Selector::all(), vec![0, 1, 2, 3, 4, 5, 6]),
        (widgets.clone(), vec![2, 3, 4, 5]),
        (widgets.clone().within("a"), vec![2, 3]),
        (widgets.within("nowhere"), vec![]),
        (Selector::kind(kind("", "boxs")), vec![0]),
        (in_a, vec![1, 2, 3, 6]),
    ];
    for (selector, expected) in cases {
        let listing = store.list(&selector).await.expect("listed");
        let found: Vec<_> = listing.entries.iter().map(|entry| &entry.key).collect();
        let expected: Vec<_> = expected.into_iter().map(|index: usize| &keys[index]).collect();
        assert_eq!(found, expected, "{selector:?}");
        assert_eq!(listing.version, last, "a list shows the store's latest version");
    }
}

pub(super) async fn unusable_keys(store: &dyn Store) {
    for name in ["", "a/b", "../a", ".hidden", "a\0b", "a\\b", &"a".repeat(254)] {
        let key = widget(name);
        let refused = store.put(key.clone(), object(&widget("a"), 1), Expect::Any).await;
        assert_eq!(refused, Err(StoreError::InvalidKey { key }));
    }
}

pub(super) async fn large_values(store: &dyn Store) {
    let key = widget("large");
    let text = "é\n\"x\" ".repeat(300_000);
    store.put(key.clone(), object(&key, text.as_str()), Expect::Absent).await.expect("created");
    let entry = store.get(&key).await.expect("read").expect("there");
    assert_eq!(size(&entry.value), text);
}

/// Increments by compare-and-swap from many tasks: none is lost, none is made twice.
pub(super) async fn concurrent_counters(store: Arc<dyn Store>) {
    let key = widget("counter");
    store.put(key.clone(), object(&key, 0), Expect::Absent).await.expect("created");
    let tasks: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(increment(Arc::clone(&store), key.clone()))).collect();
    for task in tasks {
        task.await.expect("the writer ends well");
    }
    let entry = store.get(&key).await.expect("read").expect("there");
    assert_eq!(size(&entry.value), WRITERS * INCREMENTS);
}

async fn increment(store: Arc<dyn Store>, key: Key) {
    let mut done = 0;
    while done < INCREMENTS {
        let entry = store.get(&key).await.expect("read").expect("there");
        let count = size(&entry.value).as_u64().expect("a number");
        match store.put(key.clone(), object(&key, count + 1), Expect::Version(entry.version)).await
        {
            Ok(version) => {
                assert!(version > entry.version, "a change raises the version");
                done += 1;
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => panic!("expected success or a conflict: {other}"),
        }
    }
}
