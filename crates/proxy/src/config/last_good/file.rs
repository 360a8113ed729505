//! The file that holds what was in effect: written whole or not at all, checked when it is read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use prost::Message;

use super::LastGood;

const NAME: &str = "last-good.bin";
/// What the file begins with; the number changes with its layout.
const MAGIC: &[u8] = b"meltemi last-good 1\n";
/// Bytes of the checksum after it.
const CHECKSUM: usize = 8;
/// The largest file that is read, bytes.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// What went wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(in crate::config) enum LastGoodError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "cannot write {path}: {source}; check that the directory is writable and the disk has space"
    )]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {reason}")]
    Corrupt { path: PathBuf, reason: String },
}

/// The file in a proxy's cache directory. One process at a time uses it.
#[derive(Debug, Clone)]
pub(in crate::config) struct LastGoodFile {
    path: PathBuf,
}

impl LastGoodFile {
    /// The file in `dir`; nothing is read or made yet.
    pub(in crate::config) fn new(dir: &Path) -> LastGoodFile {
        LastGoodFile { path: dir.join(NAME) }
    }

    /// Where it is.
    pub(in crate::config) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if there is no file. A damaged file is put aside, so that it can be looked at.
    pub(in crate::config) fn read(&self) -> Result<Option<LastGood>, LastGoodError> {
        let failed = |source| LastGoodError::Read { path: self.path.clone(), source };
        let mut content = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        decode(&content).map(Some).map_err(|reason| self.put_aside(reason))
    }

    /// Replaces what it holds.
    pub(in crate::config) fn write(&self, content: &LastGood) -> Result<(), LastGoodError> {
        self.replace(&encode(content))
            .map_err(|source| LastGoodError::Write { path: self.path.clone(), source })
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let temporary = self.path.with_extension("tmp");
        // Left by a process that was killed.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        // Makes the rename itself survive a power cut.
        File::open(dir)?.sync_all()
    }

    fn put_aside(&self, reason: String) -> LastGoodError {
        let aside = self.path.with_extension("corrupt");
        let reason = match fs::rename(&self.path, &aside) {
            Ok(()) => format!("{reason}; it was renamed to {}", aside.display()),
            Err(error) => format!("{reason}; it could not be renamed: {error}"),
        };
        LastGoodError::Corrupt { path: self.path.clone(), reason }
    }
}

fn encode(content: &LastGood) -> Vec<u8> {
    let message = content.encode_to_vec();
    let checksum = checksum(&message).to_be_bytes();
    [MAGIC, &checksum, &message].concat()
}

fn decode(content: &[u8]) -> Result<LastGood, String> {
    if content.len() as u64 > MAX_FILE {
        return Err("it is larger than 256 MiB".into());
    }
    let rest = content.strip_prefix(MAGIC).ok_or("it does not begin as this version writes it")?;
    let (stated, message) = rest.split_first_chunk::<CHECKSUM>().ok_or("it is cut short")?;
    if u64::from_be_bytes(*stated) != checksum(message) {
        return Err("its checksum is wrong".into());
    }
    LastGood::decode(message).map_err(|error| error.to_string())
}

/// FNV-1a: finds accidents, and stays the same over versions of the compiler.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
