//! One port of a service, or of a subset of it: the endpoints behind it, and which of them is next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meltemi_names::{DEFAULT_CLUSTER, Protocol};
use meltemi_policy::balance::{self, Ask, Balancer, Report, Told};
use meltemi_policy::circuit::{Circuit, Counts, Limits};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::SimpleLoadBalancer;
use meltemi_policy::outlier::{self, Change, Detector, Out, Outcome, Reason, Settings};
use rustls_pki_types::ServerName;
use tokio::sync::Notify;

use super::{Endpoint, Origination, Own, Presence, Resolution};
use crate::clock;

/// A service's port with its endpoints (Envoy's word).
#[derive(Debug)]
pub struct Cluster {
    /// `outbound|PORT|SUBSET|HOST`, as Envoy names it in logs.
    pub name: Arc<str>,
    /// The service's canonical host.
    pub host: Arc<str>,
    /// The service's name within its namespace.
    pub service_name: Arc<str>,
    /// The service's namespace.
    pub service_namespace: Arc<str>,
    /// The service's port.
    pub port: u16,
    /// The port's name.
    pub port_name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether the service lies outside of the mesh.
    pub external: bool,
    /// Where the endpoints' addresses come from.
    pub resolution: Resolution,
    /// The subset, if it is not the whole service.
    pub subset: Option<Arc<str>>,
    /// How it is called.
    pub policy: TrafficPolicy,
    /// Istio's `outbound_.PORT_._.HOST`, by which the peer's proxy knows what is meant. For a host that fits in no DNS
    /// name (a wildcard, an address) it is the address 0.0.0.0, for which TLS sends no name: the peer then goes by the
    /// port that its workload serves.
    pub sni: ServerName<'static>,
    /// How much there may be of connections and requests.
    pub circuit: Circuit,
    /// How its connections are opened, and how long they serve.
    pub origination: Arc<Origination>,
    /// Told, once for one that waits, when leave to have a connection is given back.
    pub(crate) freed: Arc<Notify>,
    /// Names of which a peer's certificate must bear one, where no rule says it.
    pub(super) subject_alt_names: Arc<[String]>,
    /// Stands for the words of which `policy` was made.
    pub(super) policies: u64,
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    balancer: Balancer,
    detector: Option<Watched>,
    counts_load: bool,
    /// By what calls tell of its endpoints it is balanced; `None` where that is nothing.
    learning: Option<SimpleLoadBalancer>,
}

/// Outlier detection over the endpoints.
#[derive(Debug)]
struct Watched {
    detector: Detector,
    /// When the next sweep is due, milliseconds of this process's clock; shared with the cluster's next version.
    due: Arc<AtomicU64>,
    /// Ejections so far, over all versions of the cluster: a request that an earlier version has sent may eject, too.
    ejections: Arc<AtomicU64>,
    /// How many of them this version's balancer knows of.
    known: AtomicU64,
    /// Ejections of endpoints so far, whoever found out, over all versions of the cluster.
    enforced: Arc<AtomicU64>,
}

impl Watched {
    /// Goes on with what is known of the endpoints, and leaves out those that other callers have found out to fail.
    fn new(
        settings: Settings,
        cluster: &str,
        endpoints: &[Arc<Endpoint>],
        lasting: &mut Lasting,
    ) -> Watched {
        // Before the endpoints are looked at, so that none is missed.
        let known = AtomicU64::new(lasting.ejections.load(Ordering::Acquire));
        let detector = Detector::new(settings, lasting.hosts(endpoints));
        // The tick of another interval says nothing of this one's.
        if lasting.interval != settings.interval {
            lasting.interval = settings.interval;
            lasting.due = Arc::default();
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            let told = detector.told(index, endpoint.ejection, clock::now());
            if let Some(reason) = told.and_then(|change| change.ejected) {
                lasting.enforced.fetch_add(1, Ordering::Relaxed);
                log_ejected(cluster, endpoint, reason);
            }
        }
        let enforced = lasting.enforced.clone();
        let (due, ejections) = (lasting.due.clone(), lasting.ejections.clone());
        Watched { detector, due, ejections, known, enforced }
    }
}

