//! What the files hold, kept in step with the table: edits become changes, writes become files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::scan::{Fingerprint, digest, walk};
use super::{Codec, Document, Problem, Problems};
use crate::error::{Result, StoreError};
use crate::key::{Key, Selector};
use crate::store::Expect;
use crate::table::{Change, Shared, check};

/// The folder of the core group, whose own name is empty.
const CORE: &str = "core";

/// One file as it was read last.
#[derive(Debug)]
struct Known {
    fingerprint: Fingerprint,
    digest: u64,
    /// What it held when it last could be read.
    documents: Vec<Document>,
    /// Why it cannot be read now.
    broken: Option<String>,
}

/// The thread's view of the folder.
pub(super) struct Tree {
    root: PathBuf,
    codec: Box<dyn Codec>,
    table: Arc<Shared>,
    problems: Problems,
    files: BTreeMap<PathBuf, Known>,
    /// The file that each object is taken from.
    owners: HashMap<Key, PathBuf>,
}

impl Tree {
    pub(super) fn new(
        root: PathBuf,
        codec: Box<dyn Codec>,
        table: Arc<Shared>,
        problems: Problems,
    ) -> Self {
        Self { root, codec, table, problems, files: BTreeMap::new(), owners: HashMap::new() }
    }

    /// Reads what changed in the folder and brings the table in step.
    pub(super) fn look(&mut self) {
        let found = walk(&self.root);
        // What is below an unreadable directory is not gone: it stays as it was last known.
        let hidden =
            |path: &Path| found.unreadable.iter().any(|(above, _)| path.starts_with(above));
        self.files.retain(|path, _| found.files.contains_key(path) || hidden(path));
        for (path, fingerprint) in found.files {
            if !self.files.get(&path).is_some_and(|known| known.fingerprint.proves(&fingerprint)) {
                self.read(path, fingerprint);
            }
        }
        self.reconcile(found.unreadable);
    }

