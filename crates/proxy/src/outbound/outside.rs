//! A request to a host that has no endpoints here: to the host's own address.

use std::rc::Rc;
use std::time::Instant;

use meltemi_names::Protocol;
use meltemi_policy::circuit::Resource;
use meltemi_policy::retry::Failed;
use meltemi_telemetry::ResponseFlags;

use super::attempts::{self, Run, Way};
use super::conclude::{gone, overflow, pass_on, too_late};
use super::deadline::Deadline;
use super::decide::inner;
use super::http::Served;
use super::mirror;
use crate::exchange::Call;
use crate::finish::outcome::Outcome;
use crate::http::head::Version;
use crate::upstream::attempt::{Missed, attempt};
use crate::upstream::replay::Replay;
use crate::upstream::route::{Outside, Place, Route};
use crate::worker::Worker;

/// Passes a request on to a host that the mesh does not know (Istio's ALLOW_ANY), as the application wrote it, once, over
/// a connection of its own.
pub(crate) async fn pass(
    worker: &Rc<Worker>,
    outside: Outside,
    call: &mut Call<'_>,
    started: Instant,
) -> Outcome {
    let route = route(outside, call.head.version);
    let deadline = Deadline::of(call.head, None, started);
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let attempt = attempt(worker, &route, true, call, &mut replay, &mut response);
    let attempted = match &deadline {
        None => attempt.await,
        Some(deadline) => {
            Box::pin(deadline.hold(attempt)).await.unwrap_or_else(|| Err(attempts::late(true)))
        }
    };
    let deadline = deadline.filter(|_| attempted.is_ok() && !response.upgrade);
    pass_on(worker, &route, call, attempted, response, replay, 1, deadline).await
}

/// Serves a request to a host that the mesh knows by its name alone (`resolution: NONE`, `PASSTHROUGH`): limits,
/// connections, retries, timeouts, changes and mirrors are as for endpoints. There is one address only, so that a retry
/// waits for its time, unless an idle connection was just closed.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    outside: Outside,
    way: &Way<'_>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    let Some(cluster) = outside.cluster.clone() else {
        return pass(worker, outside, call, started).await;
    };
    served.cluster = Some(cluster.clone());
    served.is_called = true;
    let Some(_permit) = cluster.circuit.try_acquire(Resource::Requests) else {
        let text = format!("too many requests are under way to {}", cluster.name);
        return overflow(call, &text, &Replay::default()).await;
    };
    let route = route(outside, call.head.version);
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let mut run = Run::new(worker, way, None, call, &mut replay, started);
    let mut was_stale = false;
    loop {
        run.made += 1;
        if run.made > 1 && !was_stale && !run.back_off(call).await {
            return gone(&replay);
        }
        let attempted = run.attempt(&route, call, &mut replay, &mut response).await;
        if let Some(failed) = run.judge(false, &attempted, &response)
            && run.would_try_again(call.head.method(), failed, &replay)
        {
            if run.may_try_again(Some(&cluster.circuit)) {
                was_stale = matches!(&attempted, Err(Missed::Endpoint(it)) if it.was_reused);
                continue;
            }
            run.flags |= ResponseFlags::URX;
        } else {
            run.count_end(&attempted);
        }
        if let Some(spot) = way.spot {
            mirror::send(worker, spot, &way.mirrors, call, &replay);
        }
        if attempted.is_ok() {
            way.changes.apply(&mut response.fields, call.cors.as_deref());
        }
        if let (Err(Missed::Endpoint(failure)), Some(deadline)) = (&attempted, &run.deadline)
            && failure.failed == Failed::TimedOut
            && deadline.is_callers()
        {
            return too_late(call, &replay).await;
        }
        // The resource is for getting an answer, not for how long that is.
        run.retrying = None;
        let deadline = run.deadline.take().filter(|_| attempted.is_ok() && !response.upgrade);
        let is_answered = attempted.is_ok();
        let passing =
            pass_on(worker, &route, call, attempted, response, replay, run.made, deadline);
        let outcome = passing.await;
        return run.passed_on(is_answered, outcome);
    }
}

/// The way to it; what is spoken is as its port declares.
pub(super) fn route(outside: Outside, caller: Version) -> Route {
    let protocol = outside.cluster.as_ref().map_or(Protocol::Auto, |it| it.protocol);
    Route { place: Place::Outside(outside), inner: inner(protocol, caller) }
}
