//! Files that hold secrets: written whole or not at all, and readable by their owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The largest key, token or certificate file that is read; real ones have a few kilobytes.
const MAX_FILE: u64 = 1 << 20;

/// What went wrong with a file of the identity crate, and with which.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file or directory could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file or directory could not be written.
    #[error(
        "cannot write {path}: {source}; check that the directory is writable and the disk has space"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A secret is readable by others than its owner.
    #[error(
        "{path} holds a private key but has mode {mode:04o}: others can read it; run `chmod 600 {path}`, and replace the key if it may have been read"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is far larger than anything that belongs here.
    #[error("{path} is larger than 1 MiB, which no key or certificate file is")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// Whether the file is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Whether only the owner can read the file.
pub fn is_private(path: &Path) -> Result<bool, FileError> {
    Ok(mode(path)? & 0o077 == 0)
}

/// Makes the directory (mode 0700) where it is missing; an existing one is tightened to 0700 if it is
/// ours.
pub(crate) fn make_dir(dir: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: dir.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    if mode(dir)? & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Writes a secret: a temporary file of mode 0600 beside it, synced, then renamed over it.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write(path, content, 0o600)
}

/// Writes a public file (a certificate) in the same way, with mode 0644.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write(path, content, 0o644)
}

/// Creates a secret unless the file exists already, and reads back what is there: two processes that
/// start at once agree on one secret.
pub(crate) fn create_secret(path: &Path, content: &[u8]) -> Result<String, FileError> {
    let failed = |source| FileError::Write { path: path.into(), source };
    let temporary = write_temporary(path, content, 0o600)?;
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => sync_dir_of(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    read_secret(path)
}

/// Reads a secret; one that others can read is refused.
pub(crate) fn read_secret(path: &Path) -> Result<String, FileError> {
    let mode = mode(path)? & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.into(), mode });
    }
    read(path)
}

/// Reads a text file of bounded size.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(FileError::TooLarge { path: path.into() });
    }
    Ok(text)
}

fn mode(path: &Path) -> Result<u32, FileError> {
    let metadata =
        fs::metadata(path).map_err(|source| FileError::Read { path: path.into(), source })?;
    Ok(metadata.mode())
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = write_temporary(path, content, mode)?;
    fs::rename(&temporary, path).map_err(|source| {
        let _ = fs::remove_file(&temporary);
        FileError::Write { path: path.into(), source }
    })?;
    sync_dir_of(path)
}

/// Writes a synced file with a name that no other process uses, in the same directory (a rename
/// across file systems is not atomic).
fn write_temporary(path: &Path, content: &[u8], mode: u32) -> Result<PathBuf, FileError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let temporary = path.with_file_name(name);

    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).and_then(
            |mut file| {
                file.write_all(content)?;
                file.sync_all()
            },
        );
    match written {
        Ok(()) => Ok(temporary),
        Err(source) => {
            let _ = fs::remove_file(&temporary);
            Err(FileError::Write { path: path.into(), source })
        }
    }
}

/// Makes the rename itself survive a power cut.
fn sync_dir_of(path: &Path) -> Result<(), FileError> {
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else {
        return Ok(());
    };
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| FileError::Write { path: dir.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_readable_by_its_owner_alone_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        write_secret(&path, b"one").unwrap();
        write_secret(&path, b"two").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "two");
        assert!(is_private(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        write_public(&path, b"secret").unwrap();
        let message = read_secret(&path).unwrap_err().to_string();
        assert!(message.contains("0644") && message.contains("chmod 600"), "{message}");
    }

    #[test]
    fn the_first_creation_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.key");
        assert_eq!(create_secret(&path, b"first").unwrap(), "first");
        assert_eq!(create_secret(&path, b"second").unwrap(), "first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let message = write_secret(Path::new("/proc/none/key.pem"), b"x").unwrap_err().to_string();
        assert!(message.contains("/proc/none/key.pem"), "{message}");
    }
}