    /// Reads one file. If it is broken, what it held last stays.
    fn read(&mut self, path: PathBuf, fingerprint: Fingerprint) {
        let known = self.files.entry(path.clone()).or_insert_with(|| Known {
            fingerprint,
            digest: 0,
            documents: Vec::new(),
            broken: Some("not read yet".to_owned()),
        });
        known.fingerprint = fingerprint;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                known.broken = Some(format!("cannot be read: {error}"));
                known.digest = 0;
                return;
            }
        };
        let digest = digest(&text);
        if known.digest == digest && known.broken.is_none() {
            return;
        }
        known.digest = digest;
        match self.codec.decode(&path, &text) {
            Ok(documents) => {
                known.documents = documents;
                known.broken = None;
            }
            Err(reason) => known.broken = Some(reason),
        }
    }

    /// Makes the table hold what the files hold, and tells of what is set aside.
    fn reconcile(&mut self, unreadable: Vec<(PathBuf, String)>) {
        let mut problems: Vec<Problem> =
            unreadable.into_iter().map(|(path, message)| Problem { path, message }).collect();
        let mut wanted: BTreeMap<&Key, (&PathBuf, &Bytes)> = BTreeMap::new();
        for (path, known) in &self.files {
            problems.extend(
                known.broken.clone().map(|message| Problem { path: path.clone(), message }),
            );
            for Document { key, value } in &known.documents {
                if let Some((first, _)) = wanted.get(key) {
                    let message =
                        format!("{key} is in {} already; that one counts", first.display());
                    problems.push(Problem { path: path.clone(), message });
                } else {
                    wanted.insert(key, (path, value));
                }
            }
        }
        let listing = self.table.list(&Selector::all());
        let mut version = listing.version;
        let mut changes = Vec::new();
        let mut change = |key: &Key, value: Option<&Bytes>| {
            version += 1;
            changes.push(Change { key: key.clone(), value: value.cloned(), version });
        };
        let current: HashMap<&Key, &Bytes> =
            listing.entries.iter().map(|entry| (&entry.key, &entry.value)).collect();
        current.keys().filter(|key| !wanted.contains_key(*key)).for_each(|key| change(key, None));
        for (key, (_, value)) in &wanted {
            if current.get(key) != Some(value) {
                change(key, Some(value));
            }
        }
        self.owners =
            wanted.into_iter().map(|(key, (path, _))| (key.clone(), path.clone())).collect();
        // First, so that whoever is woken by a change finds the problems of the same reading.
        self.report(problems);
        self.table.apply(changes);
    }

    /// Logs problems that are new, and keeps all for whoever asks.
    fn report(&self, problems: Vec<Problem>) {
        let mut shown = self.problems.lock();
        for problem in problems.iter().filter(|problem| !shown.contains(problem)) {
            tracing::warn!(path = %problem.path.display(), "store: file set aside: {}", problem.message);
        }
        *shown = problems;
    }

    /// Makes a caller's change, if it may be made, in the files and then in the table.
    pub(super) fn write(&mut self, key: Key, value: Option<Bytes>, expect: Expect) -> Result<u64> {
        let path = self.owners.get(&key).cloned().unwrap_or_else(|| self.path_of(&key));
        // An edit that was not noticed yet must not be overwritten unseen.
        let now = fs::metadata(&path).ok().map(|metadata| Fingerprint::of(&metadata));
        let as_known = match (&now, self.files.get(&path)) {
            (Some(now), Some(known)) => known.fingerprint.proves(now),
            (None, None) => true,
            _ => false,
        };
        if !as_known {
            self.look();
        }
        check(&key, self.table.get(&key).map(|entry| entry.version), value.is_some(), expect)?;
        let path = self.owners.get(&key).cloned().unwrap_or(path);
        self.check_own(&key, &path)?;
        let version = self.table.version() + 1;
        match &value {
            Some(value) => self.store(&key, value, &path)?,
            None => self.remove(&path)?,
        }
        self.table.apply(vec![Change { key: key.clone(), value: value.clone(), version }]);
        if value.is_some() {
            self.owners.insert(key, path);
        } else {
            // The object may also be in a file that had not counted so far.
            self.reconcile(Vec::new());
        }
        Ok(version)
    }

    /// Refuses files that hold something else beside this object.
    fn check_own(&self, key: &Key, path: &Path) -> Result<()> {
        let own = match self.files.get(path) {
            None => true,
            Some(known) => {
                known.broken.is_none()
                    && known.documents.iter().all(|document| document.key == *key)
                    && known.documents.len() <= 1
            }
        };
        if own {
            Ok(())
        } else {
            Err(StoreError::Owned { key: key.clone(), path: path.to_owned() })
        }
    }

    fn path_of(&self, key: &Key) -> PathBuf {
        let group = if key.group().is_empty() { CORE } else { key.group() };
        let mut path = self.root.join(group).join(key.plural());
        path.extend(key.namespace.as_deref());
        path.join(format!("{}.yaml", key.name))
    }

    fn store(&mut self, key: &Key, value: &Bytes, path: &Path) -> Result<()> {
        let encode = |reason| StoreError::Encode { key: key.clone(), reason };
        let text = self.codec.encode(path, key, value).map_err(encode)?;
        let metadata = replace(path, &text).map_err(|error| StoreError::io(path, &error))?;
        let known = Known {
            fingerprint: Fingerprint::of(&metadata),
            digest: digest(&text),
            documents: vec![Document { key: key.clone(), value: value.clone() }],
            broken: None,
        };
        self.files.insert(path.to_owned(), known);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io(path, &error));
            }
            _ => {}
        }
        self.files.remove(path);
        sync_parent(path).map_err(|error| StoreError::io(path, &error))
    }
}

/// Puts a file in place whole: written beside, synced, renamed.
fn replace(path: &Path, text: &str) -> io::Result<fs::Metadata> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(parent)?;
    // Hidden, so that no reading takes it for a resource file.
    let beside = parent.join(format!(".{}.new", name.to_string_lossy()));
    let mut file = fs::File::create(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        // The error is what matters; a left-over is hidden and overwritten next time.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_parent(path)?;
    file.metadata()
}

/// Makes a rename or removal durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}
