//! The directory store: edits by hand, broken files, and files that the API does not touch.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use meltemi_store::conformance::JsonCodec;
use meltemi_store::{DirectoryStore, Event, Expect, Key, Selector, Store, StoreError, Watch};
use serde_json::{Value, json};

fn key(name: &str) -> Key {
    Key::new("x.io", "widgets", Some("default"), name)
}

fn widget(name: &str, size: u64) -> Value {
    let metadata = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": metadata, "size": size})
}

fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

async fn follow(store: &DirectoryStore) -> Watch {
    let from = store.list(&Selector::all()).await.unwrap().version;
    store.watch(&Selector::all(), from).await.unwrap()
}

async fn next(watch: &mut Watch) -> (String, Option<u64>) {
    let event = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap();
    let name = event.entry().key.name.clone();
    match event {
        Event::Put { entry, .. } => {
            let value: Value = serde_json::from_slice(&entry.value).unwrap();
            (name, value["size"].as_u64())
        }
        Event::Deleted(_) => (name, None),
    }
}

#[tokio::test]
async fn edits_show_as_events() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("all.json");
    write(&file, &json!([widget("a", 1), widget("b", 1)]));
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    assert_eq!(store.list(&Selector::all()).await.unwrap().entries.len(), 2);
    let mut watch = follow(&store).await;

    write(&file, &json!([widget("a", 1), widget("b", 2)]));
    assert_eq!(next(&mut watch).await, ("b".to_owned(), Some(2)));
    write(&file, &json!([widget("b", 2)]));
    assert_eq!(next(&mut watch).await, ("a".to_owned(), None));
    let nested = directory.path().join("team/one");
    fs::create_dir_all(&nested).unwrap();
    write(&nested.join("c.json"), &widget("c", 1));
    assert_eq!(next(&mut watch).await, ("c".to_owned(), Some(1)));
    fs::remove_dir_all(directory.path().join("team")).unwrap();
    assert_eq!(next(&mut watch).await, ("c".to_owned(), None));
    fs::rename(&file, directory.path().join("all.txt")).unwrap();
    assert_eq!(next(&mut watch).await, ("b".to_owned(), None));
}

#[tokio::test]
async fn broken_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let (good, bad) = (directory.path().join("good.json"), directory.path().join("bad.json"));
    write(&good, &widget("good", 1));
    write(&bad, &widget("bad", 1));
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    let mut watch = follow(&store).await;

    fs::write(&bad, "{").unwrap();
    write(&good, &widget("good", 2));
    assert_eq!(next(&mut watch).await, ("good".to_owned(), Some(2)));
    let kept = store.get(&key("bad")).await.unwrap();
    assert_eq!(
        kept.map(|entry| entry.value),
        Some(bytes(&widget("bad", 1))),
        "what was good last stays"
    );
    let problems = store.problems();
    assert!(problems.len() == 1 && problems[0].path.ends_with("bad.json"), "{problems:?}");
    let refused = store.put(key("bad"), bytes(&widget("bad", 9)), Expect::Any).await;
    assert!(matches!(refused, Err(StoreError::Owned { .. })), "{refused:?}");

    write(&bad, &widget("bad", 3));
    assert_eq!(next(&mut watch).await, ("bad".to_owned(), Some(3)));
    assert_eq!(store.problems(), []);
}

#[tokio::test]
async fn writes_become_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    let version = store.put(key("a"), bytes(&widget("a", 1)), Expect::Absent).await.unwrap();
    let path = directory.path().join("x.io/widgets/default/a.yaml");
    let text: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(text, widget("a", 1));

    // An edit by hand between reading and writing is a conflict, even when no event has told of it yet.
    write(&path, &widget("a", 7));
    let stale = store.put(key("a"), bytes(&widget("a", 2)), Expect::Version(version)).await;
    assert!(matches!(stale, Err(StoreError::Conflict { .. })), "{stale:?}");
    store.delete(key("a"), Expect::Any).await.unwrap();
    assert!(!path.exists());
    drop(store);
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    let listing = store.list(&Selector::all()).await.unwrap();
    assert!(
        listing.entries.is_empty() && listing.version > version,
        "versions of an earlier life are passed"
    );
}

#[tokio::test]
async fn files_of_several_documents_are_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let (many, one) = (directory.path().join("many.json"), directory.path().join("one.json"));
    write(&many, &json!([widget("a", 1), widget("b", 1)]));
    write(&one, &widget("c", 1));
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    let refused = store.put(key("a"), bytes(&widget("a", 2)), Expect::Any).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Owned { path, .. } if path.ends_with("many.json")),
        "{refused:?}"
    );
    assert!(matches!(store.delete(key("b"), Expect::Any).await, Err(StoreError::Owned { .. })));
    store.put(key("c"), bytes(&widget("c", 2)), Expect::Any).await.unwrap();
    let text: Value = serde_json::from_str(&fs::read_to_string(&one).unwrap()).unwrap();
    assert_eq!(text, widget("c", 2), "a file of one object is written in place");
}

#[tokio::test]
async fn the_first_of_two_files_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("1.json"), directory.path().join("2.json"));
    write(&second, &widget("a", 2));
    write(&first, &widget("a", 1));
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    assert_eq!(store.problems().len(), 1);
    let mut watch = follow(&store).await;
    fs::remove_file(&first).unwrap();
    assert_eq!(next(&mut watch).await, ("a".to_owned(), Some(2)));
}

#[test]
fn unusable_folders() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DirectoryStore::open(&file, JsonCodec).unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if *path == file), "{error:?}");
}

#[test]
fn a_folder_is_one_stores_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
    let link = directory.path().with_extension("link");
    std::os::unix::fs::symlink(directory.path(), &link).unwrap();
    for path in [directory.path(), &*link] {
        let error = DirectoryStore::open(path, JsonCodec).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    }
    drop(store);
    DirectoryStore::open(&link, JsonCodec).unwrap();
    fs::remove_file(link).unwrap();
}

#[test]
fn a_folder_is_made_only_where_one_is_around_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("mount/mesh");
    DirectoryStore::open(&missing, JsonCodec).unwrap_err();
    assert!(!directory.path().join("mount").exists());
    DirectoryStore::open(directory.path().join("mesh"), JsonCodec).unwrap();
    assert!(directory.path().join("mesh").is_dir());
}
