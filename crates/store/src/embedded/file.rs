//! The redb file itself: its layout, loading it whole, committing a batch, and coming back from a full disk.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use crate::error::{Result, StoreError};
use crate::key::Key;
use crate::store::Entry;
use crate::table::Change;

/// Objects: key as `KIND NUL NAMESPACE NUL NAME`, value as version, created (both big-endian u64), JSON.
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
/// Counters: the store's version, and the number of this layout.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
const VERSION: &str = "version";
const LAYOUT: &str = "layout";
const THIS_LAYOUT: u64 = 1;
const HEADER: usize = 16;
/// Bytes of redb's page cache.
const CACHE: usize = 8 << 20;
/// Namespaces are never called this: it stands for "none" and sorts first.
const NO_NAMESPACE: &str = "";

/// An open store file. After a failed commit the database is closed, and opened again for the next one.
pub(super) struct File {
    path: PathBuf,
    database: Option<Database>,
    /// The version of the last commit known to be on the disk.
    version: u64,
    /// Whether the path can be opened again.
    reopens: bool,
}

impl File {
    /// Opens the file that is there, or makes one. A file without content is damaged and no new store: what it held, rules of
    /// who may call whom among it, would be gone without a word.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = match fs::metadata(path) {
            Ok(there) if there.is_file() && there.len() == 0 => {
                let reason = "it is empty, as a full disk or a crash of the file system leaves it";
                return Err(StoreError::Corrupt { path: path.to_owned(), reason: reason.into() });
            }
            Ok(_) => builder().open(path).map_err(|error| explain(path, error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(StoreError::io(path, &error)),
        };
        Ok(Self { path: path.to_owned(), database: Some(database), version: 0, reopens: true })
    }

