//! One client's discovery stream: its requests come in, answers and changes go out, at its own pace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meltemi_model::{Sidecar, Viewer};
use meltemi_names::SpiffeId;
use meltemi_wire::delta::server::{Found, Session, Source};
use meltemi_wire::type_url;
use meltemi_wire::xds::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, workload_of_node};
use tokio::sync::{broadcast, mpsc, oneshot};
use tonic::{Status, Streaming};

use crate::catalog::{Catalog, endpoint_name, workload_name};
use crate::foreign::Foreign;
use crate::hub::{Entered, LetGo};
use crate::metrics::Metrics;
use crate::publish::{Published, Publisher};
use crate::subsets::Subsets;

/// Responses that may wait for a slow client before its requests are no longer read.
const MAX_WAITING: usize = 64;
/// Changed names that may wait for a slow client; beyond that everything it subscribed to is looked at.
const MAX_PENDING: usize = 16_384;

/// Who the client is, and thereby what it may see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// Who its certificate names; `None` in plaintext.
    pub(crate) identity: Option<Arc<SpiffeId>>,
    /// The namespace in which short names are looked up, and to which services must be exported.
    pub(crate) namespace: String,
    /// The workload that it says to be, if that is one of its namespace: which `Sidecar` is for it.
    pub(crate) workload: String,
}

impl Client {
    /// The `Sidecar` that is for the client.
    fn sidecar(&self, catalog: &Catalog) -> Option<Arc<Sidecar>> {
        catalog.snapshot().sidecar(&self.namespace, &self.workload).cloned()
    }

    fn viewer<'a>(&'a self, sidecar: Option<&'a Sidecar>) -> Viewer<'a> {
        Viewer { namespace: &self.namespace, sidecar }
    }
}

/// What a client may see of the catalog.
struct View<'a> {
    catalog: &'a Catalog,
    client: &'a Client,
    sidecar: Option<&'a Sidecar>,
    subsets: &'a Subsets,
}

impl View<'_> {
    fn viewer(&self) -> Viewer<'_> {
        self.client.viewer(self.sidecar)
    }
}

impl Source for View<'_> {
    fn find(&self, kind: &str, name: &str) -> Option<Found<'_>> {
        let encoded = match kind {
            type_url::SERVICE => self.catalog.service(name, &self.viewer()),
            type_url::ENDPOINT => {
                let (host, workload) = name.rsplit_once('/')?;
                let found = self.catalog.endpoint(host, workload, &self.viewer());
                found.filter(|_| self.subsets.has(host, workload))
            }
            type_url::WORKLOAD => {
                let (namespace, workload) = name.split_once('/')?;
                let identity = self.client.identity.as_ref()?;
                let account =
                    &self.catalog.snapshot().workload(namespace, workload)?.service_account;
                let is_own = identity.namespace() == namespace
                    && account.as_deref() == Some(identity.service_account());
                self.catalog.workload(name).filter(|_| is_own)
            }
            type_url::TRUST => {
                let is_member = self.client.identity.is_some() && name == type_url::TRUST_NAME;
                self.catalog.trust().filter(|_| is_member)
            }
            _ => None,
        }?;
        Some(Found { version: &encoded.version, body: &encoded.body })
    }

    fn members(&self, kind: &str, prefix: &str, each: &mut dyn FnMut(&str)) {
        if kind == type_url::ENDPOINT {
            let viewer = self.viewer();
            let endpoints = self.catalog.endpoints(prefix, &viewer);
            for workload in endpoints.filter(|it| self.subsets.has(prefix, it)) {
                each(&endpoint_name(prefix, workload));
            }
        }
    }
}

