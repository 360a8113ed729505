//! Where a new snapshot enters: it is encoded once, swapped in, and every session is told what to look at.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use meltemi_model::{Affected, Snapshot};
use meltemi_names::Host;
use meltemi_wire::proto::meltemi::v1;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use crate::catalog::{Catalog, Encoded, endpoint_name, workload_name};
use crate::left::Left;

/// How many changes a session may be behind before it looks at everything that its client subscribed to.
const BACKLOG: usize = 256;

/// What changed, in names as clients may have asked for them; the same for all sessions.
#[derive(Debug, Default)]
pub struct Published {
    /// Names of services, short ones and addresses too.
    pub services: Vec<String>,
    /// Wildcard hosts: every name that they cover is to be looked at.
    pub wildcards: Vec<Host>,
    /// `HOST/WORKLOAD`.
    pub endpoints: Vec<String>,
    /// Hosts of which a client is to be sent another number of endpoints, as `HOST/*`.
    pub subsets: Vec<String>,
    /// `NAMESPACE/NAME`.
    pub workloads: Vec<String>,
    /// Whether members are to believe others than before.
    pub trust: bool,
}

/// The current catalog, and the news of its changes.
#[derive(Debug)]
pub struct Publisher {
    catalog: ArcSwap<Catalog>,
    changes: broadcast::Sender<Arc<Published>>,
    version: watch::Sender<u64>,
    /// Catalogs are made one after the other.
    turn: Mutex<()>,
    left: Left,
    /// Endpoints that left while they were ejected, by host and workload's name, until the keeper of ejections asks.
    left_ejected: Mutex<Vec<(String, Arc<str>)>>,
}

impl Default for Publisher {
    fn default() -> Self {
        Publisher {
            catalog: ArcSwap::default(),
            changes: broadcast::Sender::new(BACKLOG),
            version: watch::Sender::new(0),
            turn: Mutex::default(),
            left: Left::new(Instant::now()),
            left_ejected: Mutex::default(),
        }
    }
}

impl Publisher {
    /// Takes over the next snapshot. When this returns, every later look sees it, and all sessions have been told.
    pub fn publish(&self, snapshot: Arc<Snapshot>, affected: &Affected) {
        let version = snapshot.version();
        {
            let _turn = self.turn.lock();
            let before = self.catalog.load_full();
            let published = names(before.snapshot(), &snapshot, affected);
            // Before they are gone, so that there is no moment in which they are neither here nor there.
            self.left.note(before.snapshot(), &snapshot, affected, Instant::now());
            self.left_ejected.lock().extend(before.ejected_that_leave(affected));
            self.catalog.store(Arc::new(before.advance(snapshot, affected)));
            if !affected.is_empty() {
                // Without sessions there is nobody to tell.
                drop(self.changes.send(Arc::new(published)));
            }
        }
        self.version.send_replace(version);
    }

    /// Says whom members are to believe from now on. Answers with the version that they acknowledge.
    pub fn publish_trust(&self, trust: &v1::Trust) -> String {
        let encoded = Encoded::new(trust);
        let version = encoded.version.clone();
        let _turn = self.turn.lock();
        let before = self.catalog.load_full();
        if before.trust() != Some(&*encoded) {
            self.catalog.store(Arc::new(before.with_trust(encoded)));
            let published = Published { trust: true, ..Published::default() };
            drop(self.changes.send(Arc::new(published)));
        }
        version
    }

    /// Says which endpoints callers have found out to fail, or no longer (0), by host and workload's name.
    pub fn publish_ejections(&self, changes: &[(String, Arc<str>, u64)]) {
        if changes.is_empty() {
            return;
        }
        let _turn = self.turn.lock();
        let next = self.catalog.load().with_ejections(changes);
        self.catalog.store(Arc::new(next));
        let endpoints = changes.iter().map(|(host, workload, _)| endpoint_name(host, workload));
        let published = Published { endpoints: endpoints.collect(), ..Published::default() };
        drop(self.changes.send(Arc::new(published)));
    }

    /// The catalog of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The snapshot of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.load().snapshot().clone()
    }

    /// The endpoints and workloads that left lately.
    pub(crate) fn left(&self) -> &Left {
        &self.left
    }

    /// The endpoints that have left while they were ejected, each told once.
    pub(crate) fn take_left_ejected(&self) -> Vec<(String, Arc<str>)> {
        std::mem::take(&mut self.left_ejected.lock())
    }

    /// The version of the store that the catalog shows; changes with every snapshot.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Waits until the catalog shows this version of the store.
    pub async fn reached(&self, version: u64) {
        // The sender lives in this value, so the channel is open.
        drop(self.version().wait_for(|shown| *shown >= version).await);
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<Published>> {
        self.changes.subscribe()
    }
}

fn names(before: &Snapshot, after: &Snapshot, affected: &Affected) -> Published {
    let mut published = Published::default();
    for host in &affected.services {
        published.services.extend(after.names_of(host));
        for snapshot in [before, after] {
            // It may be asked for by its addresses too.
            let addresses = snapshot.versions(host.as_str()).flat_map(|it| it.addresses.iter());
            published.services.extend(addresses.cloned());
        }
        let sizes = |snapshot: &Snapshot| -> Vec<Option<usize>> {
            snapshot.versions(host.as_str()).map(|service| service.endpoint_subset).collect()
        };
        if sizes(before) != sizes(after) {
            published.subsets.push(endpoint_name(host.as_str(), "*"));
        }
        if host.is_wildcard() {
            published.wildcards.push(host.clone());
        }
    }
    published.endpoints = affected
        .endpoints
        .iter()
        .map(|change| endpoint_name(change.host.as_str(), &change.workload))
        .collect();
    published.workloads =
        affected.workloads.iter().map(|(namespace, name)| workload_name(namespace, name)).collect();
    published
}
