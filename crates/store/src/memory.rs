//! The store without a disk: for tests, and for a control plane whose truth is elsewhere.

use bytes::Bytes;

use crate::error::Result;
use crate::key::{Key, Selector};
use crate::store::{BoxFuture, Entry, Expect, Listing, Store};
use crate::table::{Limits, Shared, first_version};
use crate::watch::Watch;

/// Keeps everything in memory; gone when dropped.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Shared,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty store that remembers only so much history.
    pub fn with_limits(limits: Limits) -> Self {
        Self { shared: Shared::new([], first_version(), limits) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(async { Ok(self.shared.get(key)) })
    }

    fn list<'a>(&'a self, selector: &'a Selector) -> BoxFuture<'a, Result<Listing>> {
        Box::pin(async { Ok(self.shared.list(selector)) })
    }

    fn watch<'a>(&'a self, selector: &'a Selector, from: u64) -> BoxFuture<'a, Result<Watch>> {
        Box::pin(async move { self.shared.watch(selector, from) })
    }

    fn put(&self, key: Key, value: Bytes, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            key.check()?;
            self.shared.write(key, Some(value), expect)
        })
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { self.shared.write(key, None, expect) })
    }
}