/// What of a cluster outlives its descriptions.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    pub(super) turn: Arc<AtomicU64>,
    counts: Arc<Counts>,
    freed: Arc<Notify>,
    origination: Option<Arc<Origination>>,
    /// What outlier detection knows, by the endpoints' presences.
    hosts: HashMap<u64, Arc<outlier::Host>>,
    due: Arc<AtomicU64>,
    ejections: Arc<AtomicU64>,
    enforced: Arc<AtomicU64>,
    /// The interval that `due` is a tick of.
    interval: Duration,
}

impl Lasting {
    pub(super) fn new(first_turn: u32) -> Lasting {
        Lasting { turn: Arc::new(AtomicU64::new(first_turn.into())), ..Lasting::default() }
    }

    /// What is known of endpoints, in their order; those that are gone are forgotten.
    fn hosts(&mut self, endpoints: &[Arc<Endpoint>]) -> Vec<Arc<outlier::Host>> {
        let mut before = std::mem::take(&mut self.hosts);
        let mut of = |endpoint: &Arc<Endpoint>| {
            let id = endpoint.presence.id;
            let host = before.remove(&id).unwrap_or_default();
            self.hosts.insert(id, host.clone());
            host
        };
        endpoints.iter().map(&mut of).collect()
    }
}

/// What a cluster is made of.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) name: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) service_name: Arc<str>,
    pub(super) service_namespace: Arc<str>,
    pub(super) port: u16,
    pub(super) port_name: String,
    pub(super) protocol: Protocol,
    pub(super) external: bool,
    pub(super) resolution: Resolution,
    pub(super) subset: Option<Arc<str>>,
    pub(super) policy: TrafficPolicy,
    pub(super) policies: u64,
    pub(super) subject_alt_names: Arc<[String]>,
    pub(super) sni: ServerName<'static>,
}

/// A request to an endpoint, counted as its load while this lives.
#[derive(Debug)]
pub struct Active(Option<Arc<Presence>>);

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(presence) = &self.0 {
            presence.end();
        }
    }
}

impl Cluster {
    pub(super) fn new(
        words: Words,
        endpoints: Vec<Arc<Endpoint>>,
        own: &Own,
        lasting: &mut Lasting,
    ) -> Cluster {
        let policy = words.policy;
        let settings = Settings::of(policy.outlier_detection.as_ref(), words.external);
        let detector =
            settings.map(|settings| Watched::new(settings, &words.name, &endpoints, lasting));
        if detector.is_none() {
            // Who is out comes back, and begins anew should it be detected again.
            lasting.hosts.clear();
        }
        let is_ejected = |index: usize| {
            detector.as_ref().is_some_and(|it| it.detector.hosts()[index].is_ejected())
        };
        let balancer = policy.load_balancer.as_ref();
        let simple = balancer.filter(|it| it.consistent_hash.is_none()).and_then(|it| it.simple);
        let learning = simple.filter(|simple| simple.observes());
        let names: Vec<String> = endpoints.iter().map(|it| it.label()).collect();
        let described: Vec<balance::Endpoint<'_>> = (endpoints.iter().zip(&names).enumerate())
            .map(|(index, (endpoint, name))| balance::Endpoint {
                name,
                weight: endpoint.weight,
                locality: &endpoint.locality,
                network: &endpoint.network,
                cluster: DEFAULT_CLUSTER,
                labels: &endpoint.labels,
                is_healthy: true,
                is_ejected: is_ejected(index),
                ready_since: Some(endpoint.presence.since),
                observed: Some(&endpoint.presence.observed),
            })
            .collect();
        let balancer = Balancer::new(&described, &policy, &own.client(), lasting.turn.clone());
        let names = &words.subject_alt_names;
        let before = lasting.origination.take();
        let origination = Origination::of(&policy, names, &words.host, own, before.as_ref());
        lasting.origination = Some(origination.clone());
        Cluster {
            origination,
            freed: lasting.freed.clone(),
            circuit: Circuit::new(Limits::from(&policy), lasting.counts.clone()),
            counts_load: simple.is_some_and(SimpleLoadBalancer::counts_load),
            learning,
            balancer,
            detector,
            policy,
            name: words.name,
            host: words.host,
            service_name: words.service_name,
            service_namespace: words.service_namespace,
            port: words.port,
            port_name: words.port_name,
            protocol: words.protocol,
            external: words.external,
            resolution: words.resolution,
            subset: words.subset,
            policies: words.policies,
            subject_alt_names: words.subject_alt_names,
            sni: words.sni,
            endpoints: endpoints.into(),
        }
    }