/// Names to look at, collected until the client can take more.
#[derive(Default)]
struct Pending {
    everything: bool,
    services: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    /// Hosts of which another number of endpoints is to be sent, as `HOST/*`.
    subsets: BTreeSet<String>,
    workloads: BTreeSet<String>,
    trust: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        !self.everything
            && self.services.is_empty()
            && self.endpoints.is_empty()
            && self.subsets.is_empty()
            && self.workloads.is_empty()
            && !self.trust
    }

    /// Notes what of a change this client subscribed to.
    fn note(&mut self, published: &Published, state: &Session) {
        let wanted = |kind| move |name: &&String| state.is_subscribed(kind, name);
        self.services.extend(published.services.iter().filter(wanted(type_url::SERVICE)).cloned());
        for wildcard in &published.wildcards {
            let covered = state.subscribed(type_url::SERVICE).filter(|name| wildcard.covers(name));
            self.services.extend(covered.map(str::to_owned));
        }
        self.endpoints
            .extend(published.endpoints.iter().filter(wanted(type_url::ENDPOINT)).cloned());
        self.subsets.extend(published.subsets.iter().filter(wanted(type_url::ENDPOINT)).cloned());
        self.workloads
            .extend(published.workloads.iter().filter(wanted(type_url::WORKLOAD)).cloned());
        self.trust |= published.trust;
        if self.services.len() + self.endpoints.len() + self.workloads.len() > MAX_PENDING {
            *self = Pending { everything: true, ..Pending::default() };
        }
    }
}

/// The host of a name of endpoints, `HOST/WORKLOAD` or `HOST/*`.
fn host_of(name: &str) -> Option<&str> {
    Some(name.rsplit_once('/')?.0)
}

/// A wait for the client to let go of endpoints.
struct Wait {
    endpoints: Arc<[String]>,
    answer: oneshot::Sender<bool>,
    /// Whether the client could use one of them at any time since.
    knew: bool,
}

/// Everything of one stream.
pub(crate) struct Stream {
    pub(crate) client: Client,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: Streaming<DeltaDiscoveryRequest>,
    pub(crate) responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
    pub(crate) let_go: mpsc::Receiver<LetGo>,
    pub(crate) entered: Entered,
    pub(crate) foreign: Arc<Foreign>,
}

impl Stream {
    /// Serves the client until it goes away.
    pub(crate) async fn run(self) {
        let metrics = self.metrics.clone();
        let _held = Metrics::hold(&metrics.sessions);
        let changes = self.publisher.changes();
        let requests = self.requests;
        let serving = Serving {
            client: self.client,
            publisher: self.publisher,
            metrics: self.metrics,
            state: Session::new(),
            pending: Pending::default(),
            waiting: VecDeque::new(),
            waits: Vec::new(),
            introduced: false,
            sidecar: None,
            subsets: Subsets::default(),
            let_go: self.let_go,
            entered: self.entered,
            foreign: self.foreign,
        };
        serving.run(requests, self.responses, changes).await;
    }
}

struct Serving {
    client: Client,
    publisher: Arc<Publisher>,
    metrics: Arc<Metrics>,
    state: Session,
    pending: Pending,
    waiting: VecDeque<DeltaDiscoveryResponse>,
    waits: Vec<Wait>,
    introduced: bool,
    /// The `Sidecar` by which the client was answered last.
    sidecar: Option<Arc<Sidecar>>,
    subsets: Subsets,
    let_go: mpsc::Receiver<LetGo>,
    entered: Entered,
    foreign: Arc<Foreign>,
}

impl Serving {
    async fn run(
        mut self,
        mut requests: Streaming<DeltaDiscoveryRequest>,
        responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
        mut changes: broadcast::Receiver<Arc<Published>>,
    ) {
        loop {
            if self.waiting.is_empty() && !self.pending.is_empty() {
                self.push();
            }
            tokio::select! {
                permit = responses.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(response) = self.waiting.pop_front() {
                            permit.send(Ok(response));
                        }
                    }
                    Err(_) => return,
                },
                request = requests.message(), if self.waiting.len() < MAX_WAITING => match request {
                    Ok(Some(request)) if Foreign::is(&request.type_url) => {
                        let refusal = self.foreign.refuse(&request.type_url);
                        // Who has gone does not hear it.
                        let _ = responses.send(Err(refusal)).await;
                        return;
                    }
                    Ok(Some(request)) => self.take_in(request),
                    Ok(None) | Err(_) => return,
                },
                change = changes.recv() => match change {
                    Ok(published) => {
                        self.pending.note(&published, &self.state);
                        // All that has come meanwhile goes out in one response.
                        while let Ok(published) = changes.try_recv() {
                            self.pending.note(&published, &self.state);
                        }
                        let catalog = self.catalog();
                        self.look_at_sidecar(&catalog);
                        self.settle(&catalog);
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => self.pending.everything = true,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(asked) = self.let_go.recv() => {
                    self.watch(asked);
                    let catalog = self.catalog();
                    self.settle(&catalog);
                }
            }
        }
    }

