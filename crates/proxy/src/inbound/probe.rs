//! A caller's proxy asks for the workload's load: it is told by this proxy, and the application sees nothing of it.
//!
//! Whoever could not make the call that the question came with is told nothing: revocations, tokens and policies are heeded as
//! they are for that call, but what policies decide is not counted, as no call is made. Where an authorizer outside would have to
//! be asked the answer is no.

use std::rc::Rc;

use meltemi_telemetry::ResponseFlags;

use super::authenticate::authenticate;
use super::authorize::would_pass;
use super::caller::Caller;
use crate::exchange::Call;
use crate::finish::local::respond;
use crate::http::normalize::normalize;
use crate::reporting;
use crate::worker::Worker;

/// Answers. It is no request of the caller's: it stands in a counter of its own, and in no series of requests or log.
pub(super) async fn serve(worker: &Rc<Worker>, caller: &Caller, call: &mut Call<'_>) -> bool {
    let flags = ResponseFlags::default();
    let outcome = match may_know(worker, caller, call) {
        true => {
            worker.probes.told.add(1);
            let mut text = [0; reporting::LONGEST];
            let report = worker.report.tell(&mut text);
            respond(call, 204, flags, "", &[(reporting::NAME, report)]).await
        }
        false => {
            worker.probes.refused.add(1);
            respond(call, 403, flags, "", &[]).await
        }
    };
    outcome.may_continue
}

/// Whether the caller may make this call.
fn may_know(worker: &Rc<Worker>, caller: &Caller, call: &mut Call<'_>) -> bool {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let Some(port) = caller.find(&inbound, call.head.authority()) else { return false };
    if caller.is_revoked(&worker.shared)
        || !caller.may_call(port)
        || normalize(call.head, inbound.normalization).is_err()
    {
        return false;
    }
    let Ok(bearer) = authenticate(worker, (&inbound, port), call.head) else { return false };
    would_pass(&caller.authorizer, (&inbound, port), call.head, bearer.as_ref())
}
