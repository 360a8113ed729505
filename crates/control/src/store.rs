//! The store that was chosen, and the sign that nothing uses it any longer.

use std::sync::Arc;

use bytes::Bytes;
use meltemi_store::{
    BoxFuture, DirectoryStore, EmbeddedStore, Entry, Expect, Key, Listing, MemoryStore, Result,
    Selector, Store, StoreError, Watch,
};
use tokio::sync::mpsc;

use crate::codec::YamlCodec;
use crate::error::ControlError;
use crate::options::StoreChoice;
use crate::state_dir::StateDir;

/// Opens the store.
pub(crate) async fn open(
    choice: &StoreChoice,
    state_dir: &StateDir,
) -> Result<(Arc<dyn Store>, Released), ControlError> {
    let inner: Box<dyn Store> = match choice {
        StoreChoice::Memory => Box::new(MemoryStore::new()),
        StoreChoice::Embedded => {
            let path = state_dir.store();
            Box::new(waiting(move || EmbeddedStore::open(path)).await?)
        }
        StoreChoice::Directory(path) => {
            let path = path.clone();
            Box::new(waiting(move || DirectoryStore::open(path, YamlCodec)).await?)
        }
    };
    let (used, released) = mpsc::channel(1);
    Ok((Arc::new(Tracked { inner, _used: used }), Released(Some(released))))
}

/// Opens a store of the disk, on a thread that may wait.
async fn waiting<S: Store>(open: impl FnOnce() -> Result<S> + Send + 'static) -> Result<S> {
    // The task is not aborted; should it panic, its message is in the log already.
    tokio::task::spawn_blocking(open).await.map_err(|_| StoreError::Closed)?
}

/// Becomes ready when the last user of the store is gone, and the store is closed.
#[derive(Debug, Default)]
pub(crate) struct Released(Option<mpsc::Receiver<()>>);

impl Released {
    pub(crate) async fn wait(&mut self) {
        if let Some(used) = &mut self.0 {
            // Nothing is ever sent.
            used.recv().await;
        }
    }
}

/// A store that tells of its end. Fields are dropped in order: the store is closed before that is told.
struct Tracked {
    inner: Box<dyn Store>,
    _used: mpsc::Sender<()>,
}

impl Store for Tracked {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, selector: &'a Selector) -> BoxFuture<'a, Result<Listing>> {
        self.inner.list(selector)
    }

    fn watch<'a>(&'a self, selector: &'a Selector, from: u64) -> BoxFuture<'a, Result<Watch>> {
        self.inner.watch(selector, from)
    }

    fn put(&self, key: Key, value: Bytes, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        self.inner.put(key, value, expect)
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        self.inner.delete(key, expect)
    }
}