    /// All endpoints, by name.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The endpoint for a request, and the number by which [`Cluster::record`] knows it. Endpoints of which the presence is
    /// in `tried` are passed over while there are others.
    pub fn pick(&self, ask: &Ask, tried: &[u64]) -> Option<(usize, &Arc<Endpoint>)> {
        self.catch_up();
        let load = |index: usize| self.endpoints[index].presence.active();
        let is_tried =
            |index: usize| !tried.is_empty() && tried.contains(&self.endpoints[index].presence.id);
        let index = self.balancer.pick(ask, load, is_tried)?;
        Some((index, self.endpoints.get(index)?))
    }

    /// Counts a request as an endpoint's load while the answer lives.
    pub fn begin(&self, endpoint: &Endpoint) -> Active {
        if !self.counts_load {
            return Active(None);
        }
        endpoint.presence.begin();
        Active(Some(endpoint.presence.clone()))
    }

    /// Whether requests should be hashed.
    pub fn is_hashing(&self) -> bool {
        self.balancer.is_hashing()
    }

    /// Whether the address that the caller itself asked for is called, not an endpoint.
    pub fn is_passthrough(&self) -> bool {
        self.balancer.is_passthrough()
    }

    /// The priorities of these endpoints, by bit, for [`Ask::avoid`].
    pub fn priorities(&self, tried: &[u64]) -> u64 {
        let is_tried = |it: &(usize, &Arc<Endpoint>)| tried.contains(&it.1.presence.id);
        let tried = self.endpoints.iter().enumerate().filter(is_tried);
        let levels = tried.filter_map(|(index, _)| self.balancer.priority(index));
        levels.filter(|level| *level < 64).fold(0, |bits, level| bits | 1 << level)
    }

    /// Records how a request to an endpoint ended, for outlier detection.
    pub fn record(&self, index: usize, outcome: Outcome) {
        let Some(watched) = &self.detector else { return };
        if let Some(change) = watched.detector.record(index, outcome, clock::now) {
            self.tell(watched, &change);
            watched.ejections.fetch_add(1, Ordering::AcqRel);
            self.catch_up();
        }
    }

    /// Has the balancer know of ejections that came about by any version of the cluster.
    fn catch_up(&self) {
        let Some(watched) = &self.detector else { return };
        let ejections = watched.ejections.load(Ordering::Acquire);
        if watched.known.load(Ordering::Relaxed) == ejections {
            return;
        }
        self.set_ejected(watched);
        // Afterwards: a thread that has seen fewer must not hide that there are more.
        watched.known.store(ejections, Ordering::Release);
    }

    fn set_ejected(&self, watched: &Watched) {
        let hosts = watched.detector.hosts().iter().map(|host| host.is_ejected());
        self.balancer.set_ejected(hosts.enumerate());
    }

    /// Whether calls should tell how they went: see [`Cluster::learn`].
    pub(crate) fn observes(&self) -> bool {
        self.learning.is_some()
    }

