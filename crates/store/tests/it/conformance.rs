//! Every local backend passes the one suite.

use meltemi_store::conformance::{Fixture, JsonCodec, run};
use meltemi_store::{DirectoryStore, EmbeddedStore, MemoryStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    run(async || Fixture::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    run(async || {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path().join("store.redb")).unwrap();
        Fixture::keeping(store, directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory() {
    run(async || {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path(), JsonCodec).unwrap();
        Fixture::keeping(store, directory)
    })
    .await;
}
