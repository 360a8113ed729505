//! The proxy's own directory: certificate and last good configuration, held by one proxy at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock says that the proxy runs.
const LOCK: &str = "lock";
/// Marks a directory that goes with its proxy, also when the proxy was killed.
const EPHEMERAL: &str = "ephemeral";

/// Why a proxy has no directory.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or written.
    #[error(
        "cannot write {path}: {source}; make it writable, free some space, or choose another --state-dir"
    )]
    Write {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another proxy of the same name holds it.
    #[error(
        "a proxy of the workload {namespace}/{workload} runs already with {path}: choose another --name, or stop that one"
    )]
    Held {
        /// The workload's namespace.
        namespace: String,
        /// The workload's name.
        workload: String,
        /// The directory.
        path: PathBuf,
    },
}

/// A directory that this process holds. The kernel gives it back also after SIGKILL.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    ephemeral: bool,
    /// Held for its lock.
    _lock: File,
}

impl Home {
    /// Makes `STATE/proxies/NAMESPACE/WORKLOAD` (mode 0700) where it is missing, and takes hold of it.
    pub(super) fn open(
        state_dir: &Path,
        namespace: &str,
        workload: &str,
        ephemeral: bool,
    ) -> Result<Self, HomeError> {
        let siblings = state_dir.join("proxies").join(namespace);
        let path = siblings.join(workload);
        make_dir(&path)?;
        let lock = lock(&path)?.ok_or_else(|| HomeError::Held {
            namespace: namespace.into(),
            workload: workload.into(),
            path: path.clone(),
        })?;
        if ephemeral {
            let mark = path.join(EPHEMERAL);
            fs::write(&mark, "").map_err(|source| HomeError::Write { path: mark, source })?;
            sweep(&siblings, &path);
        }
        Ok(Home { path, ephemeral, _lock: lock })
    }

    /// Where certificate and key are kept.
    pub(super) fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    /// Where what the mesh said of how the proxy runs is kept.
    pub(super) fn proxy_config(&self) -> PathBuf {
        self.path.join("proxy-config")
    }

    /// Where the last good configuration is kept; nowhere if the directory goes with the proxy: no start would read it, and
    /// who writes it might do so after the directory has gone.
    pub(super) fn configuration(&self) -> Option<PathBuf> {
        (!self.ephemeral).then(|| self.path.join("configuration"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.ephemeral {
            // Else the next proxy without a name sweeps it up.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make_dir(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| HomeError::Write { path: path.into(), source })
}

/// The lock of a directory; `None` if another process has it.
fn lock(dir: &Path) -> Result<Option<File>, HomeError> {
    let path = dir.join(LOCK);
    let failed = |source| HomeError::Write { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Removes what killed proxies without a name have left. The mark is written under the lock, so that a directory with
/// the mark and without a holder is nobody's.
fn sweep(siblings: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(siblings) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != own) {
        if path.join(EPHEMERAL).exists()
            && let Ok(Some(_held)) = lock(&path)
            && let Err(error) = fs::remove_dir_all(&path)
        {
            tracing::debug!(path = %path.display(), %error, "an old directory could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_workload_has_one_proxy_at_a_time_and_keeps_what_is_its_own() {
        let state = tempfile::tempdir().unwrap();
        let home = Home::open(state.path(), "default", "hello-1", false).unwrap();
        let path = state.path().join("proxies/default/hello-1");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        let refused = Home::open(state.path(), "default", "hello-1", false).unwrap_err();
        let message = refused.to_string();
        assert!(message.contains("default/hello-1") && message.contains("--name"), "{message}");
        fs::write(path.join("x"), "").unwrap();
        drop(home);
        Home::open(state.path(), "default", "hello-1", false).unwrap();
        assert!(path.join("x").exists());
    }

    #[test]
    fn a_run_without_a_name_leaves_nothing_and_sweeps_what_killed_ones_left() {
        let state = tempfile::tempdir().unwrap();
        let namespace = state.path().join("proxies/default");
        let killed = namespace.join("hello-killed");
        make_dir(&killed).unwrap();
        fs::write(killed.join(EPHEMERAL), "").unwrap();
        let named = Home::open(state.path(), "default", "hello-1", false).unwrap();
        let running = Home::open(state.path(), "default", "hello-a", true).unwrap();
        let second = Home::open(state.path(), "default", "hello-b", true).unwrap();
        assert!(!killed.exists());
        assert!(running.path.exists() && named.path.exists());
        assert!(running.configuration().is_none() && named.configuration().is_some());
        drop((running, second, named));
        let left: Vec<_> = fs::read_dir(&namespace).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_is_named_with_the_flag() {
        let message =
            Home::open(Path::new("/proc/none"), "default", "x", false).unwrap_err().to_string();
        assert!(message.contains("/proc/none") && message.contains("--state-dir"), "{message}");
    }
}
