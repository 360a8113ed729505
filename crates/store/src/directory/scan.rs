//! Walks the folder for resource files, and tells cheaply whether a file may have changed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files that are read; all others are passed over.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// Nested directories that are entered; deeper ones are taken for a loop of links.
const DEPTH: usize = 16;
/// A file that was changed this shortly before it was looked at may change once more within the same tick of
/// the file system's clock, so its times prove nothing.
const TICK: Duration = Duration::from_millis(100);

/// The part of a file's metadata that differs when its content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    inode: u64,
    len: u64,
    changed: (i64, i64),
    /// Whether the file was so young that it has to be read again next time.
    pub(super) young: bool,
}

impl Fingerprint {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        Self {
            inode: metadata.ino(),
            len: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            young: age.is_none_or(|age| age < TICK),
        }
    }

    /// Whether a file that once had `self` is surely unchanged, given what it has now.
    pub(super) fn proves(&self, now: &Self) -> bool {
        !self.young && (self.inode, self.len, self.changed) == (now.inode, now.len, now.changed)
    }
}

/// A short word for a file's text, to see that it is the one read last.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Resource files, by path.
    pub(super) files: BTreeMap<PathBuf, Fingerprint>,
    /// Directories and files that could not be looked at, with the reason: what is known of them stays.
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// Finds the resource files below `root`.
pub(super) fn walk(root: &Path) -> Found {
    let mut found = Found::default();
    visit(root, DEPTH, &mut found);
    found
}

fn visit(directory: &Path, depth: usize, found: &mut Found) {
    let children = match fs::read_dir(directory) {
        Ok(children) => children,
        Err(error) => {
            return found.unreadable.push((directory.to_owned(), error.to_string()));
        }
    };
    for child in children {
        match child {
            Ok(child) => visit_child(child.path(), depth, found),
            Err(error) => found.unreadable.push((directory.to_owned(), error.to_string())),
        }
    }
}

fn visit_child(path: PathBuf, depth: usize, found: &mut Found) {
    if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
        return;
    }
    // Follows links: mounted configuration is often a link to a directory that is swapped whole.
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() && depth > 0 => visit(&path, depth - 1, found),
        Ok(metadata) if metadata.is_file() && is_resource_file(&path) => {
            found.files.insert(path, Fingerprint::of(&metadata));
        }
        Ok(_) => {}
        // Gone since the directory was read.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => found.unreadable.push((path, error.to_string())),
    }
}

fn is_resource_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}
