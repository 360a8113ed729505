//! The objects in memory and the bounded history of their changes: what every local backend reads from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::error::{Result, StoreError};
use crate::key::{Key, Selector};
use crate::store::{Entry, Event, Expect, Listing};
use crate::watch::Watch;

/// How much history is kept for watchers that come back or fall behind. What no longer fits expires.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Changes kept.
    pub events: usize,
    /// Bytes of object values kept with them.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 8192, bytes: 64 << 20 }
    }
}

/// A version to start from for stores that do not keep their counter: the clock in microseconds, so that
/// versions of an earlier life are recognised as such and not mistaken for those of this one.
pub(crate) fn first_version() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2)
}

/// The objects, their version counter and the changes that led here.
#[derive(Debug)]
pub(crate) struct Table {
    objects: BTreeMap<Key, Entry>,
    version: u64,
    history: VecDeque<Event>,
    history_bytes: usize,
    /// The version before the oldest event in `history`.
    floor: u64,
    limits: Limits,
}

impl Table {
    fn get(&self, key: &Key) -> Option<&Entry> {
        self.objects.get(key)
    }

    fn list(&self, selector: &Selector) -> Listing {
        let entries = self
            .objects
            .range((selector.start(), std::ops::Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(|entry| selector.may_follow(&entry.key))
            .filter(|entry| selector.matches(&entry.key))
            .cloned()
            .collect();
        Listing { entries, version: self.version }
    }

    /// The matching events among the next `batch` changes after `from`, and the version looked up to.
    pub(crate) fn since(
        &self,
        from: u64,
        selector: &Selector,
        batch: usize,
    ) -> Result<(VecDeque<Event>, u64)> {
        if from < self.floor || from > self.version {
            return Err(StoreError::Expired { requested: from, oldest: self.floor });
        }
        let start = self.history.partition_point(|event| event.version() <= from);
        let end = self.history.len().min(start.saturating_add(batch));
        let seen = match end.checked_sub(1).filter(|_| end < self.history.len()) {
            Some(last) => self.history[last].version(),
            None => self.version,
        };
        let events = self
            .history
            .range(start..end)
            .filter(|event| selector.matches(&event.entry().key))
            .cloned()
            .collect();
        Ok((events, seen))
    }

    /// Makes a change and remembers it. Its version must be above every earlier one.
    fn apply(&mut self, Change { key, value, version }: Change) {
        let before = self.objects.remove(&key);
        let Some(value) = value else {
            if let Some(entry) = before {
                self.remember(Event::Deleted(Entry { version, ..entry }));
            }
            return;
        };
        let created = before.as_ref().map_or(version, |entry| entry.created);
        let entry = Entry { key: key.clone(), version, created, value };
        self.objects.insert(key, entry.clone());
        self.remember(Event::Put { entry, previous: before.map(|entry| entry.value) });
    }

    fn remember(&mut self, event: Event) {
        self.version = event.version();
        self.history_bytes += event.entry().value.len();
        self.history.push_back(event);
        while self.history.len() > self.limits.events || self.history_bytes > self.limits.bytes {
            let Some(oldest) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= oldest.entry().value.len();
            self.floor = oldest.version();
        }
    }
}

/// Whether a write (`true`) or deletion (`false`) may go ahead, given the version that is there now.
///
/// # Errors
/// `AlreadyExists`, `NotFound` or `Conflict`.
pub(crate) fn check(key: &Key, current: Option<u64>, is_put: bool, expect: Expect) -> Result<()> {
    match (expect, current) {
        (_, None) if !is_put => Err(StoreError::NotFound { key: key.clone() }),
        (Expect::Any, _) | (Expect::Absent, None) => Ok(()),
        (Expect::Absent, Some(version)) => {
            Err(StoreError::AlreadyExists { key: key.clone(), version })
        }
        (Expect::Version(_), None) => Err(StoreError::NotFound { key: key.clone() }),
        (Expect::Version(expected), Some(found)) if expected == found => Ok(()),
        (Expect::Version(expected), Some(found)) => {
            Err(StoreError::Conflict { key: key.clone(), expected, found })
        }
    }
}

/// One committed change on its way into the table: a value, or `None` for a deletion.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) value: Option<Bytes>,
    pub(crate) version: u64,
}

/// The table as it is shared between readers, the one writer, and watchers.
#[derive(Debug)]
pub(crate) struct Shared {
    table: Arc<RwLock<Table>>,
    head: watch::Sender<u64>,
}

impl Shared {
    /// A table that starts with these objects, at this version.
    pub(crate) fn new(
        objects: impl IntoIterator<Item = Entry>,
        version: u64,
        limits: Limits,
    ) -> Self {
        let objects = objects.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        let table = Table {
            objects,
            version,
            history: VecDeque::new(),
            history_bytes: 0,
            floor: version,
            limits,
        };
        Self { table: Arc::new(RwLock::new(table)), head: watch::Sender::new(version) }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        self.table.read().get(key).cloned()
    }

    pub(crate) fn list(&self, selector: &Selector) -> Listing {
        self.table.read().list(selector)
    }

    pub(crate) fn version(&self) -> u64 {
        self.table.read().version
    }

    pub(crate) fn watch(&self, selector: &Selector, from: u64) -> Result<Watch> {
        self.table.read().since(from, selector, 0)?;
        Ok(Watch::of_table(Arc::clone(&self.table), self.head.subscribe(), selector.clone(), from))
    }

    /// Checks, assigns the next version and applies, all as one step. For the backend without a disk.
    pub(crate) fn write(&self, key: Key, value: Option<Bytes>, expect: Expect) -> Result<u64> {
        let mut table = self.table.write();
        check(&key, table.get(&key).map(|entry| entry.version), value.is_some(), expect)?;
        let version = table.version + 1;
        table.apply(Change { key, value, version });
        drop(table);
        self.head.send_replace(version);
        Ok(version)
    }

    /// Applies changes that were checked and committed elsewhere, and wakes the watchers.
    pub(crate) fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut table = self.table.write();
        for change in changes {
            table.apply(change);
        }
        let version = table.version;
        drop(table);
        self.head.send_replace(version);
    }
}
