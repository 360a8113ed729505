//! A connection of bytes goes to an endpoint of the mesh, or outside.

use std::rc::Rc;
use std::sync::Arc;

use meltemi_policy::balance::{Ask, hash};
use meltemi_policy::circuit::{Permit, Resource};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::HashKey;
use meltemi_policy::outcome::Class;
use meltemi_policy::outlier::Outcome;
use meltemi_policy::retry::{Failed, RetryPolicy};
use meltemi_telemetry::{Reporter, RequestProtocol, ResponseFlags, TcpLabels, TcpSeries};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::goal::{Goal, Named};
use super::http::Served;
use super::labels::labels;
use super::outcomes;
use crate::clock;
use crate::config::{Active, Cluster, Origination, Tls};
use crate::finish::connection::{Ending, Line};
use crate::http::h1::{Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::outcomes::{Counted, Ongoing};
use crate::upstream::connect::{ConnectError, connect};
use crate::upstream::proxy_protocol;
use crate::upstream::route::{Bounds, Place, Route};
use crate::worker::Worker;
use tunnel::TunnelError;

mod carry;
pub(crate) mod tunnel;

pub(crate) use carry::{Ended, Far, Limits, between, within};

/// Serves the connection until both directions have ended. `asked` is the cluster that the caller meant.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    io: Io,
    mut reader: Reader,
    asked: Option<&Arc<Cluster>>,
    goal: &Goal,
) {
    let _carried = worker.carry();
    let line = Line::begin(worker, &io);
    let mut served = Served { cluster: asked.cloned(), ..Served::default() };
    let found = Box::pin(find(worker, goal, &io, &mut served)).await;
    let flags = found.as_ref().err().map_or(ResponseFlags::NONE, Missed::flags);
    let series = find_series(worker, &served, flags);
    series.opened(worker.index);
    let mut way = match found {
        Ok(way) => way,
        Err(missed) => {
            tracing::debug!(reason = %missed, "a connection was closed: no endpoint serves it");
            series.closed(worker.index);
            let Some(line) = line else { return };
            let failure = missed.failure();
            let upstream = failure.as_ref().and_then(|_| address(goal, &served));
            let cluster = served.cluster.as_ref().map(|it| &*it.name);
            return line.end(&Ending { flags, failure, upstream, cluster, ..Ending::default() });
        }
    };
    let mut writer = Writer::new(io);
    let ended = within(way.limits, way.since, &mut reader, &mut writer, &mut way.far).await;
    tracing::trace!(?ended, "a connection ended");
    let (series, flags) = match ended {
        Ended::TooOld => (find_series(worker, &served, ResponseFlags::DT), ResponseFlags::DT),
        Ended::By(_) | Ended::Idle => (series, flags),
    };
    if let Some(ongoing) = way.ongoing.take() {
        // Bytes that nobody here understands: that they came to an end is all that is known.
        ongoing.end(None, way.far.carried(), writer.total());
    }
    let (received, sent) = (way.far.carried(), writer.total());
    series.received(worker.index, received);
    series.sent(worker.index, sent);
    series.closed(worker.index);
    if let Some(line) = line {
        let upstream = address(goal, &served);
        let cluster = served.cluster.as_ref().map(|it| &*it.name);
        line.end(&Ending { flags, received, sent, upstream, cluster, ..Ending::default() });
    }
}

/// Where a connection went, or was to go at last.
fn address(goal: &Goal, served: &Served) -> Option<String> {
    match goal {
        Goal::Outside(it) => Some(format!("{}:{}", it.host, it.port)),
        Goal::Cluster(_) => served.endpoint.as_ref().map(|it| it.socket()),
    }
}

/// Counts a connection that leads nowhere, and writes its line.
pub(crate) fn count_refused(
    worker: &Worker,
    io: &Io,
    cluster: Option<&Arc<Cluster>>,
    flags: ResponseFlags,
) {
    let served = Served { cluster: cluster.cloned(), ..Served::default() };
    let series = find_series(worker, &served, flags);
    series.opened(worker.index);
    series.closed(worker.index);
    if let Some(line) = Line::begin(worker, io) {
        line.end(&Ending { flags, ..Ending::default() });
    }
}

fn find_series(worker: &Worker, served: &Served, flags: ResponseFlags) -> Arc<TcpSeries> {
    let Served { cluster, endpoint, .. } = served;
    let base = labels(worker, RequestProtocol::Tcp, cluster.as_deref(), endpoint.as_deref());
    worker.shared.metrics.tcp(&TcpLabels { base, reporter: Reporter::Source, flags })
}

/// A connection to where it goes, and what counts while it lives.
struct Way {
    far: Far,
    limits: Limits,
    since: Instant,
    _lease: Option<Lease>,
    _active: Option<Active>,
    /// Counts it as a call of its endpoint.
    ongoing: Option<Ongoing<Arc<Counted>>>,
}

impl Way {
    fn new(
        far: Far,
        origination: &Origination,
        lease: Option<Lease>,
        active: Option<Active>,
        ongoing: Option<Ongoing<Arc<Counted>>>,
    ) -> Way {
        let limits = Limits::from(&origination.limits);
        Way { far, limits, since: Instant::now(), _lease: lease, _active: active, ongoing }
    }
}

/// Leave to have a connection. When it is given back, a request that waits for one may have it.
pub(crate) struct Lease {
    permit: Option<Permit>,
    freed: Arc<Notify>,
}

impl Lease {
    /// Leave within these bounds; `None` where there are as many connections as there may be.
    pub(crate) fn take(bounds: Bounds<'_>) -> Option<Lease> {
        let permit = bounds.circuit.try_acquire(Resource::Connections)?;
        Some(Lease { permit: Some(permit), freed: bounds.freed.clone() })
    }

