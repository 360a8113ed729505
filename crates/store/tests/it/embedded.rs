//! The embedded store's file: reopening, its lock, foreign files, and a disk that fills up.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use bytes::Bytes;
use meltemi_store::{EmbeddedStore, Event, Expect, Key, Selector, Store, StoreError};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

fn key(name: &str) -> Key {
    Key::new("networking.istio.io", "virtualservices", Some("default"), name)
}

#[tokio::test]
async fn reopens_with_objects_and_versions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let cluster = Key::new("", "namespaces", None, "default");
    let store = EmbeddedStore::open(&path).unwrap();
    store.put(cluster.clone(), Bytes::from_static(b"{}"), Expect::Absent).await.unwrap();
    store.put(key("a"), Bytes::from_static(b"{\"a\":1}"), Expect::Absent).await.unwrap();
    store.put(key("b"), Bytes::from_static(b"{}"), Expect::Absent).await.unwrap();
    store.put(key("a"), Bytes::from_static(b"{\"a\":2}"), Expect::Any).await.unwrap();
    store.delete(key("b"), Expect::Any).await.unwrap();
    let before = store.list(&Selector::all()).await.unwrap();
    drop(store);

    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(store.list(&Selector::all()).await.unwrap(), before);
    let mut watch = store.watch(&Selector::all(), before.version).await.unwrap();
    let next = store.put(key("c"), Bytes::from_static(b"{}"), Expect::Absent).await.unwrap();
    assert_eq!(next, before.version + 1);
    assert!(matches!(watch.next().await, Ok(Event::Put { entry, .. }) if entry.key == key("c")));
    let earlier = store.watch(&Selector::all(), before.version - 1).await;
    assert!(
        matches!(earlier, Err(StoreError::Expired { .. })),
        "the history is of this process alone"
    );
}

#[tokio::test]
async fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let _first = EmbeddedStore::open(&path).unwrap();
    let second = EmbeddedStore::open(&path).unwrap_err();
    assert_eq!(second, StoreError::Locked { path: path.clone() });
    assert!(second.to_string().contains("in use by another process"), "{second}");
}

#[test]
fn unusable_files() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign");
    fs::write(&foreign, "not a database, though long enough to be read as one ".repeat(200))
        .unwrap();
    let error = EmbeddedStore::open(&foreign).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");

    for content in [&b""[..], &[0; 4096]] {
        let hollow = directory.path().join("hollow");
        fs::write(&hollow, content).unwrap();
        let error = EmbeddedStore::open(&hollow).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("restore it from a copy"), "{error}");
        assert_eq!(fs::read(&hollow).unwrap(), content, "it is left as it was");
    }

    let missing = EmbeddedStore::open(directory.path().join("missing/store.redb")).unwrap_err();
    assert!(matches!(missing, StoreError::Io { .. }), "{missing:?}");
    let full = EmbeddedStore::open("/dev/full").unwrap_err();
    assert!(full.to_string().contains("/dev/full"), "{full:?}");
}

#[test]
fn a_new_store_is_private_and_whole_whatever_a_killed_start_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    fs::write(directory.path().join("store.redb.new"), [0; 100]).unwrap();
    drop(EmbeddedStore::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    EmbeddedStore::open(&path).unwrap();
}

/// A disk that can be filled and emptied.
#[derive(Debug)]
struct Disk {
    blocks: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> Result<(), io::Error> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.blocks.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.blocks.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.room()?;
        self.blocks.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.room()?;
        self.blocks.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.room()?;
        self.blocks.write(offset, data)
    }
}

#[tokio::test]
async fn full_disk_is_told_and_reads_go_on() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { blocks: InMemoryBackend::new(), full: Arc::clone(&full) };
    let store = EmbeddedStore::open_backend("store.redb", disk).unwrap();
    let version = store.put(key("a"), Bytes::from_static(b"{}"), Expect::Absent).await.unwrap();
    full.store(true, Ordering::Relaxed);
    let error = store.put(key("b"), Bytes::from_static(b"{}"), Expect::Absent).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("no space left to write store.redb"), "{error}");
    let listing = store.list(&Selector::all()).await.unwrap();
    assert_eq!(
        (listing.entries.len(), listing.version),
        (1, version),
        "nothing of the failed write shows"
    );
}
