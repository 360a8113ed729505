//! The mesh as this proxy knows it: asks the control plane for what is named first, and swaps in what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use meltemi_names::Host;
use meltemi_wire::delta::client::{Added, Refused, Update};
use meltemi_wire::delta::{Connection, DeltaClient, Handle};
use meltemi_wire::type_url;
use meltemi_wire::xds::Node;
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::keep::{self, Keeper};
use super::receive::{Change, Follow, MAX_NAMES, Receiver};
use super::snapshot::Answer;
use super::{Own, Service, Snapshot, sweep};

/// What [`Mesh::start`] needs.
#[derive(Debug)]
pub struct MeshOptions {
    /// The way to the control plane; need not be connected.
    pub channel: Channel,
    /// Who we are, as the control plane is told.
    pub node: Node,
    /// `NAMESPACE/NAME` of our own workload; `None` for a proxy that stands for none.
    pub workload: Option<String>,
    /// The namespace in which short names are read.
    pub namespace: String,
    /// Its labels as far as they are known here: rules for callers with them hold before the control plane says more.
    pub labels: BTreeMap<String, String>,
    /// Where what is in effect is kept, so that a start without the control plane is possible.
    pub cache_dir: Option<PathBuf>,
    /// Who is told whom to believe; `None` for a proxy without an identity.
    pub trust: Option<TrustSink>,
}

/// Takes what the control plane says of roots and revoked certificates: the encoded message, which is acknowledged when
/// this returns. The error says why it cannot be used.
#[derive(Clone)]
pub struct TrustSink(Arc<Take>);

type Take = dyn Fn(&[u8]) -> Result<(), String> + Send + Sync;

impl TrustSink {
    /// A sink that does this.
    pub fn new(take: impl Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static) -> Self {
        TrustSink(Arc::new(take))
    }

    fn take_in(&self, update: Update) -> Vec<Refused> {
        let refused = |Added { name, body, .. }: Added| {
            (self.0)(&body).err().map(|reason| Refused { name, reason })
        };
        update.added.into_iter().filter_map(refused).collect()
    }
}

impl fmt::Debug for TrustSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustSink(..)")
    }
}

/// What a name turned out to be.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// A service.
    Found(Arc<Service>),
    /// The control plane says that there is no such service, or the text is no host name.
    Unknown,
    /// Nothing usable is known, and no answer came in time: why.
    Unreachable(String),
}

/// The mesh as this proxy knows it; clones share it. The stream to the control plane ends with the last clone.
#[derive(Debug, Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    snapshot: ArcSwap<Snapshot>,
    receiver: Mutex<Receiver>,
    generation: watch::Sender<u64>,
    /// The generation in which what is said of our own workload changed last.
    inbound: watch::Sender<u64>,
    revision: watch::Sender<u64>,
    handle: Handle,
    keeper: Option<Keeper>,
    trust: Option<TrustSink>,
}

impl Mesh {
    /// Starts the discovery client on the current runtime, with what is kept in the cache directory in effect from the
    /// beginning. A kept file that cannot be used is told of in the log and does not prevent the start.
    pub fn start(options: MeshOptions) -> Mesh {
        let MeshOptions { channel, node, workload, namespace, labels, cache_dir, trust } = options;
        let own = Own { labels, ..Own::of(&namespace) };
        let mut receiver = Receiver::new(MAX_NAMES, rand::random(), own);
        let mut keeper = cache_dir.map(|dir| Keeper::new(&dir, namespace));
        if let Some(keeper) = &mut keeper {
            keeper.restore(&mut receiver, workload.as_deref());
        }
        let snapshot = receiver.snapshot();
        let mut stream = None;
        let inner = Arc::new_cyclic(|weak: &Weak<Inner>| {
            let weak = weak.clone();
            let (handle, run) = DeltaClient::prepare(channel, node, move |update| {
                weak.upgrade().map(|inner| inner.take_in(update)).unwrap_or_default()
            });
            stream = Some(run);
            resume(&handle, &receiver, workload.as_deref());
            if trust.is_some() {
                handle.subscribe(type_url::TRUST, type_url::TRUST_NAME);
            }
            Inner {
                generation: watch::Sender::new(snapshot.generation),
                inbound: watch::Sender::new(snapshot.generation),
                revision: watch::Sender::new(receiver.revision()),
                snapshot: ArcSwap::from_pointee(snapshot),
                receiver: Mutex::new(receiver),
                handle,
                keeper,
                trust,
            }
        });
        if let Some(run) = stream {
            tokio::spawn(run);
        }
        let mesh = Mesh { inner: inner.clone() };
        tokio::spawn(sweep::run(Arc::downgrade(&inner), mesh.changes()));
        if inner.keeper.is_some() {
            tokio::spawn(keep::run(Arc::downgrade(&inner), inner.revision.subscribe()));
        }
        mesh
    }