    /// Whether the endpoints' own word on their load is wanted.
    pub(crate) fn wants_reports(&self) -> bool {
        self.learning == Some(SimpleLoadBalancer::Learned)
    }

    /// Notes what a call told of an endpoint, for balancing. `random` is spread over all 64 bits.
    pub(crate) fn learn(&self, index: usize, told: &Told, random: u64) {
        self.balancer.tell(index, told, clock::now(), random);
    }

    /// Notes how much of what it can do an endpoint does, by its own word.
    pub(crate) fn hear(&self, index: usize, share: f32) {
        if let Some(endpoint) = self.endpoints.get(index) {
            endpoint.presence.hear(share);
        }
    }

    /// An endpoint, of those that can be reached so, to be asked for its load beside a call, and the number by which
    /// [`Cluster::note`] knows it.
    pub(crate) fn probe(
        &self,
        random: u64,
        is_reachable: impl Fn(&Arc<Endpoint>) -> bool,
    ) -> Option<(usize, &Arc<Endpoint>)> {
        let of = |index: usize| self.endpoints.get(index);
        let is_reachable = |index| of(index).is_some_and(&is_reachable);
        let index = self.balancer.probe(clock::now(), random, is_reachable)?;
        Some((index, of(index)?))
    }

    /// Notes what an endpoint said of its load when it was asked.
    pub(crate) fn note(&self, index: usize, report: Report) {
        self.balancer.hear(index, report, clock::now());
    }

    /// Lets ejected endpoints come back, and looks at success rates, if that is due. Answers when it is due again;
    /// `None` without outlier detection.
    pub(crate) fn sweep(&self, now: Duration) -> Option<Duration> {
        let watched = self.detector.as_ref()?;
        let due = watched.due.load(Ordering::Relaxed);
        let now_millis = now.as_millis() as u64;
        if now_millis < due {
            return Some(Duration::from_millis(due));
        }
        // Clusters of one interval, which is next to all of them, are due at the same moment: one look at all of them an interval,
        // not one for each.
        let interval = (watched.detector.interval().as_millis() as u64).max(1);
        let next = now_millis - now_millis % interval + interval;
        watched.due.store(next, Ordering::Relaxed);
        if due > 0 {
            watched.detector.sweep(now).iter().for_each(|change| self.tell(watched, change));
            self.set_ejected(watched);
        }
        Some(Duration::from_millis(next))
    }

    fn tell(&self, watched: &Watched, change: &Change) {
        let endpoint = &self.endpoints[change.index];
        match change.ejected {
            Some(reason) => {
                watched.enforced.fetch_add(1, Ordering::Relaxed);
                let out = watched.detector.hosts()[change.index].out(clock::now());
                if let Some(out) = out {
                    endpoint.presence.tell_ejected(out);
                }
                log_ejected(&self.name, endpoint, reason);
            }
            None => {
                let workload = &endpoint.workload;
                tracing::info!(cluster = %self.name, %workload, "an ejected endpoint is back");
            }
        }
    }

    /// How many endpoints are ejected, and how often one was; `None` without outlier detection.
    pub fn ejections(&self) -> Option<(usize, u64)> {
        let watched = self.detector.as_ref()?;
        Some((watched.detector.ejected(), watched.enforced.load(Ordering::Relaxed)))
    }

    /// Why an endpoint is ejected and for how long still, by its place in [`Cluster::endpoints`]; `None` while it is in.
    pub fn out(&self, index: usize) -> Option<Out> {
        self.detector.as_ref()?.detector.hosts().get(index)?.out(clock::now())
    }
}

fn log_ejected(cluster: &str, endpoint: &Endpoint, reason: Reason) {
    let (workload, reason) = (&endpoint.workload, reason.as_str());
    tracing::info!(%cluster, %workload, reason, "an endpoint is ejected");
}

#[cfg(test)]
mod tests;
