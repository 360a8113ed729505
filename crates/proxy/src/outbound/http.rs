//! A request of the application goes to the mesh: decide, attempt, perhaps again, relay, count.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_policy::retry::{Failed, RetryPolicy};
use meltemi_telemetry::{Reporter, ResponseFlags};

use super::decide::{Decision, decide, inner};
use super::labels::labels;
use crate::config::{Cluster, Endpoint};
use crate::exchange::Call;
use crate::finish::local::{is_not_delivered, respond};
use crate::finish::outcome::{Account, Outcome, finish};
use crate::finish::pass_back::pass_back;
use crate::finish::series::Kind;
use crate::http::forward;
use crate::http::h1::parse::Malformed;
use crate::http::head::ResponseHead;
use crate::upstream::attempt::{Answer, Failure, Missed, attempt};
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// The port of a URL without one.
const HTTP_PORT: u16 = 80;
/// The first wait before an endpoint is tried again that failed already (Istio's default back-off).
const BACK_OFF: Duration = Duration::from_millis(25);

/// Serves a request from its head to the last byte of its answer. `fixed`: the authority that its connection leads to,
/// whatever the request names.
pub(crate) async fn serve(worker: &Rc<Worker>, fixed: Option<&[u8]>, call: &mut Call<'_>) -> bool {
    let started = Instant::now();
    let _carried = worker.carry();
    forward::outbound_request(call.head, rand::random);
    let authority = fixed.unwrap_or(call.head.authority());
    let decision = decide(worker, authority, HTTP_PORT).await;
    let mut served = Served::default();
    let outcome = match decision {
        Decision::Service(cluster) => to_service(worker, cluster, fixed, call, &mut served).await,
        Decision::Outside(host, port) => to_outside(worker, host, port, call).await,
        Decision::Refuse(refusal) => {
            respond(call, refusal.status, refusal.flags, &refusal.text, &[]).await
        }
    };
    let account = Account {
        cache: &worker.series,
        reporter: Reporter::Source,
        key: served.endpoint.as_ref().map(|endpoint| endpoint.id),
    };
    let Served { cluster, endpoint } = &served;
    let labels =
        |kind: Kind| labels(worker, kind.protocol(), cluster.as_deref(), endpoint.as_deref());
    finish(worker, &account, labels, call.head, &outcome, started);
    outcome.may_continue
}

/// Whom a request was served by, for its labels.
#[derive(Default)]
struct Served {
    cluster: Option<Arc<Cluster>>,
    endpoint: Option<Arc<Endpoint>>,
}

/// Tries endpoints of the cluster in turn, as the retry policy allows.
async fn to_service(
    worker: &Rc<Worker>,
    cluster: Arc<Cluster>,
    fixed: Option<&[u8]>,
    call: &mut Call<'_>,
    served: &mut Served,
) -> Outcome {
    let policy = RetryPolicy::default();
    let spoken = inner(cluster.protocol, call.head.version);
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let mut tried = Vec::new();
    served.cluster = Some(cluster.clone());
    for made in 1.. {
        // The configuration may have changed since the last attempt.
        let mut current = cluster.clone();
        if made > 1
            && let Decision::Service(newer) =
                decide(worker, fixed.unwrap_or(call.head.authority()), HTTP_PORT).await
        {
            current = newer;
        }
        let Some(endpoint) = current.pick(&tried).cloned() else {
            let text = format!("service {} has no endpoint that is ready", cluster.host);
            return respond(call, 503, ResponseFlags::UH, &text, &[]).await;
        };
        if tried.contains(&endpoint.id) {
            back_off(made).await;
        }
        served.endpoint = Some(endpoint.clone());
        forward::set_attempt(call.head, made);
        let route = Route { place: Place::Endpoint(current, endpoint.clone()), inner: spoken };
        let attempted = attempt(worker, &route, made > 1, call, &mut replay, &mut response).await;
        let failed = match &attempted {
            Ok(_) if endpoint.tls.is_some() && is_not_delivered(&response) => {
                Some(Failed::NotDelivered)
            }
            Ok(_) if response.status == 503 => Some(Failed::Status(503)),
            Ok(_) => None,
            Err(Missed::Endpoint(failure)) => Some(failure.failed),
            Err(Missed::CallerGone | Missed::Malformed(_)) => None,
        };
        let is_replayable = replay.kept().is_some();
        if let Some(failed) = failed
            && policy.again(made, call.head.method(), failed, is_replayable)
        {
            tried.push(endpoint.id);
            if let Ok(answer) = attempted {
                put_aside(worker, &route, answer, &response);
            }
            continue;
        }
        return conclude(worker, &route, call, attempted, response, replay, made).await;
    }
    // The loop ends by a return alone: attempts are bounded by the policy.
    Outcome::of(503, ResponseFlags::URX)
}

async fn back_off(made: u32) {
    let longest = BACK_OFF.saturating_mul((1 << made.min(8)) - 1);
    tokio::time::sleep(longest.mul_f64(rand::random())).await;
}

/// An answer that is not passed on: its connection serves again if the answer has come to its end already.
fn put_aside(worker: &Worker, route: &Route, answer: Answer, response: &ResponseHead) {
    if let Answer::H1(mut connection) = answer
        && let Some(key) = route.key()
        && response.keep_alive
        && connection.writer.is_done()
        && connection.reader.discard()
    {
        worker.pool.put(key, route.endpoint(), connection, Instant::now());
    }
}

/// Passes on what the last attempt brought.
async fn conclude(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    attempted: Result<Answer, Missed>,
    response: ResponseHead,
    replay: Replay,
    made: u32,
) -> Outcome {
    let answer = match attempted {
        Ok(answer) => answer,
        Err(Missed::CallerGone) => return gone(&replay),
        Err(Missed::Malformed(why)) => return malformed(call, why, &replay).await,
        Err(Missed::Endpoint(failure)) => return give_up(call, &failure, made, &replay).await,
    };
    pass_back(worker, route, call, answer, response, replay).await
}

/// The outcome when the caller went away before the answer began.
pub(crate) fn gone(replay: &Replay) -> Outcome {
    Outcome { received: replay.passed(), may_continue: false, ..Outcome::of(0, ResponseFlags::DC) }
}

/// The outcome when the caller's body could not be read on.
pub(crate) async fn malformed(call: &mut Call<'_>, why: Malformed, replay: &Replay) -> Outcome {
    call.reply.close_after();
    let outcome = respond(call, why.status(), ResponseFlags::DPE, &why.to_string(), &[]).await;
    Outcome { received: replay.passed(), may_continue: false, ..outcome }
}

async fn give_up(call: &mut Call<'_>, failure: &Failure, made: u32, replay: &Replay) -> Outcome {
    let flags = match made {
        1 => failure.flags,
        _ => failure.flags | ResponseFlags::URX,
    };
    let text = format!(
        "upstream connect error or reset before an answer, after {made} attempts: {}",
        failure.detail
    );
    let outcome = respond(call, 503, flags, &text, &[]).await;
    Outcome { received: replay.passed(), ..outcome }
}

/// Passes a request on to a host that is no service of the mesh (Istio's ALLOW_ANY), over a connection of its own.
async fn to_outside(
    worker: &Rc<Worker>,
    host: Arc<str>,
    port: u16,
    call: &mut Call<'_>,
) -> Outcome {
    let spoken = inner(meltemi_names::Protocol::Auto, call.head.version);
    let route = Route { place: Place::Outside(host, port), inner: spoken };
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let attempted = attempt(worker, &route, true, call, &mut replay, &mut response).await;
    conclude(worker, &route, call, attempted, response, replay, 1).await
}
