//! Copies of requests for others, whose answers nobody waits for.

use std::rc::Rc;
use std::time::Duration;

use meltemi_policy::balance::Ask;
use meltemi_policy::circuit::Resource;
use meltemi_policy::route::rule::Destination;

use super::decide::{Spot, inner};
use super::goal::{self, Goal};
use super::outside;
use crate::clock;
use crate::exchange::{Call, Reply};
use crate::http::body::{Sink, Source, pump};
use crate::http::head::{Fields, RequestHead};
use crate::relay::Counted;
use crate::upstream::attempt::{Answer, attempt};
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// How long a copy is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends copies of a request whose body has passed and was kept; one that is longer, or still comes, is not copied.
pub(crate) fn send(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    mirrors: &[&Destination],
    call: &mut Call<'_>,
    replay: &Replay,
) {
    // Connections that leave HTTP cannot be copied.
    if mirrors.is_empty() || call.head.upgrade {
        return;
    }
    let Some(body) = replay.kept().filter(|_| call.body.is_over()) else {
        tracing::debug!("a request was not mirrored: its body is too long to be kept");
        return;
    };
    for destination in mirrors {
        let Some(copying) = worker.copy() else {
            tracing::debug!("a request was not mirrored: too many copies are under way");
            return;
        };
        let (worker, spot, destination) = (worker.clone(), spot.clone(), (*destination).clone());
        let (head, replay) = (shadow(call.head), Replay::of(body.to_vec()));
        tokio::task::spawn_local(Box::pin(async move {
            let _copying = copying;
            let copied = one(&worker, &spot, &destination, head, replay);
            if tokio::time::timeout(LIMIT, copied).await.is_err() {
                tracing::debug!(host = destination.host, "a mirrored request took too long");
            }
        }));
    }
}

/// The head of a copy: its host ends with `-shadow`, as Envoy has it.
fn shadow(head: &RequestHead) -> RequestHead {
    let mut head = head.clone();
    let authority = head.authority();
    let host = meltemi_policy::route::host_of(authority).len();
    let changed = [&authority[..host], b"-shadow", &authority[host..]].concat();
    head.set_authority(&changed);
    head
}

async fn one(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    destination: &Destination,
    mut head: RequestHead,
    mut replay: Replay,
) {
    let goal = match goal::of_rule(worker, spot, destination, goal::UNAVAILABLE).await {
        Ok(goal) => goal,
        Err(refusal) => {
            tracing::debug!(
                host = destination.host,
                why = refusal.text,
                "a request was not mirrored"
            );
            return;
        }
    };
    match goal {
        Goal::Cluster(named) => {
            let cluster = &named.cluster;
            let Some(_permit) = cluster.circuit.try_acquire(Resource::Requests) else { return };
            let ask = Ask { random: worker.random(), now: clock::now(), ..Ask::default() };
            let Some((_, endpoint)) = cluster.pick(&ask, &[]) else { return };
            let _active = cluster.begin(endpoint);
            let place = Place::Endpoint(cluster.clone(), endpoint.clone());
            let route = Route { place, inner: inner(cluster.protocol, head.version) };
            copy_to(worker, &route, &mut head, &mut replay).await;
        }
        Goal::Outside(outside) => {
            let cluster = outside.cluster.clone();
            let circuit = cluster.as_ref().map(|cluster| &cluster.circuit);
            let permit = circuit.map(|circuit| circuit.try_acquire(Resource::Requests));
            if let Some(None) = permit {
                return;
            }
            let route = outside::route(outside, head.version);
            copy_to(worker, &route, &mut head, &mut replay).await;
        }
    }
}

/// Sends a copy, and reads its answer to the end.
async fn copy_to(worker: &Rc<Worker>, route: &Route, head: &mut RequestHead, replay: &mut Replay) {
    let mut response = worker.lend_head();
    let nothing = Fields::default();
    let mut call = Call { head, body: Source::Over(&nothing), reply: Reply::Nobody, cors: None };
    match attempt(worker, route, false, &mut call, replay, &mut response).await {
        Ok(answer) => {
            swallow(worker, route, answer, response.keep_alive && !response.upgrade).await
        }
        Err(_) => tracing::debug!(place = ?route.place, "a mirrored request failed"),
    }
    worker.take_back(response);
}

/// Reads an answer to its end, so that its connection can serve again.
pub(super) async fn swallow(worker: &Worker, route: &Route, answer: Answer, keep_alive: bool) {
    let mut counted = Counted::default();
    match answer {
        Answer::H1(mut connection) => {
            let mut source = Source::H1(&mut connection.reader);
            let whole = pump(&mut source, &mut Sink::Nowhere, &mut counted).await.is_ok();
            if whole && keep_alive && connection.writer.is_done() {
                worker.pool.put(route, connection, std::time::Instant::now());
            }
        }
        Answer::H2 { mut receiver, .. } => {
            let mut source = Source::H2(&mut receiver);
            // A copy that breaks off is of no interest.
            let _ = pump(&mut source, &mut Sink::Nowhere, &mut counted).await;
        }
    }
}