    fn take_in(&mut self, request: DeltaDiscoveryRequest) {
        if !std::mem::replace(&mut self.introduced, true) {
            self.introduce(&request);
        }
        let is_of_endpoints = request.type_url == type_url::ENDPOINT;
        let named = request.resource_names_subscribe.iter().filter(|_| is_of_endpoints);
        let hosts: BTreeSet<String> =
            named.filter_map(|name| host_of(name)).map(str::to_owned).collect();
        let left = request.resource_names_unsubscribe.clone();
        let asked = self.state.request(request);
        if let Some(reason) = &asked.refused {
            Metrics::count(&self.metrics.refusals);
            tracing::warn!(r#type = asked.type_url, reason, "a client cannot use a resource");
        }
        if asked.over_limit > 0 {
            tracing::warn!(dropped = asked.over_limit, "a client has too many subscriptions");
        }
        let catalog = self.catalog();
        self.look_at_sidecar(&catalog);
        if is_of_endpoints {
            self.follow_hosts(&hosts, &left, &catalog);
        }
        let view = View {
            catalog: &catalog,
            client: &self.client,
            sidecar: self.sidecar.as_deref(),
            subsets: &self.subsets,
        };
        if let Some(answer) = self.state.answer(&asked, &view) {
            Metrics::count(&self.metrics.answers);
            self.waiting.push_back(answer);
        }
        self.settle(&catalog);
        if asked.type_url == type_url::TRUST {
            let believed = self.state.acknowledged(type_url::TRUST, type_url::TRUST_NAME);
            self.entered.believes(believed);
        }
        if asked.type_url == type_url::WORKLOAD {
            let name = workload_name(&self.client.namespace, &self.client.workload);
            self.entered.knows(&name, self.state.acknowledged(type_url::WORKLOAD, &name));
        }
    }

    /// The catalog of this moment. Sessions are asked to watch endpoints before these are taken out, so that whoever asked
    /// is noted before a client is told of it.
    fn catalog(&mut self) -> Arc<Catalog> {
        let catalog = self.publisher.catalog();
        while let Ok(asked) = self.let_go.try_recv() {
            self.watch(asked);
        }
        catalog
    }

    /// Notes what the client says of itself.
    fn introduce(&mut self, request: &DeltaDiscoveryRequest) {
        let node = request.node.as_ref().and_then(|node| workload_of_node(&node.id));
        let Some((workload, namespace)) = node else { return };
        if self.client.identity.is_none() {
            // In plaintext the node's word decides how short names are read, which gives no right to anything.
            self.client.namespace = namespace.into();
        }
        if self.client.namespace == namespace {
            self.client.workload = workload.into();
            self.subsets = Subsets::of(&workload_name(namespace, workload));
        }
    }

    /// Chooses of the endpoints of hosts that the client asks about, and forgets the choice where it left them.
    fn follow_hosts(&mut self, asked: &BTreeSet<String>, left: &[String], catalog: &Catalog) {
        for name in left.iter().filter(|name| !self.state.is_subscribed(type_url::ENDPOINT, name)) {
            if let Some(host) = name.strip_suffix("/*") {
                self.subsets.forget(host);
            }
        }
        let viewer = self.client.viewer(self.sidecar.as_deref());
        for host in asked {
            let changed = self.subsets.look(host, catalog.members(host, &viewer), []);
            let names = changed.iter().map(|it| endpoint_name(host, it));
            self.pending.endpoints.extend(names);
        }
    }

    /// Looks at the choice of endpoints after changes; adds those that it changes to what is to be looked at.
    fn choose_endpoints(&mut self, pending: &mut Pending, catalog: &Catalog) {
        let viewer = self.client.viewer(self.sidecar.as_deref());
        if pending.everything {
            self.subsets.clear();
            let hosts = self.state.subscribed(type_url::ENDPOINT).filter_map(host_of);
            for host in hosts {
                drop(self.subsets.look(host, catalog.members(host, &viewer), []));
            }
            return;
        }
        let mut touched: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in &pending.endpoints {
            let Some((host, workload)) = name.rsplit_once('/') else { continue };
            touched.entry(host).or_default().push(workload);
        }
        for host in pending.subsets.iter().filter_map(|glob| host_of(glob)) {
            touched.entry(host).or_default();
        }
        let mut further = Vec::new();
        for (host, names) in touched {
            let changed = self.subsets.look(host, catalog.members(host, &viewer), names);
            further.extend(changed.iter().map(|it| endpoint_name(host, it)));
        }
        pending.endpoints.extend(further);
    }

    /// Finds the `Sidecar` that is for the client now. With another one than before the client may see other services.
    fn look_at_sidecar(&mut self, catalog: &Catalog) {
        let now = self.client.sidecar(catalog);
        let is_same = match (&self.sidecar, &now) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.sidecar = now;
            self.pending = Pending { everything: true, ..Pending::default() };
        }
    }

