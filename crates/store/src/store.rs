//! The trait that every backend implements, and the values that pass through it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::error::Result;
use crate::key::{Key, Selector};
use crate::watch::Watch;

/// A boxed future, so that stores are usable as `Arc<dyn Store>`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One object as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is kept.
    pub key: Key,
    /// The version of its last change. In an [`Event::Deleted`], the version of the deletion.
    pub version: u64,
    /// The version with which it came into being; equal to `version` until its first change.
    pub created: u64,
    /// The object as JSON.
    pub value: Bytes,
}

/// One change, as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The object was created or changed.
    Put {
        /// The object as it is from now on.
        entry: Entry,
        /// What it was before; `None` when it is new.
        previous: Option<Bytes>,
    },
    /// The object is gone. The entry holds its last value and the version of the deletion.
    Deleted(Entry),
}

impl Event {
    /// The object that the event tells of.
    pub fn entry(&self) -> &Entry {
        match self {
            Self::Put { entry, .. } | Self::Deleted(entry) => entry,
        }
    }

    /// The version that the store had reached with this change.
    pub fn version(&self) -> u64 {
        self.entry().version
    }
}

/// The answer to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The objects, in the order of their keys.
    pub entries: Vec<Entry>,
    /// The version of the store that the list shows. A watch from here sees every later change.
    pub version: u64,
}

/// What a writer takes the object to be before its change; the store refuses if it is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything, or nothing.
    Any,
    /// Nothing: the object is created.
    Absent,
    /// This version of the object.
    Version(u64),
}

/// Versioned objects with conditional writes and a resumable watch.
///
/// Versions are one counter for the whole store; each change raises it. When a write's future is ready with
/// `Ok`, the change is as durable as the backend can make it and is seen by every later read.
pub trait Store: Send + Sync + 'static {
    /// The object of this key, if there is one.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>>>;

    /// The objects that match, all as of one version.
    fn list<'a>(&'a self, selector: &'a Selector) -> BoxFuture<'a, Result<Listing>>;

    /// Every change after `from`, in order, each once, without end.
    ///
    /// # Errors
    /// [`StoreError::Expired`](crate::StoreError::Expired), at once or as the stream's last item, when the
    /// history does not reach back to `from` (or `from` was never reached): the caller lists anew.
    fn watch<'a>(&'a self, selector: &'a Selector, from: u64) -> BoxFuture<'a, Result<Watch>>;

    /// Creates or replaces an object; answers with its new version.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` or `Conflict` when `expect` does not hold; else what the backend met.
    fn put(&self, key: Key, value: Bytes, expect: Expect) -> BoxFuture<'_, Result<u64>>;

    /// Removes an object; answers with the version of the deletion.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Conflict` when it is not at the version expected.
    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<u64>>;
}
