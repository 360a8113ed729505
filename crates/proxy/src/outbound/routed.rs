//! A request as the rules of a VirtualService have it: answered here, sent elsewhere, delayed, changed, and called.

use std::rc::Rc;
use std::time::Instant;

use meltemi_policy::route::rule::AbortWith;
use meltemi_policy::route::{Cors, Decision, HttpTable};
use meltemi_telemetry::ResponseFlags;

use super::attempts::{Way, pause};
use super::changes::{self, Changes, allow};
use super::conclude::gone;
use super::counted::Counting;
use super::decide::{Spot, refusal};
use super::edit;
use super::goal;
use super::http::{Served, no_route, to, to_itself};
use super::overrides::Overrides;
use super::view::View;
use crate::exchange::Call;
use crate::finish::local::{Local, respond, respond_with};
use crate::finish::outcome::Outcome;
use crate::http::known::Known;
use crate::upstream::replay::Replay;
use crate::worker::Worker;

/// Serves a request by the first rule that matches it.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    table: &HttpTable,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    let Some(decision) = table.find(&View { head: call.head, port: spot.port }) else {
        return no_route(call, &spot.service.host).await;
    };
    served.name(worker, Some(decision.name()));
    if decision.is_for_itself() {
        return to_itself(worker, spot, call, served, started).await;
    }
    match decision.cors(&View { head: call.head, port: spot.port }) {
        Cors::Pass => {}
        Cors::Preflight { is_allowed, headers } => {
            let origin = is_allowed.then(|| origin(call));
            let local = Local::of(200, ResponseFlags::NONE);
            return respond_with(call, local, |fields| {
                if let Some(origin) = &origin {
                    allow(fields, origin, headers);
                }
            })
            .await;
        }
        Cors::Allowed { headers } => {
            let cors = changes::Cors { origin: origin(call), headers: headers.clone() };
            call.cors = Some(Box::new(cors));
        }
    }
    let faults = decision.faults(&mut || worker.random());
    let mut flags = ResponseFlags::NONE;
    if let Some(delay) = faults.delay {
        flags |= ResponseFlags::DI;
        if !pause(call, delay).await {
            return gone(&Replay::default());
        }
    }
    let outcome = match faults.abort {
        Some(abort) => broken_off(call, abort).await,
        None => act(worker, spot, &decision, call, served, started).await,
    };
    Outcome { flags: outcome.flags | flags, ..outcome }
}

fn origin(call: &Call<'_>) -> Vec<u8> {
    call.head.fields.find_name(b"origin").unwrap_or_default().to_vec()
}

/// A fault that was asked for.
async fn broken_off(call: &mut Call<'_>, abort: AbortWith) -> Outcome {
    let local = match abort {
        AbortWith::HttpStatus(status) => Local::of(status, ResponseFlags::FI),
        AbortWith::GrpcStatus(status) => {
            Local { grpc_status: Some(status), ..Local::of(200, ResponseFlags::FI) }
        }
    };
    let local = Local { body: b"fault filter abort", ..local };
    respond_with(call, local, |_| {}).await
}

/// Does what the rule says.
async fn act(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    decision: &Decision<'_>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    let mut text = Vec::new();
    if let Some(status) = decision.redirect(&View { head: call.head, port: spot.port }, &mut text) {
        let local = Local::of(status, ResponseFlags::NONE);
        return respond_with(call, local, |fields| {
            fields.push(b"location", &text);
            edit::apply(fields, decision.response_headers());
        })
        .await;
    }
    if let Some(answer) = decision.direct_response() {
        let body = answer.body.as_ref().map(|body| body.as_bytes()).unwrap_or_default();
        let local = Local { body, ..Local::of(answer.status, ResponseFlags::NONE) };
        return respond_with(call, local, |fields| {
            edit::apply(fields, decision.response_headers());
        })
        .await;
    }
    let Some(target) = decision.destination(worker.random()) else {
        return no_route(call, &spot.service.host).await;
    };
    let missing = decision.missing_status();
    let goal = match target.unusable() {
        None => goal::of_rule(worker, spot, target.destination, missing).await,
        Some(reason) => Err(refusal(missing, ResponseFlags::NC, reason.to_owned())),
    };
    let goal = match goal {
        Ok(goal) => goal,
        Err(refusal) => {
            return respond(call, refusal.status, refusal.flags, &refusal.text, &[]).await;
        }
    };
    if decision.rewrite_path(call.head.target(), &mut text) {
        edit::set_path(call.head, &text);
    }
    edit::apply(&mut call.head.fields, target.request_headers());
    if let Some(authority) = target.authority() {
        // What it was is told as Envoy does.
        let before = call.head.authority().to_vec();
        edit::put(&mut call.head.fields, "x-envoy-original-host", &before);
        call.head.set_authority(authority.as_bytes());
    }
    debug_assert!(call.head.fields.find(Known::Host).is_none(), "the authority stands apart");
    let counting = Counting::of(worker, spot, decision);
    let asked = Overrides::take(call.head, decision.retry(), decision.timeout());
    let (retry, timeout) =
        asked.as_ref().map_or((decision.retry(), decision.timeout()), |it| it.way());
    let way = Way {
        retry,
        timeout,
        changes: Changes { edits: target.response_headers() },
        mirrors: decision.mirrors(|| worker.random()).collect(),
        spot: Some(spot),
        counting: counting.as_ref(),
    };
    let outcome = to(worker, goal, &way, call, served, started).await;
    if let Some(counting) = &counting {
        counting.answered(&outcome);
    }
    outcome
}
