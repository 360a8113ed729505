//! A request to a host that has no endpoints here (Istio's ALLOW_ANY, or `resolution: NONE`): to the host's own address,
//! each attempt over a connection of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use meltemi_names::Protocol;
use meltemi_policy::circuit::Circuit;
use meltemi_policy::retry::Failed;
use meltemi_telemetry::ResponseFlags;

use super::attempts::{self, Run, Way};
use super::conclude::{gone, pass_on, too_late};
use super::deadline::Deadline;
use super::decide::{Spot, inner};
use super::mirror;
use crate::exchange::Call;
use crate::finish::outcome::Outcome;
use crate::upstream::attempt::{Missed, attempt};
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Passes a request on that no rule is for, as the application wrote it, once.
pub(crate) async fn pass(
    worker: &Rc<Worker>,
    host: Arc<str>,
    port: u16,
    call: &mut Call<'_>,
    started: Instant,
) -> Outcome {
    let route = route(host, port, call);
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

/// Serves a request as a rule has it: its retries, timeouts, changes and mirrors hold as for a cluster. There is one
/// address only, so that each retry waits for its time.
pub(crate) async fn by_rule(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    host: Arc<str>,
    port: u16,
    way: &Way<'_>,
    call: &mut Call<'_>,
    started: Instant,
) -> Outcome {
    // Where the host is gone from the configuration, nothing limits the retries.
    let service = worker.shared.mesh.find(&host);
    let cluster = service.as_ref().and_then(|service| service.cluster(port)).cloned();
    let circuit: Option<&Circuit> = cluster.as_ref().map(|cluster| &cluster.circuit);
    let route = route(host, port, call);
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let mut run = Run::new(worker, way, None, call, &mut replay, started);
    loop {
        run.made += 1;
        if run.made > 1 && !run.back_off(call).await {
            return gone(&replay);
        }
        let attempted = run.attempt(&route, call, &mut replay, &mut response).await;
        if let Some(failed) = run.judge(false, &attempted, &response)
            && run.would_try_again(call.head.method(), failed, &replay)
        {
            if run.may_try_again(circuit) {
                continue;
            }
            run.flags |= ResponseFlags::URX;
        } else {
            run.count_end(&attempted);
        }
        mirror::send(worker, spot, &way.mirrors, call, &replay);
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

fn route(host: Arc<str>, port: u16, call: &Call<'_>) -> Route {
    let inner = inner(Protocol::Auto, call.head.version);
    Route { place: Place::Outside(host, port), inner }
}
