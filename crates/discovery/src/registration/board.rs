//! The groups of the store as they are now, for members to follow: one watch for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meltemi_store::{Entry, Event, Key, Selector, Store, StoreError};
use tokio::sync::watch;

use super::group::Group;

/// The API group of the kind.
const GROUP: &str = "networking.istio.io";
/// The kind's plural.
const GROUPS: &str = "workloadgroups";
/// The wait before a watch that broke is begun anew.
const AGAIN: Duration = Duration::from_secs(1);

/// The groups by key.
type Groups = BTreeMap<Key, Arc<Group>>;

/// A member's view of the groups.
pub(super) type News = watch::Receiver<Groups>;

/// Tells members of changes of their groups.
#[derive(Debug)]
pub(super) struct Board {
    groups: watch::Sender<Groups>,
}

/// The key of a group.
pub(super) fn key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, GROUPS, Some(namespace), name)
}

/// A group as an entry of the store has it.
pub(super) fn read(entry: &Entry) -> Result<Arc<Group>, String> {
    let object = serde_json::from_slice(&entry.value).map_err(|error| error.to_string())?;
    Group::read(&entry.key.name, entry.version, object).map(Arc::new)
}

impl Board {
    pub(super) fn new() -> Self {
        Board { groups: watch::Sender::new(Groups::new()) }
    }

    /// Follows the store, for ever.
    pub(super) async fn run(&self, store: &dyn Store) {
        loop {
            let error = self.follow(store).await;
            tracing::debug!(%error, "workload groups are listed anew");
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn follow(&self, store: &dyn Store) -> StoreError {
        let selector = Selector::kind(meltemi_store::kind(GROUP, GROUPS));
        let listing = match store.list(&selector).await {
            Ok(listing) => listing,
            Err(error) => return error,
        };
        self.groups.send_modify(|groups| {
            groups.retain(|key, _| listing.entries.iter().any(|entry| entry.key == *key));
            listing.entries.iter().for_each(|entry| put(groups, entry));
        });
        let mut watch = match store.watch(&selector, listing.version).await {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        loop {
            match watch.next().await {
                Ok(Event::Put { entry, .. }) => {
                    self.groups.send_modify(|groups| put(groups, &entry));
                }
                Ok(Event::Deleted(entry)) => {
                    self.groups.send_modify(|groups| drop(groups.remove(&entry.key)));
                }
                Err(error) => return error,
            }
        }
    }

    /// Follows the groups.
    pub(super) fn subscribe(&self) -> News {
        self.groups.subscribe()
    }
}

/// Waits for a newer version of a group. A group that is deleted leaves its members as they are, as Istio does.
pub(super) async fn newer(groups: &mut News, key: &Key, version: u64) -> Arc<Group> {
    let is_newer = |group: &&Arc<Group>| group.version > version;
    let found = groups.wait_for(|groups| groups.get(key).filter(is_newer).is_some()).await;
    match found.ok().and_then(|groups| groups.get(key).cloned()) {
        Some(group) => group,
        // The board is gone with the control plane.
        None => std::future::pending().await,
    }
}

fn put(groups: &mut Groups, entry: &Entry) {
    match read(entry) {
        Ok(group) => drop(groups.insert(entry.key.clone(), group)),
        Err(reason) => tracing::warn!(
            group = %entry.key, reason,
            "a workload group cannot be used; its members stay as they are"
        ),
    }
}