    fn of(cluster: &Cluster) -> Result<Lease, Missed> {
        let Cluster { name, circuit, freed, .. } = cluster;
        Lease::take(Bounds { name, circuit, freed }).ok_or_else(|| Missed::Overflow(name.clone()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.permit = None;
        self.freed.notify_waiters();
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("no endpoint is ready")]
    NoEndpoint,
    #[error("there are as many connections to {0} as connectionPool.tcp.maxConnections allows")]
    Overflow(Arc<str>),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
}

impl Missed {
    fn flags(&self) -> ResponseFlags {
        match self {
            Missed::NoEndpoint => ResponseFlags::UH,
            Missed::Overflow(_) => ResponseFlags::UO,
            Missed::Connect(_) | Missed::Tunnel(_) => ResponseFlags::UF,
        }
    }

    /// Why the other side was not reached, where it was tried.
    fn failure(&self) -> Option<String> {
        match self {
            Missed::NoEndpoint | Missed::Overflow(_) => None,
            Missed::Connect(_) | Missed::Tunnel(_) => Some(self.to_string()),
        }
    }

    /// Whether this machine could make no connection, to whomever.
    fn is_local(&self) -> bool {
        matches!(self, Missed::Connect(error) if error.is_local())
    }

    /// The class of failures that it is of.
    fn class(&self) -> Class {
        match self {
            Missed::Connect(error) if error.is_tls() => Class::Tls,
            _ => Class::Connect,
        }
    }

    /// What it tells of the endpoint.
    fn outcome(&self) -> Outcome {
        match self {
            Missed::Tunnel(TunnelError::Refused(_, status)) => Outcome::Answered(*status),
            _ => Outcome::Unreachable,
        }
    }
}

async fn find(
    worker: &Rc<Worker>,
    goal: &Goal,
    io: &Io,
    served: &mut Served,
) -> Result<Way, Missed> {
    match goal {
        Goal::Cluster(named) => {
            served.cluster = Some(named.cluster.clone());
            find_endpoint(worker, named, io, served).await
        }
        Goal::Outside(outside) => {
            // What a rule says of connections holds for a host too of which only the name is known.
            served.cluster.clone_from(&outside.cluster);
            let cluster = outside.cluster.as_ref();
            let lease = cluster.map(|cluster| Lease::of(cluster)).transpose()?;
            let origination = cluster.map(|it| it.origination.clone()).unwrap_or_default();
            let place = Place::Outside(outside.clone());
            let route = Route { place, inner: Inner::Tcp };
            let far = reach(worker, &route, &origination, io).await?;
            Ok(Way::new(far, &origination, lease, None, None))
        }
    }
}

/// Connects to one endpoint after the other, as often as the retry policy allows: no byte of the caller's was sent yet.
async fn find_endpoint(
    worker: &Rc<Worker>,
    named: &Named,
    io: &Io,
    served: &mut Served,
) -> Result<Way, Missed> {
    let lease = Lease::of(&named.cluster)?;
    let policy = RetryPolicy::default();
    let mut tried = Vec::new();
    let mut last = Missed::NoEndpoint;
    for made in 0.. {
        if made > 0 && !policy.again(made, b"", Failed::NotConnected, true) {
            break;
        }
        // The configuration may have changed since the last attempt.
        let cluster = if made > 0 { named.now(worker) } else { named.cluster.clone() };
        let (random, now, hash) = (worker.random(), clock::now(), hash_of(&cluster.policy));
        let Some((index, endpoint)) =
            cluster.pick(&Ask { random, now, hash, ..Ask::default() }, &tried)
        else {
            break;
        };
        let endpoint = endpoint.clone();
        tried.push(endpoint.presence.id);
        let active = cluster.begin(&endpoint);
        let counted = outcomes::counted(worker, &cluster, &endpoint).clone();
        let ongoing = Ongoing::new(counted, worker.index, std::time::Instant::now());
        let place = Place::Endpoint(cluster.clone(), endpoint.clone());
        served.endpoint = Some(endpoint);
        match reach(worker, &Route { place, inner: Inner::Tcp }, &cluster.origination, io).await {
            Ok(far) => {
                cluster.record(index, Outcome::Connected);
                let origination = &cluster.origination;
                let (lease, active) = (Some(lease), Some(active));
                return Ok(Way::new(far, origination, lease, active, Some(ongoing)));
            }
            Err(missed) if missed.is_local() => return Err(missed),
            Err(missed) => {
                cluster.record(index, missed.outcome());
                ongoing.end(Some(missed.class()), 0, 0);
                last = missed;
            }
        }
    }
    Err(last)
}

/// Connects, and says what has to be said before the caller's bytes.
async fn reach(
    worker: &Worker,
    route: &Route,
    origination: &Origination,
    io: &Io,
) -> Result<Far, Missed> {
    let connected = connect(worker, route).await?;
    let mut far = Far::new(connected.io, connected.preface);
    // Where TLS is made for a server, the header stands before it.
    let is_said = matches!(origination.tls, Tls::Outside(_));
    if let Some(version) = origination.proxy_protocol.filter(|_| !is_said) {
        let header = proxy_protocol::header(version, io.addresses());
        far.writer.out().extend_from_slice(&header);
    }
    if let Some(settings) = &origination.tunnel {
        tunnel::open(&mut far, settings).await?;
    }
    Ok(far)
}

/// What connections are hashed by: only the caller's address is known of them, and the application beside this proxy is the
/// one caller.
fn hash_of(policy: &TrafficPolicy) -> Option<u64> {
    let rule = policy.load_balancer.as_ref()?.consistent_hash.as_ref()?;
    matches!(rule.key, Some(HashKey::UseSourceIp)).then(|| hash(b"127.0.0.1"))
}
