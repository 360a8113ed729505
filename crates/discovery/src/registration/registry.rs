//! The registered workloads: who holds which name, and what stands in the store for it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use meltemi_names::ROOT_NAMESPACE;
use meltemi_store::{Entry, Expect, Key, Selector, Store, StoreError};
use meltemi_wire::proto::meltemi::v1::{Health, ProxyConfig, RegisteredWorkload};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use super::board::{self, Board};
use super::claims::{self, Claims};
use super::group::Group;
use super::holders::{Held, Holder};
use super::lost::Lost;
use super::{objects, proxy_config, timestamp};

/// How long entries of before a restart wait for their proxies.
pub const GRACE: Duration = Duration::from_secs(10);
/// The wait before a removal that failed is tried again.
const REMOVE_AGAIN: Duration = Duration::from_secs(1);
/// Into how many groups names are parted; writes of one group go one after the other.
const GROUPS: usize = 64;

pub(super) const GROUP: &str = "networking.istio.io";
pub(super) const ENTRIES: &str = "workloadentries";

/// Why a workload that answers is not called yet.
pub(super) const UNTOLD: &str = "its sidecar is being told what it stands for";

/// Why a workload could not be entered.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistryError {
    /// The name is another's.
    #[error("the name {0} is taken by {1}; choose another with --name")]
    Taken(String, &'static str),
    /// Another sidecar has the name, and answers.
    #[error(
        "{name} is registered from {address} since {since}, by another sidecar that is there: give this one another --name"
    )]
    Held { name: String, address: String, since: String },
    /// There is no such group.
    #[error(
        "there is no WorkloadGroup `{name}` in namespace `{namespace}`: apply it (`meltemi apply -f FILE`), or start with \
         the --group and --namespace of one that is there (`meltemi get workloadgroups -n {namespace}`)"
    )]
    NoGroup { namespace: String, name: String },
    /// The group cannot be read.
    #[error("WorkloadGroup {0} cannot be used: {1}")]
    BadGroup(String, String),
    /// The group is not for this workload.
    #[error("{0}")]
    NoMember(String),
    /// This stream's registration was taken over by a newer one.
    #[error("a newer stream has registered this workload")]
    Replaced,
    /// The store failed.
    #[error("the registry cannot be written: {0}")]
    Store(#[from] StoreError),
}

/// Keeps workloads in the store for as long as their streams stand.
pub struct Registry {
    pub(super) store: Arc<dyn Store>,
    pub(super) board: Board,
    pub(super) leases: Mutex<HashMap<Key, Lease>>,
    next: AtomicU64,
    /// Set when the control plane stops: the ends of streams mean nothing then.
    closing: AtomicBool,
    groups: [tokio::sync::Mutex<()>; GROUPS],
    hasher: RandomState,
}

/// Who holds a name.
pub(super) struct Lease {
    pub(super) id: u64,
    service_account: String,
    /// The service that it was entered for.
    pub(super) service: String,
    /// To be told of what was deleted.
    pub(super) lost: Arc<Lost>,
    /// Who stands behind it.
    pub(super) holder: Holder,
    /// Dropped when a newer stream takes the name over.
    _replaced: oneshot::Sender<()>,
}

/// A stream's hold of a name.
pub(super) struct Claim {
    pub(super) key: Key,
    id: u64,
    /// As its sidecar has told of it.
    pub(super) workload: RegisteredWorkload,
    /// The group that it is a member of.
    pub(super) group: Option<Arc<Group>>,
    pub(super) health: Health,
    /// What was deleted under it.
    pub(super) lost: Arc<Lost>,
    /// Through which others ask whether it is there.
    pub(super) held: Held,
    /// Ends when a newer stream has taken the name over.
    pub(super) replaced: oneshot::Receiver<()>,
}

