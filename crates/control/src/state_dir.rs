//! The state directory: made private, held by one control plane at a time, written file by file as a whole.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::control_file::ControlFile;
use crate::error::ControlError;

/// The file whose lock says that a control plane runs.
pub(crate) const LOCK: &str = "lock";
/// The file with the key of join tokens.
const TOKEN_KEY: &str = "token.key";
/// The directory of the CA.
const CA: &str = "ca";
/// The embedded store's file.
const STORE: &str = "store.redb";
/// The file with the token of the API.
const ADMIN_TOKEN: &str = "admin.token";

/// A state directory that this process holds; given back when dropped, also by the kernel after SIGKILL.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl StateDir {
    /// Makes the directory (mode 0700) where it is missing, and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<Self, ControlError> {
        let failed = |at: &Path| {
            let at = at.to_owned();
            move |source| ControlError::StateDir { path: at, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            match path.is_file() {
                true => ControlError::NotADirectory { path: path.into() },
                false => failed(path)(error),
            }
        })?;
        let mode = path.metadata().map_err(failed(path))?.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(ControlError::Exposed { path: path.into(), mode });
        }
        let lock_path = path.join(LOCK);
        let lock = open_private(&lock_path).map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(source)) => return Err(failed(&lock_path)(source)),
        }
        Ok(StateDir { path: path.into(), _lock: lock })
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the CA is kept.
    pub(crate) fn ca(&self) -> PathBuf {
        self.path.join(CA)
    }

    /// Where the embedded store is kept.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// Whether a control plane has worked here before, but its embedded store is not there.
    pub(crate) fn has_lost_its_store(&self) -> bool {
        let is_there = |path: PathBuf| path.try_exists().unwrap_or(true);
        is_there(token_key(&self.path)) && !is_there(self.store())
    }

    /// The audit log, where no other file is named.
    pub(crate) fn audit_log(&self) -> PathBuf {
        audit_log(&self.path)
    }

    /// Which single-use tokens were used.
    pub(crate) fn spent_tokens(&self) -> PathBuf {
        self.path.join("spent-tokens")
    }

    /// What became of calls, of the last hour.
    pub(crate) fn outcomes(&self) -> PathBuf {
        self.path.join("outcomes")
    }

    /// Where the API's token is kept.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.path.join(ADMIN_TOKEN)
    }
}

/// The audit log of a state directory.
pub(crate) fn audit_log(state_dir: &Path) -> PathBuf {
    state_dir.join("audit.log")
}

/// Where the key of join tokens is kept.
pub(crate) fn token_key(state_dir: &Path) -> PathBuf {
    state_dir.join(TOKEN_KEY)
}

fn in_use(path: &Path) -> ControlError {
    let holder = ControlFile::read(path).map(|file| format!(" (process {})", file.pid));
    ControlError::InUse { path: path.into(), holder: holder.unwrap_or_default() }
}

/// Opens a file for writing, as it is; makes it, mode 0600, where it is missing.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Writes a file of mode 0600, whole or not at all: beside its place, synced, renamed.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        // The first error is what matters.
        let _ = std::fs::remove_file(&beside);
        return Err(error);
    }
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_state_directory_is_private_and_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = StateDir::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        let refused = StateDir::open(&path).unwrap_err();
        assert!(matches!(refused, ControlError::InUse { .. }), "{refused}");
        drop(held);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let message = StateDir::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("1777") && message.contains("chmod go-w"), "{message}");
    }

    #[test]
    fn a_path_that_cannot_be_a_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_owned(), file.path().join("x"), "/proc/none".into()] {
            let message = StateDir::open(&path).unwrap_err().to_string();
            assert!(message.contains(&*path.to_string_lossy()), "{message}");
            assert!(message.contains("--state-dir"), "{message}");
        }
        let message = StateDir::open(file.path()).unwrap_err().to_string();
        assert!(message.contains("is a file") && !message.contains("writable"), "{message}");
    }

    #[test]
    fn a_private_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
