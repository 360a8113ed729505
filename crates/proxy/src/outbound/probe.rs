//! Asks endpoints for their load beside a call, where a rule goes by what they say and calls are too few to tell of it (Prequal's
//! probes, NSDI '24).
//!
//! A probe is the call's own head with one field more, over a connection that stands; the called proxy answers it itself, and
//! by the head knows whether it may. Only a call without a body that is safe (RFC 9110, section 9.2.1) is taken for one, and only
//! a proxy asked that has said that it answers: Envoy and older sidecars are never asked.
//!
//! How many there are `Balancer::probe` says: three beside a call at most, and ten a second.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use meltemi_telemetry::{Counter, Registry};

use super::decide::inner;
use super::mirror::swallow;
use crate::config::{Cluster, Endpoint};
use crate::exchange::{Call, Reply};
use crate::http::body::Source;
use crate::http::forward;
use crate::http::head::{BodyLength, Fields, RequestHead};
use crate::reporting;
use crate::upstream::admit;
use crate::upstream::attempt::attempt;
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// A word that comes later is too old to be of use.
const LIMIT: Duration = Duration::from_secs(1);

/// What became of a worker's probes, and of those that others sent to it.
#[derive(Debug)]
pub(crate) struct Probes {
    answered: Counter,
    missed: Counter,
    pub(crate) told: Counter,
    pub(crate) refused: Counter,
}

impl Probes {
    /// The counters of a further worker.
    pub(crate) fn new(registry: &Registry) -> Probes {
        let counter = |result: &str| {
            registry.counter_shard(
                "meltemi_load_probes_total",
                "Questions of proxies for the load of endpoints, beside calls (LEARNED).",
                &[("result", result)],
            )
        };
        Probes {
            answered: counter("answered"),
            missed: counter("missed"),
            told: counter("told"),
            refused: counter("refused"),
        }
    }
}

/// Asks some, if calls tell too little, beside a call with this head to the endpoint `called`, which tells of itself with its
/// answer. Nobody waits for the answers.
pub(super) fn send(
    worker: &Rc<Worker>,
    cluster: &Arc<Cluster>,
    called: &Endpoint,
    head: &RequestHead,
) {
    let is_safe = matches!(head.method(), b"GET" | b"HEAD");
    if !cluster.wants_reports() || !is_safe || head.upgrade || head.body != BodyLength::Empty {
        return;
    }
    let spoken = inner(cluster.protocol, head.version);
    let route = |endpoint: &Arc<Endpoint>| Route {
        place: Place::Endpoint(cluster.clone(), endpoint.clone()),
        inner: spoken,
    };
    // Where connections are limited they are the calls'.
    let is_reachable = |endpoint: &Arc<Endpoint>| {
        let route = route(endpoint);
        endpoint.presence.id != called.presence.id
            && cluster.origination.is_mutual_with(endpoint)
            && !admit::is_limited(&route)
            && route.key().is_some_and(|key| worker.pool.stands(key))
    };
    while let Some((index, endpoint)) = cluster.probe(worker.random(), is_reachable) {
        let Some(copying) = worker.copy() else { return };
        let (worker, cluster, route) = (worker.clone(), cluster.clone(), route(endpoint));
        let mut head = head.clone();
        forward::probe_load(&mut head);
        tokio::task::spawn_local(Box::pin(async move {
            let _copying = copying;
            let asked = ask(&worker, &cluster, index, &route, &mut head);
            let is_answered = tokio::time::timeout(LIMIT, asked).await.unwrap_or(false);
            match is_answered {
                true => worker.probes.answered.add(1),
                false => worker.probes.missed.add(1),
            }
        }));
    }
}

/// Whether it said its load.
async fn ask(
    worker: &Rc<Worker>,
    cluster: &Cluster,
    index: usize,
    route: &Route,
    head: &mut RequestHead,
) -> bool {
    let (mut response, mut replay) = (worker.lend_head(), Replay::default());
    let nothing = Fields::default();
    let mut call = Call { head, body: Source::Over(&nothing), reply: Reply::Nobody, cors: None };
    let mut is_answered = false;
    if let Ok(answer) = attempt(worker, route, false, &mut call, &mut replay, &mut response).await {
        let word = reporting::take(&mut response.fields);
        if let Some(share) = word.utilization {
            cluster.hear(index, share);
        }
        if let Some(report) = word.report {
            cluster.note(index, report);
            is_answered = true;
        }
        swallow(worker, route, answer, response.keep_alive && !response.upgrade).await;
    }
    worker.take_back(response);
    is_answered
}