impl Registry {
    /// A registry over this store.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Registry {
            store,
            board: Board::new(),
            leases: Mutex::default(),
            next: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            groups: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
        })
    }

    /// To be called when the control plane stops: entries stay, so that nothing changes for callers until it is back.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Follows the store, for ever, so that changes of workload groups reach members, and what is deleted under workloads is
    /// written again.
    pub async fn follow_groups(&self) {
        self.board.run(&*self.store, &|what| self.tell(what)).await;
    }

    /// To be run once after a start: entries that registrations of before have left go away after [`GRACE`], unless their
    /// proxies have registered again by then.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let selector = Selector::kind(meltemi_store::kind(GROUP, ENTRIES));
        let orphans: Vec<Entry> = self.store.list(&selector).await?.entries;
        let orphans: Vec<Entry> =
            orphans.into_iter().filter(|it| objects::is_registered(&read(&it.value))).collect();
        if orphans.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(GRACE).await;
        for Entry { key, version, .. } in orphans {
            let _turn = self.turn(&key).await;
            if self.is_closing() || self.leases.lock().contains_key(&key) {
                continue;
            }
            match self.store.delete(key.clone(), Expect::Version(version)).await {
                Ok(_) => tracing::info!(workload = %key, "removed: its proxy did not come back"),
                Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
                Err(error) => tracing::warn!(workload = %key, %error, "not removed"),
            }
        }
        Ok(())
    }

    /// Enters a workload, or takes over the entry that an older stream of the same workload holds. One that others cannot
    /// call as it is now is entered as not ready, whatever its sidecar says: the sidecar itself has to know first what it
    /// stands for. Answers with the version of the store in which it stands, if it was written.
    pub(super) async fn claim(
        &self,
        workload: RegisteredWorkload,
    ) -> Result<(Claim, Option<u64>), RegistryError> {
        let key = Key::new(GROUP, ENTRIES, Some(&workload.namespace), &workload.name);
        self.check_owner(&key, &workload).await?;
        let _turn = self.admitted(&key, &workload.instance).await?;
        self.check_owner(&key, &workload).await?;
        let group = self.group(&workload).await?;
        self.check_labels(&workload, group.as_deref()).await?;
        self.ensure_namespace(&workload.namespace).await?;
        self.ensure_service(&workload).await?;
        let (health, version) = self.enter(&key, &workload, group.as_deref()).await?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, replaced) = oneshot::channel();
        let (holder, held) = Holder::new(&workload, now());
        let lost = Arc::<Lost>::default();
        // It may have been deleted again before anybody could be told.
        lost.entry.notify_one();
        let lease = Lease {
            id,
            service_account: workload.service_account.clone(),
            service: workload.service.clone(),
            lost: lost.clone(),
            holder,
            _replaced: sender,
        };
        self.leases.lock().insert(key.clone(), lease);
        Ok((Claim { key, id, workload, group, health, lost, held, replaced }, version))
    }

    /// Notes whether a workload may be called. Answers with the version of the store that says so, if it was written.
    pub(super) async fn set_health(
        &self,
        claim: &mut Claim,
        health: Health,
    ) -> Result<Option<u64>, RegistryError> {
        claim.health = health;
        self.rewrite(claim).await
    }

    /// Has a change of its group reach a member.
    pub(super) async fn set_group(
        &self,
        claim: &mut Claim,
        group: Arc<Group>,
    ) -> Result<(), RegistryError> {
        if let Some(objection) = group.objection(&claim.workload) {
            return Err(RegistryError::NoMember(objection));
        }
        claim.group = Some(group);
        self.rewrite(claim).await?;
        Ok(())
    }

    async fn rewrite(&self, claim: &Claim) -> Result<Option<u64>, RegistryError> {
        let _turn = self.turn(&claim.key).await;
        if !self.holds(claim) {
            return Err(RegistryError::Replaced);
        }
        let Claim { key, workload, group, health, .. } = claim;
        Ok(self.write_entry(key, workload, group.as_deref(), health).await?)
    }

    /// What the mesh says of how the proxy of a workload runs. A group that is not there, or not for the workload, is told of
    /// when it registers; here it adds no labels.
    pub(super) async fn proxy_config(
        &self,
        workload: &RegisteredWorkload,
    ) -> Result<ProxyConfig, RegistryError> {
        let group = match self.group(workload).await {
            Err(RegistryError::Store(error)) => return Err(error.into()),
            group => group.ok().flatten(),
        };
        let selector = Selector::kind(meltemi_store::kind(GROUP, proxy_config::PROXY_CONFIGS));
        let entries = self.store.list(&selector).await?.entries;
        let filled = group.map(|group| group.fill(workload));
        let workload = filled.as_ref().unwrap_or(workload);
        let labels = objects::labels(workload);
        Ok(proxy_config::merge(&entries, ROOT_NAMESPACE, &workload.namespace, &labels))
    }

    /// The group that a workload names, which must be there and take it.
    async fn group(
        &self,
        workload: &RegisteredWorkload,
    ) -> Result<Option<Arc<Group>>, RegistryError> {
        let RegisteredWorkload { namespace, group: name, .. } = workload;
        if name.is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.store.get(&board::key(namespace, name)).await? else {
            return Err(RegistryError::NoGroup {
                namespace: namespace.clone(),
                name: name.clone(),
            });
        };
        let group = board::read(&entry)
            .map_err(|reason| RegistryError::BadGroup(format!("{namespace}/{name}"), reason))?;
        match group.objection(workload) {
            Some(objection) => Err(RegistryError::NoMember(objection)),
            None => Ok(Some(group)),
        }
    }

    /// Takes a workload out, unless a newer stream has it. Answers with the store's version without it; `None` if there
    /// was nothing to remove.
    pub(super) async fn release(&self, claim: &Claim) -> Option<u64> {
        loop {
            let turn = self.turn(&claim.key).await;
            if self.is_closing() || !self.holds(claim) {
                return None;
            }
            match self.store.delete(claim.key.clone(), Expect::Any).await {
                Ok(version) => {
                    self.leases.lock().remove(&claim.key);
                    return Some(version);
                }
                Err(StoreError::NotFound { .. } | StoreError::Closed) => {
                    self.leases.lock().remove(&claim.key);
                    return None;
                }
                Err(error) => tracing::error!(
                    workload = %claim.key, %error,
                    "a workload that is gone could not be removed; trying again"
                ),
            }
            drop(turn);
            tokio::time::sleep(REMOVE_AGAIN).await;
        }
    }

    /// Whether no newer stream has the workload.
    pub(super) fn holds(&self, claim: &Claim) -> bool {
        self.leases.lock().get(&claim.key).is_some_and(|lease| lease.id == claim.id)
    }

    pub(super) async fn turn(&self, key: &Key) -> tokio::sync::MutexGuard<'_, ()> {
        self.groups[(self.hasher.hash_one(key) % GROUPS as u64) as usize].lock().await
    }

    async fn check_owner(
        &self,
        key: &Key,
        workload: &RegisteredWorkload,
    ) -> Result<(), RegistryError> {
        let taken = |by| Err(RegistryError::Taken(key.to_string(), by));
        let account = &workload.service_account;
        let holder = self.leases.lock().get(key).map(|lease| lease.service_account == *account);
        if holder == Some(false) {
            return taken("a workload of another service account");
        }
        match self.store.get(key).await?.map(|entry| read(&entry.value)) {
            Some(entry) if !objects::is_registered(&entry) => {
                taken("an entry that was not made by a proxy")
            }
            Some(entry) if objects::service_account(&entry) != account => {
                taken("a workload of another service account")
            }
            _ => Ok(()),
        }
    }

    /// Whether the labels are the workload's to take. What changes later, the board tells of.
    async fn check_labels(
        &self,
        workload: &RegisteredWorkload,
        group: Option<&Group>,
    ) -> Result<(), RegistryError> {
        let mut claims = Claims::default();
        for kind in claims::kinds() {
            let here = Selector::kind(kind).within(&workload.namespace);
            self.store.list(&here).await?.entries.iter().for_each(|entry| claims.put(entry));
            if claims.are_open() {
                return Ok(());
            }
        }
        match claims.rulings_with(&workload.service).objection(workload, group) {
            Some(objection) => Err(RegistryError::NoMember(objection)),
            None => Ok(()),
        }
    }

    pub(super) async fn ensure_namespace(&self, name: &str) -> Result<(), StoreError> {
        let key = Key::new("", "namespaces", None, name);
        if self.store.get(&key).await?.is_some() {
            return Ok(());
        }
        let namespace = objects::namespace(name, &now());
        match self.store.put(key, bytes(&namespace), Expect::Absent).await {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the service of a workload where there is none. Answers with the store's version with it, if it was written.
    pub(super) async fn ensure_service(
        &self,
        workload: &RegisteredWorkload,
    ) -> Result<Option<u64>, StoreError> {
        if workload.service.is_empty() {
            return Ok(None);
        }
        let key = Key::new("", "services", Some(&workload.namespace), &workload.service);
        self.update(&key, |before| objects::managed_service(workload, before, &now())).await
    }

    /// Writes the entry of a workload that registers: as ready only where it stands there like that already. Answers with what
    /// stands there of its health then, and since which version of the store, if it was written.
    async fn enter(
        &self,
        key: &Key,
        workload: &RegisteredWorkload,
        group: Option<&Group>,
    ) -> Result<(Health, Option<u64>), StoreError> {
        let ready = Health { ready: true, reason: String::new() };
        let health = Health { ready: false, reason: String::new() };
        if !workload.ready {
            let version = self.write_entry(key, workload, group, &health).await?;
            return Ok((health, version));
        }
        let untold = Health { reason: UNTOLD.to_owned(), ..health };
        let version = self
            .update(key, |before| {
                let entry =
                    |health| objects::workload_entry(workload, group, health, before, &now());
                (before != Some(&entry(&ready))).then(|| entry(&untold))
            })
            .await?;
        let health = if version.is_some() { untold } else { ready };
        Ok((health, version))
    }

    pub(super) async fn write_entry(
        &self,
        key: &Key,
        workload: &RegisteredWorkload,
        group: Option<&Group>,
        health: &Health,
    ) -> Result<Option<u64>, StoreError> {
        self.update(key, |before| {
            let entry = objects::workload_entry(workload, group, health, before, &now());
            (before != Some(&entry)).then_some(entry)
        })
        .await
    }

    /// Reads an object, has it changed, and writes it; again if somebody else wrote meanwhile. Answers with the store's version
    /// with it, `None` where nothing was to be written.
    async fn update(
        &self,
        key: &Key,
        change: impl Fn(Option<&Value>) -> Option<Value>,
    ) -> Result<Option<u64>, StoreError> {
        loop {
            let found = self.store.get(key).await?;
            let before = found.as_ref().map(|entry| read(&entry.value));
            let Some(next) = change(before.as_ref()) else { return Ok(None) };
            let expect = found.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
            match self.store.put(key.clone(), bytes(&next), expect).await {
                Ok(version) => return Ok(Some(version)),
                Err(
                    StoreError::Conflict { .. }
                    | StoreError::AlreadyExists { .. }
                    | StoreError::NotFound { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("leases", &self.leases.lock().len())
            .finish_non_exhaustive()
    }
}

/// An object of the store; what is no JSON counts as nothing known.
fn read(value: &[u8]) -> Value {
    serde_json::from_slice(value).unwrap_or_default()
}

fn bytes(object: &Value) -> Bytes {
    Bytes::from(object.to_string())
}

fn now() -> String {
    timestamp::format(SystemTime::now())
}