    /// Makes responses of what is pending; nothing is sent for what the client holds already.
    fn push(&mut self) {
        let catalog = self.catalog();
        self.look_at_sidecar(&catalog);
        let mut pending = std::mem::take(&mut self.pending);
        self.choose_endpoints(&mut pending, &catalog);
        let view = View {
            catalog: &catalog,
            client: &self.client,
            sidecar: self.sidecar.as_deref(),
            subsets: &self.subsets,
        };
        // A new service goes before its endpoints, a removed endpoint before anything else.
        let kinds = [
            (type_url::ENDPOINT, &pending.endpoints),
            (type_url::SERVICE, &pending.services),
            (type_url::WORKLOAD, &pending.workloads),
        ];
        // Before all else: what comes after may be of use only to those who believe it.
        if (pending.trust || pending.everything)
            && let Some(response) =
                self.state.changed(type_url::TRUST, [type_url::TRUST_NAME], &view)
        {
            self.waiting.push_back(response);
        }
        for (kind, names) in kinds {
            let response = match pending.everything {
                true => self.state.changed_all(kind, &view),
                false => self.state.changed(kind, names.iter().map(String::as_str), &view),
            };
            if let Some(response) = response {
                Metrics::count(&self.metrics.pushes);
                self.waiting.push_back(response);
            }
        }
        self.settle(&catalog);
    }

    /// Notes endpoints that are about to leave.
    fn watch(&mut self, asked: LetGo) {
        let LetGo { endpoints, answer } = asked;
        self.waits.push(Wait { knew: self.may_use(&endpoints), endpoints, answer });
    }

    /// Answers those who wait for what is gone and what the client has let go of by now.
    fn settle(&mut self, catalog: &Catalog) {
        let waits = std::mem::take(&mut self.waits);
        for mut wait in waits {
            let may_use = self.may_use(&wait.endpoints);
            wait.knew |= may_use;
            let viewer = self.client.viewer(self.sidecar.as_deref());
            let is_there = |name: &String| catalog.has_endpoint(name, &viewer);
            if !may_use && !wait.endpoints.iter().any(is_there) {
                // Who asked may have given up.
                let _ = wait.answer.send(wait.knew);
            } else if !wait.answer.is_closed() {
                self.waits.push(wait);
            }
        }
    }

    fn may_use(&self, endpoints: &[String]) -> bool {
        endpoints.iter().any(|name| self.state.may_use(type_url::ENDPOINT, name))
    }
}
