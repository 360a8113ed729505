//! The default store: one redb file in the state directory, read from memory, written with a sync.
//!
//! Reads never touch the disk. Writes that wait at the same time share one transaction and one sync; each is
//! acknowledged only after that, so SIGKILL at any moment loses nothing that was acknowledged.

mod file;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use redb::StorageBackend;

use self::file::File;
use crate::error::{Result, StoreError};
use crate::key::{Key, Selector};
use crate::store::{BoxFuture, Entry, Expect, Listing, Store};
use crate::table::{Change, Limits, Shared, check};
use crate::watch::Watch;
use crate::writer::{Message, Write, Writer};

/// Writes that share one sync at most.
const BATCH: usize = 128;

/// Keeps everything in one file. Only one process can have it open.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    writer: Writer,
}

impl EmbeddedStore {
    /// Opens the store's file, or makes it. Waits for the disk: call it at start, or on a blocking thread.
    ///
    /// # Errors
    /// `Locked` when another process has it, `ReadOnly`, `Full`, `Corrupt` or `Io` as the disk has it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::start(File::open(path.as_ref())?, Limits::default())
    }

    /// The store over another medium than a file, for tests of faults. `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn open_backend(name: impl AsRef<Path>, backend: impl StorageBackend) -> Result<Self> {
        Self::start(File::of_backend(name.as_ref(), backend)?, Limits::default())
    }

    fn start(mut file: File, limits: Limits) -> Result<Self> {
        let (entries, version) = file.load()?;
        let path = file.path().to_owned();
        let shared = Arc::new(Shared::new(entries, version, limits));
        let table = Arc::clone(&shared);
        let (sender, receiver) = mpsc::channel();
        let writer =
            Writer::start(Arc::new(sender), receiver, move |messages| run(&messages, &table, file))
                .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self { shared, writer })
    }
}

/// The thread: takes what waits, commits it as one, answers.
fn run(messages: &Receiver<Message>, shared: &Shared, mut file: File) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = messages.recv() {
        let mut next = Some(first);
        while let Some(message) = next.take() {
            if let Message::Write(write) = message {
                batch.push(write);
            }
            if batch.len() < BATCH {
                next = messages.try_recv().ok();
            }
        }
        commit(std::mem::take(&mut batch), shared, &mut file);
    }
}

/// Commits the writes that may go ahead in one transaction, makes them visible, then answers all.
fn commit(batch: Vec<Write>, shared: &Shared, file: &mut File) {
    let mut changes: Vec<Change> = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    let first = shared.version();
    for Write { key, value, expect, reply } in batch {
        // Writes of this batch are not in the table yet; the latest one for this key counts.
        let current = match changes.iter().rev().find(|change| change.key == key) {
            Some(change) => change.value.is_some().then_some(change.version),
            None => shared.get(&key).map(|entry| entry.version),
        };
        let outcome = check(&key, current, value.is_some(), expect).map(|()| {
            let version = first + changes.len() as u64 + 1;
            changes.push(Change { key, value, version });
            version
        });
        answers.push((reply, outcome));
    }
    let committed = file.commit(&changes, |key| shared.get(key).map(|entry| entry.created));
    if committed.is_ok() {
        shared.apply(changes);
    }
    for (reply, outcome) in answers {
        let answer = outcome.and_then(|version| committed.clone().map(|()| version));
        // A caller that no longer waits does not need the answer.
        let _ = reply.send(answer);
    }
}

impl Store for EmbeddedStore {
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
        Box::pin(self.writer.write(key, Some(value), expect))
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.writer.write(key, None, expect))
    }
}
