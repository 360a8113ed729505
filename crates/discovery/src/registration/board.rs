//! The groups of the store as they are now, and whose labels are whose by them, for workloads to follow: one watch for
//! all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meltemi_store::{Entry, Event, Key, Selector, Store, StoreError};
use meltemi_wire::proto::meltemi::v1::RegisteredWorkload;
use tokio::sync::watch;

use super::claims::{self, Claims, Rulings};
use super::group::Group;

/// The API group of the kind.
const GROUP: &str = "networking.istio.io";
/// The kind's plural.
const GROUPS: &str = "workloadgroups";
/// The wait before a watch that broke is begun anew.
const AGAIN: Duration = Duration::from_secs(1);

/// The groups by key.
type Groups = BTreeMap<Key, Arc<Group>>;

/// Whose labels are whose, by namespace.
type ByNamespace = BTreeMap<String, Arc<Rulings>>;

/// A member's view of the groups.
pub(super) type News = watch::Receiver<Groups>;

/// A workload's view of whose labels are whose.
pub(super) type Verdicts = watch::Receiver<ByNamespace>;

/// Tells workloads of changes of their groups, and of whose labels are whose.
#[derive(Debug)]
pub(super) struct Board {
    groups: watch::Sender<Groups>,
    rulings: watch::Sender<ByNamespace>,
}

/// The key of a group.
pub(super) fn key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, GROUPS, Some(namespace), name)
}

/// The store's word for their kind.
pub(super) fn kind() -> String {
    meltemi_store::kind(GROUP, GROUPS)
}

/// A group as an entry of the store has it.
pub(super) fn read(entry: &Entry) -> Result<Arc<Group>, String> {
    let object = serde_json::from_slice(&entry.value).map_err(|error| error.to_string())?;
    Group::read(&entry.key.name, entry.version, object).map(Arc::new)
}

impl Board {
    pub(super) fn new() -> Self {
        Board {
            groups: watch::Sender::new(Groups::new()),
            rulings: watch::Sender::new(ByNamespace::new()),
        }
    }

    /// Follows the store, for ever. `gone` is told of each object that is deleted, and `None` where some may have been.
    pub(super) async fn run(&self, store: &dyn Store, gone: &(dyn Fn(Option<&Key>) + Sync)) {
        loop {
            let error = self.follow(store, gone).await;
            tracing::debug!(%error, "workload groups are listed anew");
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn follow(&self, store: &dyn Store, gone: &(dyn Fn(Option<&Key>) + Sync)) -> StoreError {
        let selector = Selector::all();
        let listing = match store.list(&selector).await {
            Ok(listing) => listing,
            Err(error) => return error,
        };
        let mut claims = BTreeMap::<String, Claims>::new();
        let entries: Vec<&Entry> =
            listing.entries.iter().filter(|it| claims::concerns(&it.key.kind)).collect();
        for entry in &entries {
            claims.entry(namespace(&entry.key)).or_default().put(entry);
        }
        self.groups.send_modify(|groups| {
            groups.retain(|key, _| entries.iter().any(|entry| entry.key == *key));
            entries.iter().filter(|it| it.key.kind == kind()).for_each(|entry| put(groups, entry));
        });
        let rulings = claims.iter().map(|(of, it)| (of.clone(), Arc::new(it.rulings())));
        self.rulings.send_replace(rulings.collect());
        let mut watch = match store.watch(&selector, listing.version).await {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        gone(None);
        loop {
            let event = watch.next().await;
            if let Ok(Event::Deleted(entry)) = &event {
                gone(Some(&entry.key));
            }
            match event {
                Ok(Event::Put { entry, .. }) if claims::concerns(&entry.key.kind) => {
                    let of = namespace(&entry.key);
                    let around = claims.entry(of.clone()).or_default();
                    around.put(&entry);
                    self.rule(of, around.rulings());
                    if entry.key.kind == kind() {
                        self.groups.send_modify(|groups| put(groups, &entry));
                    }
                }
                Ok(Event::Deleted(entry)) if claims::concerns(&entry.key.kind) => {
                    let of = namespace(&entry.key);
                    let around = claims.entry(of.clone()).or_default();
                    around.remove(&entry.key);
                    self.rule(of, around.rulings());
                    if entry.key.kind == kind() {
                        self.groups.send_modify(|groups| drop(groups.remove(&entry.key)));
                    }
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Tells workloads of a namespace whose labels are whose, if that is different from before.
    fn rule(&self, of: String, rulings: Rulings) {
        self.rulings.send_if_modified(|all| {
            let before = all.entry(of).or_default();
            let is_other = **before != rulings;
            if is_other {
                *before = Arc::new(rulings);
            }
            is_other
        });
    }

    /// Follows the groups.
    pub(super) fn subscribe(&self) -> News {
        self.groups.subscribe()
    }

    /// Follows whose labels are whose.
    pub(super) fn verdicts(&self) -> Verdicts {
        self.rulings.subscribe()
    }
}

/// Waits until somebody else has a workload's labels.
pub(super) async fn objected(
    verdicts: &mut Verdicts,
    workload: &RegisteredWorkload,
    group: Option<&Group>,
) -> String {
    let judge = |all: &ByNamespace| all.get(&workload.namespace)?.objection(workload, group);
    let found = verdicts.wait_for(|all| judge(all).is_some()).await;
    match found.ok().and_then(|all| judge(&all)) {
        Some(objection) => objection,
        // The board is gone with the control plane.
        None => std::future::pending().await,
    }
}

fn namespace(key: &Key) -> String {
    key.namespace.clone().unwrap_or_default()
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
