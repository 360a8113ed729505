//! A request of the mesh goes to the application.

use std::rc::Rc;
use std::time::Instant;

use meltemi_policy::circuit::Resource;
use meltemi_policy::retry::is_idempotent;
use meltemi_telemetry::{Reporter, ResponseFlags};

use super::authenticate::{self, authenticate};
use super::authorize::{self, Refused, authorize_request};
use super::caller::Caller;
use super::external::{self, OnAnswer};
use super::probe;
use crate::config::{Inbound, InboundPort};
use crate::exchange::Call;
use crate::finish::local::{BROKEN, NOT_DELIVERED, OVERLOADED, respond};
use crate::finish::outcome::{Account, Outcome, finish};
use crate::finish::pass_back::pass_back;
use crate::http::forward;
use crate::http::normalize::normalize;
use crate::outbound::conclude::{gone, malformed};
use crate::outbound::decide::inner;
use crate::outbound::http::DEFAULT_ROUTE;
use crate::upstream::attempt::{Missed, attempt};
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// What callers hear whose certificate is good no more.
const REVOKED: &str = "the caller's certificate was revoked";
/// What callers in plaintext hear where there is none.
const PLAINTEXT: &str = "this port takes mutual TLS alone (PeerAuthentication)";
/// How often a request is sent anew because the application closed an idle connection just then.
const ANEW: u32 = 2;

/// Serves a request from its head to the last byte of its answer.
pub(crate) async fn serve(worker: &Rc<Worker>, caller: &Caller, call: &mut Call<'_>) -> bool {
    let started = Instant::now();
    let _carried = worker.carry();
    forward::inbound_request(call.head, caller.client_cert.as_deref(), rand::random);
    if worker.is_draining() {
        call.reply.close_after();
    }
    if forward::is_load_probe(call.head) {
        // Boxed, so that requests do not carry its room.
        return Box::pin(probe::serve(worker, caller, call)).await;
    }
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, call.head.authority());
    let outcome = match port {
        _ if caller.is_revoked(&worker.shared) => {
            call.reply.close_after();
            respond(call, 403, ResponseFlags::default(), REVOKED, &[NOT_DELIVERED]).await
        }
        Some(port) if !caller.may_call(port) => {
            call.reply.close_after();
            respond(call, 403, ResponseFlags::default(), PLAINTEXT, &[NOT_DELIVERED]).await
        }
        Some(port) => admit(worker, caller, (&inbound, port), call).await,
        None => {
            let text = "this workload serves no such service or port";
            respond(call, 503, ResponseFlags::NR, text, &[NOT_DELIVERED]).await
        }
    };
    // For log lines only, so made only where there are some.
    let is_logged = worker.shared.access_log.is_some();
    let cluster = port.filter(|_| is_logged).map(InboundPort::cluster);
    let account = Account {
        cache: &caller.series,
        reporter: Reporter::Destination,
        key: caller.series_key(port),
        upstream_cluster: cluster.as_deref(),
        route: port.map(|_| DEFAULT_ROUTE),
    };
    let labels =
        |kind: crate::finish::series::Kind| caller.labels(&worker.shared, port, kind.protocol());
    finish(worker, &account, labels, call.head, &outcome, started);
    outcome.may_continue
}

/// Passes a request on whose path is clear, whose token is good and whom the policies let pass.
async fn admit(
    worker: &Rc<Worker>,
    caller: &Caller,
    (inbound, port): (&Inbound, &InboundPort),
    call: &mut Call<'_>,
) -> Outcome {
    if let Err(why) = normalize(call.head, inbound.normalization) {
        return respond(call, 400, ResponseFlags::DPE, &why.to_string(), &[]).await;
    }
    let bearer = match authenticate(worker, (inbound, port), call.head) {
        Ok(bearer) => bearer,
        Err(why) => return authenticate::refuse(call, why).await,
    };
    let to = (inbound, port);
    match authorize_request(worker, &caller.authorizer, to, call.head, bearer.as_ref()) {
        Ok(()) => to_app(worker, port, call, Passed::default()).await,
        Err(Refused::Denied(denied)) => authorize::refuse(worker, call, denied).await,
        // Boxed, so that requests that nobody is asked about do not carry its room.
        Err(Refused::Asks(asking)) => {
            Box::pin(external::serve(worker, caller, port, bearer.as_ref(), call, asking)).await
        }
    }
}

/// What was done with a request before it goes to the application.
#[derive(Default)]
pub(crate) struct Passed {
    /// What was read of its body.
    pub(crate) replay: Replay,
    /// What the answer is changed by.
    pub(crate) on_answer: Option<OnAnswer>,
}

/// Passes a request on, as far as the application's limits allow, and its answer back.
pub(crate) async fn to_app(
    worker: &Rc<Worker>,
    port: &InboundPort,
    call: &mut Call<'_>,
    passed: Passed,
) -> Outcome {
    let Some(_permit) = port.app.circuit.try_acquire(Resource::Requests) else {
        return full(call, "too many requests are under way to the application").await;
    };
    let spoken = inner(port.protocol, call.head.version);
    let route = Route { place: Place::App(port.app.clone()), inner: spoken };
    let Passed { mut replay, on_answer } = passed;
    let metered = worker.report.begin(call.head);
    let mut response = worker.lend_head();
    let mut made = 0;
    let answer = loop {
        let is_fresh = made > 0;
        let failure =
            match attempt(worker, &route, is_fresh, call, &mut replay, &mut response).await {
                Ok(answer) => break answer,
                Err(Missed::CallerGone) => return gone(&replay),
                Err(Missed::Malformed(why)) => return malformed(call, why, &replay).await,
                Err(Missed::Overflow(text)) => return full(call, &text).await,
                Err(Missed::Endpoint(failure) | Missed::Local(failure)) => failure,
            };
        made += 1;
        let is_safe = failure.failed.is_undelivered() || is_idempotent(call.head.method());
        if failure.was_reused && made <= ANEW && is_safe && replay.kept().is_some() {
            continue;
        }
        let extra = match failure.failed {
            failed if failed.is_undelivered() => &[NOT_DELIVERED],
            _ => &[BROKEN],
        };
        let text = format!("the application did not answer: {}", failure.detail);
        let outcome = respond(call, 503, failure.flags, &text, extra).await;
        return Outcome { received: replay.passed(), ..outcome };
    };
    if worker.is_draining() {
        call.reply.close_after();
    }
    if let Some(metered) = &metered {
        metered.answer(response.status, &mut response.fields);
    }
    if let Some(changes) = on_answer {
        changes.apply(&mut response.fields);
    }
    pass_back(worker, &route, call, answer, response, replay).await
}

/// The answer where the application has as much as it may, marked as Envoy's is.
async fn full(call: &mut Call<'_>, text: &str) -> Outcome {
    let extra: &[(&[u8], &[u8])] = &[OVERLOADED, (b"x-envoy-overloaded", b"true")];
    respond(call, 503, ResponseFlags::UO, text, extra).await
}
