//! Cases of watch: order, selection, coming back, and versions that are not known.

use std::sync::Arc;

use super::{next, next_put, object, size, widget};
use crate::error::StoreError;
use crate::key::{Key, Selector, kind};
use crate::store::{Event, Expect, Store};

/// Objects that each of the writers in [`concurrent_watchers`] makes.
const OBJECTS: usize = 30;
const WRITERS: usize = 4;

pub(super) async fn order(store: &dyn Store) {
    let (one, two) = (widget("one"), widget("two"));
    let from = store.list(&Selector::all()).await.expect("listed").version;
    let mut watch = store.watch(&Selector::all(), from).await.expect("watching");
    let mut versions = vec![from];
    versions.push(store.put(one.clone(), object(&one, 1), Expect::Absent).await.expect("created"));
    versions.push(store.put(two.clone(), object(&two, 2), Expect::Absent).await.expect("created"));
    versions.push(store.put(one.clone(), object(&one, 3), Expect::Any).await.expect("replaced"));
    versions.push(store.delete(one.clone(), Expect::Any).await.expect("deleted"));
    assert!(versions.is_sorted_by(|a, b| a < b), "each change raises the version: {versions:?}");

    let (entry, previous) = next_put(&mut watch, &one).await;
    assert_eq!((entry.version, entry.created, previous), (versions[1], versions[1], None));
    let (entry, previous) = next_put(&mut watch, &two).await;
    assert_eq!((entry.version, previous), (versions[2], None));
    let (entry, previous) = next_put(&mut watch, &one).await;
    assert_eq!(
        (entry.version, entry.created, size(&entry.value)),
        (versions[3], versions[1], 3.into())
    );
    assert_eq!(previous.map(|value| size(&value)), Some(1.into()), "the value before is told");
    match next(&mut watch).await {
        Event::Deleted(entry) => {
            assert_eq!((entry.key, entry.version), (one, versions[4]));
            assert_eq!(size(&entry.value), 3, "a deletion tells the last value");
        }
        other => panic!("expected a deletion, found {other:?}"),
    }
}

pub(super) async fn selection(store: &dyn Store) {
    let here = Key::new("x.io", "widgets", Some("here"), "one");
    let there = Key::new("x.io", "widgets", Some("there"), "one");
    let other = Key::new("x.io", "gadgets", Some("here"), "one");
    let from = store.list(&Selector::all()).await.expect("listed").version;
    let selector = Selector::kind(kind("x.io", "widgets"));
    let mut all = store.watch(&selector, from).await.expect("watching");
    let mut within = store.watch(&selector.within("here"), from).await.expect("watching");
    for key in [&other, &there, &here] {
        store.put(key.clone(), object(key, 1), Expect::Absent).await.expect("created");
    }
    next_put(&mut all, &there).await;
    next_put(&mut all, &here).await;
    next_put(&mut within, &here).await;
}

/// A watcher that leaves and comes back sees each change once, none twice, from wherever it stood.
pub(super) async fn resume(store: &dyn Store) {
    let mut versions = vec![store.list(&Selector::all()).await.expect("listed").version];
    let keys: Vec<_> = (0..8).map(|index| widget(&format!("w{index}"))).collect();
    for key in &keys {
        versions
            .push(store.put(key.clone(), object(key, 1), Expect::Absent).await.expect("created"));
    }
    for (index, from) in versions.iter().enumerate() {
        let mut watch = store.watch(&Selector::all(), *from).await.expect("watching");
        for (key, version) in keys.iter().zip(&versions[1..]).skip(index) {
            assert_eq!(next_put(&mut watch, key).await.0.version, *version, "resumed from {from}");
        }
    }
}

pub(super) async fn unknown_versions(store: &dyn Store) {
    let key = widget("one");
    let version = store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created");
    let ahead = store.watch(&Selector::all(), version + 1000).await;
    assert!(
        matches!(ahead, Err(StoreError::Expired { .. })),
        "a version that was never reached: {ahead:?}"
    );
}

/// Progress rises with changes that the watcher does not want to see.
pub(super) async fn progress(store: &dyn Store) {
    let (wanted, other) = (widget("one"), Key::new("x.io", "gadgets", None, "one"));
    let from = store.list(&Selector::all()).await.expect("listed").version;
    let selector = Selector::kind(wanted.kind.clone());
    let mut watch = store.watch(&selector, from).await.expect("watching");
    assert_eq!(watch.progress(), from);
    store.put(other.clone(), object(&other, 1), Expect::Absent).await.expect("created");
    let version =
        store.put(wanted.clone(), object(&wanted, 1), Expect::Absent).await.expect("created");
    next_put(&mut watch, &wanted).await;
    assert_eq!(watch.progress(), version);
    let later = store.put(other.clone(), object(&other, 2), Expect::Any).await.expect("replaced");
    let silent = tokio::select! {
        biased;
        event = watch.next() => Some(event),
        () = std::future::ready(()) => None,
    };
    assert_eq!(silent, None, "nothing that is watched has changed");
    assert!(watch.progress() == later || watch.progress() == version, "progress never runs ahead");
}

/// Watchers that start at any moment of a storm of writes see a gapless, ordered rest of it.
pub(super) async fn concurrent_watchers(store: Arc<dyn Store>) {
    let from = store.list(&Selector::all()).await.expect("listed").version;
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write_many(Arc::clone(&store), writer))).collect();
    let watchers: Vec<_> = (0..4).map(|_| tokio::spawn(follow(Arc::clone(&store), from))).collect();
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.expect("the writer ends well"));
    }
    written.sort_unstable();
    for watcher in watchers {
        assert_eq!(watcher.await.expect("the watcher ends well"), written);
    }
}

async fn write_many(store: Arc<dyn Store>, writer: usize) -> Vec<u64> {
    let mut versions = Vec::new();
    for index in 0..OBJECTS {
        let key = widget(&format!("w{writer}-{index}"));
        versions
            .push(store.put(key.clone(), object(&key, 1), Expect::Absent).await.expect("created"));
    }
    versions
}

/// Follows in many short watches, each from where the last one ended.
async fn follow(store: Arc<dyn Store>, mut from: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < OBJECTS * WRITERS {
        let mut watch = store.watch(&Selector::all(), from).await.expect("watching");
        for _ in 0..7.min(OBJECTS * WRITERS - seen.len()) {
            from = next(&mut watch).await.version();
            seen.push(from);
        }
    }
    seen
}