    /// What is known now. One atomic load.
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.inner.snapshot.load()
    }

    /// The current snapshot's generation; changes with each swap.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.generation.subscribe()
    }

    /// Tells of each change of what arrives for our own workload, its policies included.
    pub fn inbound_changes(&self) -> watch::Receiver<u64> {
        self.inner.inbound.subscribe()
    }

    /// The service that a name stands for, if it and its endpoints are known. Looks in memory only.
    pub fn find(&self, host: &str) -> Option<Arc<Service>> {
        self.current().find(&folded(host)).cloned()
    }

    /// The service that a name stands for. What is not known is asked of the control plane, and from then on followed;
    /// its answer is waited for as long as `wait`.
    pub async fn fetch(&self, host: &str, wait: Duration) -> Lookup {
        let name = folded(host);
        if let Some(known) = self.look(&name) {
            return known;
        }
        match name.parse::<Host>() {
            Ok(host) if !host.is_wildcard() => self.ask(host.as_str(), wait).await,
            _ => Lookup::Unknown,
        }
    }

    /// Whether the control plane is there, and since when.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.inner.handle.state()
    }

    /// Resources that cannot be used, with the reason. Of each, the version before it is in effect, if there was one.
    pub fn set_aside(&self) -> Vec<(String, String)> {
        self.inner.receiver.lock().set_aside()
    }

    /// Writes what is in effect to the cache directory now, if it changed since it was last written.
    pub async fn flush(&self) {
        self.inner.keep().await;
    }

    async fn ask(&self, name: &str, wait: Duration) -> Lookup {
        let mut changes = self.changes();
        self.inner.ask(name);
        let answered = async {
            loop {
                changes.mark_unchanged();
                if let Some(known) = self.look(name) {
                    return known;
                }
                // The sender lives as long as we do.
                if changes.changed().await.is_err() {
                    return Lookup::Unreachable("this proxy is stopping".into());
                }
            }
        };
        match tokio::time::timeout(wait, answered).await {
            Ok(answer) => answer,
            Err(_) => Lookup::Unreachable(self.why_no_answer(name, wait)),
        }
    }

    fn look(&self, name: &str) -> Option<Lookup> {
        Some(match self.current().answer(name)? {
            Answer::Known(service) => Lookup::Found(service.clone()),
            Answer::Denied => Lookup::Unknown,
            Answer::Refused(reason) => Lookup::Unreachable(format!(
                "the control plane's description of `{name}` cannot be used: {reason}"
            )),
        })
    }

    fn why_no_answer(&self, name: &str, wait: Duration) -> String {
        match &*self.connection().borrow() {
            Connection::Connected { .. } => {
                format!("the control plane said nothing of `{name}` within {wait:?}")
            }
            Connection::Disconnected { reason, .. } if reason.is_empty() => {
                format!("`{name}` is not known yet, and there is no stream to the control plane")
            }
            Connection::Disconnected { reason, .. } => {
                format!("`{name}` is not known yet, and the control plane is away: {reason}")
            }
        }
    }
}

impl Inner {
    /// Takes an update in; when this returns, requests see it.
    fn take_in(&self, update: Update) -> Vec<Refused> {
        if update.type_url == type_url::TRUST {
            return self.trust.as_ref().map(|trust| trust.take_in(update)).unwrap_or_default();
        }
        let mut receiver = self.receiver.lock();
        let change = receiver.update(update);
        self.take_effect(&mut receiver, change)
    }

    fn ask(&self, name: &str) {
        let mut receiver = self.receiver.lock();
        let change = receiver.ask(name);
        self.take_effect(&mut receiver, change);
    }

    /// Runs under the receiver's lock, so that changes take effect in the order in which they were made.
    fn take_effect(&self, receiver: &mut Receiver, change: Change) -> Vec<Refused> {
        if change.is_visible {
            let snapshot = receiver.snapshot();
            let generation = snapshot.generation;
            let is_inbound = !Arc::ptr_eq(self.current().inbound(), snapshot.inbound());
            self.snapshot.store(Arc::new(snapshot));
            // From here on nobody picks them; who has picked one before learns it now.
            change.left.iter().for_each(|endpoint| endpoint.leave());
            self.generation.send_replace(generation);
            if is_inbound {
                self.inbound.send_replace(generation);
            }
        }
        for follow in change.follow {
            match follow {
                Follow::Begin(kind, name) => self.handle.subscribe(kind, &name),
                Follow::End(kind, name) => self.handle.unsubscribe(kind, &name),
            }
        }
        let revision = receiver.revision();
        self.revision.send_if_modified(|told| std::mem::replace(told, revision) != revision);
        change.refused
    }

    /// What is known now.
    pub(super) fn current(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Writes what is in effect to the disk, unless it is there already.
    pub(super) async fn keep(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(&self.receiver).await;
        }
    }
}

/// Tells the client what we follow and which versions we hold.
fn resume(handle: &Handle, receiver: &Receiver, workload: Option<&str>) {
    for (kind, name) in receiver.subscriptions() {
        handle.subscribe(kind, &name);
    }
    if let Some(workload) = workload {
        handle.subscribe(type_url::WORKLOAD, workload);
    }
    for service in receiver.services() {
        handle.hold(type_url::SERVICE, &service.name, &service.version);
    }
    for endpoint in receiver.endpoints() {
        handle.hold(type_url::ENDPOINT, &endpoint.name, &endpoint.version);
    }
    if let Some(own) = receiver.own() {
        handle.hold(type_url::WORKLOAD, &own.name, &own.version);
    }
}

/// The name in lower case and without a trailing dot; allocates only where it is not so already.
fn folded(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
