//! What can go wrong in a store: the caller's expectation, the watcher's pace, or the disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::key::Key;

/// A store's answer.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store refused or failed. Cheap to clone, so that one failed commit can be told to every writer in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The object was expected to be absent.
    #[error("{key} already exists, at version {version}")]
    AlreadyExists {
        /// The object.
        key: Key,
        /// Its version.
        version: u64,
    },
    /// The object was expected to be there.
    #[error("{key} does not exist")]
    NotFound {
        /// The object.
        key: Key,
    },
    /// The object has changed since the version that the caller had read.
    #[error("{key} is at version {found}, not at {expected}: read it again and repeat the change")]
    Conflict {
        /// The object.
        key: Key,
        /// The version that the caller had read.
        expected: u64,
        /// The version that stands in the store.
        found: u64,
    },
    /// The history no longer reaches back to the version asked for; the caller lists anew and watches from there.
    #[error(
        "version {requested} is not in the history, which starts after {oldest}: list again and watch from there"
    )]
    Expired {
        /// The version asked for.
        requested: u64,
        /// The oldest version from which a watch can start.
        oldest: u64,
    },
    /// A part of the key is empty, too long, or holds characters that cannot be kept.
    #[error(
        "{key:?} cannot be a key: parts must be 1 to 253 characters without '/', and not begin with '.'"
    )]
    InvalidKey {
        /// The key.
        key: Key,
    },
    /// The object comes from a file with several documents, which a person keeps.
    #[error("{key} is one of several documents in {}, which is not written by the API: edit that file", path.display())]
    Owned {
        /// The object.
        key: Key,
        /// The file that holds it.
        path: PathBuf,
    },
    /// Another store holds the folder.
    #[error(
        "another control plane runs on {}: one at a time, as each takes out what it does not know; stop it, or choose another --store",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The document could not be written as a file.
    #[error("{key} cannot be written as a file: {reason}")]
    Encode {
        /// The object.
        key: Key,
        /// What the codec said.
        reason: String,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process: stop it, or choose another --state-dir", path.display())]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// No space, or no quota, is left.
    #[error("no space left to write {}: {reason}; free some and try again", path.display())]
    Full {
        /// The store's file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The store may not be written.
    #[error("{} cannot be written: {reason}; make it writable, or choose another --state-dir", path.display())]
    ReadOnly {
        /// The store's file or directory.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is not a store of ours, or is damaged.
    #[error("{} is not a readable store: {reason}; restore it from a copy, or move it away to start empty", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading, writing or watching failed for another reason.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The store has been shut down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// An I/O error told apart by what the operator has to do about it.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, reason }
            }
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full { path, reason },
            _ => Self::Io { path, reason },
        }
    }
}
