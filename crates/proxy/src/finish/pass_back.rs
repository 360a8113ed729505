//! The answer that the endpoint gave goes back, and what became of the request is known.

use std::rc::Rc;
use std::sync::Arc;

use meltemi_telemetry::ResponseFlags;

use super::outcome::Outcome;
use crate::exchange::Call;
use crate::http::forward;
use crate::http::head::ResponseHead;
use crate::http::known::Known;
use crate::relay::{Counted, End, relay};
use crate::upstream::attempt::Answer;
use crate::upstream::replay::Replay;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Passes an answer back to its end.
pub(crate) async fn pass_back(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    answer: Answer,
    mut response: ResponseHead,
    mut replay: Replay,
) -> Outcome {
    forward::response(&mut response);
    // It is said between two proxies only.
    response.fields.remove(Known::NotAnswered);
    // What refused a request only the sidecar knows that judged it: no application and no stranger may say so.
    if !route.is_proved() {
        response.fields.remove(Known::DeniedBy);
    }
    let learning = match &route.place {
        Place::Endpoint(cluster, endpoint) if cluster.wants_reports() => Some(&endpoint.presence),
        _ => None,
    };
    let mut counted = Counted { wants_load: learning.is_some(), ..Counted::default() };
    let end = relay(worker, route, call, answer, &response, &mut replay, &mut counted).await;
    if let (Some(presence), Some(share)) = (learning, counted.utilization) {
        presence.hear(share);
    }
    let flags = match end {
        End::Complete => ResponseFlags::NONE,
        End::CallerGone => ResponseFlags::DC,
        End::EndpointBroke => ResponseFlags::UC,
    };
    let status = response.status;
    worker.take_back(response);
    Outcome {
        status,
        flags,
        grpc_status: counted.grpc_status,
        received: replay.passed(),
        sent: counted.bytes,
        may_continue: end == End::Complete && status != 101,
        details: None,
        upstream: upstream_address(worker, route),
    }
}

/// Written in log lines only, so made only where there are some.
fn upstream_address(worker: &Worker, route: &Route) -> Option<Arc<str>> {
    worker.shared.access_log?;
    Some(match &route.place {
        Place::Endpoint(_, endpoint) => endpoint.socket().into(),
        Place::App(app) => app.place.at.to_string().into(),
        Place::Outside(it) => format!("{}:{}", it.host, it.port).into(),
    })
}
