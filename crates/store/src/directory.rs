//! The store for GitOps: a folder of YAML or JSON files is the truth, watched for edits.
//!
//! A file may hold several documents. A write by the API goes to the object's own file,
//! `GROUP/PLURAL/NAMESPACE/NAME.yaml` (`core` for the core group), or in place to the file that holds this one
//! object already. An object from a file of several documents is not written by the API
//! ([`StoreError::Owned`]): a person keeps that file, with its order and comments. A file that cannot be read
//! as resources is set aside and told of by [`DirectoryStore::problems`]; what it held last stays. When two files hold
//! the same object, the first by path counts. Hidden files and directories are passed over.
//!
//! Versions are not in the files: they start anew from the clock, above those of an earlier life.

mod scan;
mod tree;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use self::tree::Tree;
use crate::error::{Result, StoreError};
use crate::key::{Key, Selector};
use crate::store::{BoxFuture, Entry, Expect, Listing, Store};
use crate::table::{Limits, Shared, first_version};
use crate::watch::Watch;
use crate::writer::{Message, Writer};

/// How long after the first sign of an edit the folder is read, so that most files are then whole.
const SETTLE: Duration = Duration::from_millis(20);

/// Reads and writes the text of files; the store itself does not know what a resource is.
pub trait Codec: Send + Sync + 'static {
    /// The objects in a file.
    ///
    /// # Errors
    /// What is wrong with the file, for the operator, without the path.
    fn decode(&self, path: &Path, text: &str) -> Result<Vec<Document>, String>;

    /// The text of a file that holds this one object (JSON in `value`).
    ///
    /// # Errors
    /// Why it cannot be written.
    fn encode(&self, path: &Path, key: &Key, value: &[u8]) -> Result<String, String>;
}

/// One object as read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it belongs.
    pub key: Key,
    /// The object as JSON.
    pub value: Bytes,
}

/// A file that was set aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// What is set aside at present, shared between the thread and whoever asks.
type Problems = Arc<Mutex<Vec<Problem>>>;

/// Keeps objects in a folder of files.
#[derive(Debug)]
pub struct DirectoryStore {
    // Dropped first, so that no more signs of edits arrive while the writer ends.
    _watcher: RecommendedWatcher,
    shared: Arc<Shared>,
    problems: Problems,
    writer: Writer,
    /// Fields are dropped in order: the folder is let go of once nobody writes.
    _lock: Option<File>,
}

impl DirectoryStore {
    /// Opens the folder, makes it if it is missing where there is one around it, and reads it. One store holds a folder at
    /// a time. Waits for the disk: call it at start, or on a blocking thread.
    ///
    /// # Errors
    /// `InUse` while another store holds the folder. `ReadOnly`, `Full` or `Io` when the folder cannot be read, made or
    /// watched. Broken files are no error.
    pub fn open(root: impl AsRef<Path>, codec: impl Codec) -> Result<Self> {
        let root = root.as_ref();
        make(root)?;
        let root = &root.canonicalize().map_err(|error| StoreError::io(root, &error))?;
        let lock = hold(root)?;
        let (sender, receiver) = mpsc::channel();
        let pending = Arc::new(AtomicBool::new(false));
        // Watching begins before the first reading, so that no edit falls between the two.
        let sender = Arc::new(sender);
        // The watcher's hold is weak: it must not keep the thread from ending.
        let watcher = watch(root, Arc::downgrade(&sender), Arc::clone(&pending))?;

        let shared = Arc::new(Shared::new([], first_version(), Limits::default()));
        let problems = Problems::default();
        let mut tree =
            Tree::new(root.clone(), Box::new(codec), Arc::clone(&shared), Arc::clone(&problems));
        tree.look();
        let writer =
            Writer::start(sender, receiver, move |messages| run(&messages, &pending, tree))
                .map_err(|error| StoreError::io(root, &error))?;
        Ok(Self { _watcher: watcher, shared, problems, writer, _lock: lock })
    }

    /// The files that are set aside at present.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.lock().clone()
    }
}

/// Makes the folder where it is missing. That is told, and nothing is made around it: a name that is written wrong, or a file
/// system that is not mounted yet, would be an empty mesh without policies.
fn make(root: &Path) -> Result<()> {
    match std::fs::create_dir(root) {
        Ok(()) => {
            tracing::warn!(path = %root.display(), "store: the folder was not there: made, and nothing is in it");
            Ok(())
        }
        Err(_) if root.is_dir() => Ok(()),
        Err(error) => Err(StoreError::io(root, &error)),
    }
}

/// Holds the folder by a lock on itself: what mirrors a repository into it would delete a file for that.
fn hold(root: &Path) -> Result<Option<File>> {
    let folder = File::open(root).map_err(|error| StoreError::io(root, &error))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: root.to_owned() }),
        // Some file systems of the network have no locks for folders.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %root.display(), %error, "store: the folder cannot be locked: see that nobody else runs on it");
            Ok(None)
        }
    }
}

/// Has the thread woken by edits below `root`.
fn watch(
    root: &Path,
    sender: Weak<Sender<Message>>,
    pending: Arc<AtomicBool>,
) -> Result<RecommendedWatcher> {
    let failed = |error: notify::Error| StoreError::Io {
        path: root.to_owned(),
        reason: format!("cannot be watched for edits: {error}"),
    };
    let on_event = move |event: notify::Result<notify::Event>| {
        // Reading the files raises access events, which would wake the reader for ever.
        if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            return;
        }
        if let Some(sender) = sender.upgrade().filter(|_| !pending.swap(true, Ordering::AcqRel)) {
            // Without a receiver the store is closing.
            let _ = sender.send(Message::Look);
        }
    };
    let mut watcher = notify::recommended_watcher(on_event).map_err(failed)?;
    watcher.watch(root, RecursiveMode::Recursive).map_err(failed)?;
    Ok(watcher)
}

/// The thread: writes for callers at once, and reads the folder a moment after an edit.
fn run(messages: &Receiver<Message>, pending: &AtomicBool, mut tree: Tree) {
    let mut due: Option<Instant> = None;
    loop {
        let next = match due {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match next {
            Ok(Message::Look) => due = due.or_else(|| Some(Instant::now() + SETTLE)),
            Ok(Message::Write(write)) => {
                let outcome = tree.write(write.key, write.value, write.expect);
                // A caller that no longer waits does not need the answer.
                let _ = write.reply.send(outcome);
            }
            Err(RecvTimeoutError::Timeout) => {
                due = None;
                // Cleared before reading: an edit during it calls for another.
                pending.store(false, Ordering::Release);
                tree.look();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Store for DirectoryStore {
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