    pub(super) fn of_backend(name: &Path, backend: impl StorageBackend) -> Result<Self> {
        let database =
            builder().create_with_backend(backend).map_err(|error| explain(name, error.into()))?;
        Ok(Self { path: name.to_owned(), database: Some(database), version: 0, reopens: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all objects and the version; makes the tables in a new file.
    pub(super) fn load(&mut self) -> Result<(Vec<Entry>, u64)> {
        let database = self.database.as_ref().ok_or(StoreError::Closed)?;
        let loaded = load(database).map_err(|error| explain(&self.path, error))?;
        let (entries, version) =
            loaded.map_err(|reason| StoreError::Corrupt { path: self.path.clone(), reason })?;
        self.version = version;
        Ok((entries, version))
    }

    /// Makes the changes durable, all or none. `created` finds the version with which an object that was
    /// there before these changes came into being.
    pub(super) fn commit(
        &mut self,
        changes: &[Change],
        created: impl Fn(&Key) -> Option<u64>,
    ) -> Result<()> {
        let Some(last) = changes.last() else {
            return Ok(());
        };
        self.reopen()?;
        let database = self.database.as_ref().ok_or(StoreError::Closed)?;
        match write(database, changes, created) {
            Ok(()) => {
                self.version = last.version;
                Ok(())
            }
            Err(error) => {
                // redb refuses everything after a failed write; a fresh start recovers once there is space.
                self.database = None;
                let error = explain(&self.path, error);
                tracing::error!(%error, "store: a write failed");
                Err(error)
            }
        }
    }

    /// Opens the database again after a failed commit, if the disk holds exactly what memory holds.
    fn reopen(&mut self) -> Result<()> {
        if self.database.is_some() {
            return Ok(());
        }
        if !self.reopens {
            return Err(StoreError::Closed);
        }
        let database =
            builder().open(&self.path).map_err(|error| explain(&self.path, error.into()))?;
        let on_disk = version(&database).map_err(|error| explain(&self.path, error))?;
        if on_disk != self.version {
            // The commit that was reported as failed did reach the disk: only a restart shows it to all.
            return Err(StoreError::Io {
                path: self.path.clone(),
                reason: "the disk failed during a write: restart the control plane to go on"
                    .to_owned(),
            });
        }
        self.database = Some(database);
        Ok(())
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Makes a store: beside its place, and put there when it is on the disk as a whole, so that a kill leaves nothing that looks damaged.
/// It is private from its beginning, as it will hold secrets.
fn create(path: &Path) -> Result<Database> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // What a start that was killed has left. What cannot be removed cannot be made anew either, which is told.
    let _ = fs::remove_file(&beside);
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| StoreError::io(path, &error))
        .and_then(|_| fill(&beside, path));
    if made.is_err() {
        let _ = fs::remove_file(&beside);
    }
    made
}

/// Makes an empty database of an empty file, and gives it its name.
fn fill(beside: &Path, path: &Path) -> Result<Database> {
    let database = builder().create(beside).map_err(|error| explain(path, error.into()))?;
    load(&database)
        .map_err(|error| explain(path, error))?
        .map_err(|reason| StoreError::Corrupt { path: path.to_owned(), reason })?;
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(beside, path)
        .and_then(|()| fs::File::open(directory)?.sync_all())
        .map_err(|error| StoreError::io(path, &error))?;
    Ok(database)
}

/// redb with a small cache: reads are answered from the table in memory, not from here.
fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

fn version(database: &Database) -> Result<u64, redb::Error> {
    let counters = database.begin_read()?.open_table(COUNTERS)?;
    Ok(counters.get(VERSION)?.map_or(0, |guard| guard.value()))
}

type Loaded = Result<(Vec<Entry>, u64), String>;

fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_write()?;
    let mut entries = Vec::new();
    let version;
    {
        let mut counters = transaction.open_table(COUNTERS)?;
        let layout = counters.get(LAYOUT)?.map(|guard| guard.value());
        match layout {
            None => drop(counters.insert(LAYOUT, THIS_LAYOUT)?),
            Some(THIS_LAYOUT) => {}
            Some(other) => {
                return Ok(Err(format!("layout {other} was written by a newer Meltemi")));
            }
        }
        version = counters.get(VERSION)?.map_or(0, |guard| guard.value());
        let objects = transaction.open_table(OBJECTS)?;
        for row in objects.iter()? {
            let (key, value) = row?;
            match decode(key.value(), value.value()) {
                Some(entry) => entries.push(entry),
                None => return Ok(Err(format!("the row of key {:?} is damaged", key.value()))),
            }
        }
    }
    transaction.commit()?;
    Ok(Ok((entries, version)))
}

fn write(
    database: &Database,
    changes: &[Change],
    created: impl Fn(&Key) -> Option<u64>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut births: HashMap<&Key, Option<u64>> = HashMap::new();
        for Change { key, value, version } in changes {
            let birth = births.entry(key).or_insert_with(|| created(key));
            let row = encode_key(key);
            if let Some(value) = value {
                let born = *birth.get_or_insert(*version);
                objects.insert(row.as_str(), encode(*version, born, value).as_slice())?;
            } else {
                *birth = None;
                objects.remove(row.as_str())?;
            }
        }
        if let Some(last) = changes.last() {
            transaction.open_table(COUNTERS)?.insert(VERSION, last.version)?;
        }
    }
    // The default durability is "immediate": the commit returns after the sync.
    transaction.commit()?;
    Ok(())
}

fn encode_key(key: &Key) -> String {
    let namespace = key.namespace.as_deref().unwrap_or(NO_NAMESPACE);
    format!("{}\0{namespace}\0{}", key.kind, key.name)
}

fn encode(version: u64, created: u64, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + value.len());
    row.extend_from_slice(&version.to_be_bytes());
    row.extend_from_slice(&created.to_be_bytes());
    row.extend_from_slice(value);
    row
}

fn decode(key: &str, row: &[u8]) -> Option<Entry> {
    let mut parts = key.split('\0');
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let namespace = (namespace != NO_NAMESPACE).then(|| namespace.to_owned());
    let (version, rest) = row.split_first_chunk::<8>()?;
    let (created, value) = rest.split_first_chunk::<8>()?;
    Some(Entry {
        key: Key { kind: kind.to_owned(), namespace, name: name.to_owned() },
        version: u64::from_be_bytes(*version),
        created: u64::from_be_bytes(*created),
        value: Bytes::copy_from_slice(value),
    })
}

/// redb's error in terms of what the operator has to do.
fn explain(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::Locked { path }
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            StoreError::Corrupt { path, reason: error.to_string() }
        }
        redb::Error::Io(error) => StoreError::io(&path, &error),
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. } => {
            StoreError::Corrupt { path, reason: error.to_string() }
        }
        error => StoreError::Io { path, reason: error.to_string() },
    }
}
