//! What an attempt tells of its endpoint: to outlier detection, and for the outcomes that go to the registry.

use std::ops::Deref;
use std::sync::Arc;

use meltemi_policy::outcome::Class;
use meltemi_policy::outlier;
use meltemi_policy::retry::Failed;
use meltemi_telemetry::ResponseFlags;

use crate::config::{Cluster, Endpoint};
use crate::finish::local::is_broken;
use crate::finish::outcome::Outcome;
use crate::http::head::ResponseHead;
use crate::outcomes::{Counted, Named, Ongoing};
use crate::upstream::attempt::{Answer, Missed};
use crate::worker::Worker;

/// Where the calls of an endpoint are counted. One that is called by several subsets of a service is one endpoint.
pub(super) fn counted<'e>(
    worker: &Worker,
    cluster: &Cluster,
    endpoint: &'e Endpoint,
) -> &'e Arc<Counted> {
    endpoint.presence.counted(|| {
        worker.shared.outcomes.enter(Named {
            host: cluster.host.clone(),
            port: cluster.port,
            workload: format!("{}/{}", endpoint.namespace, endpoint.workload),
            address: (endpoint.address.to_string(), endpoint.port),
            locality: endpoint.locality.clone(),
        })
    })
}

/// Tells outlier detection how the attempt ended; `None` where that says nothing of the endpoint.
pub(super) fn record(
    cluster: &Cluster,
    index: usize,
    attempted: &Result<Answer, Missed>,
    failed: Option<Failed>,
    status: u16,
) -> Option<outlier::Outcome> {
    let outcome = match (attempted, failed) {
        (Ok(_), Some(Failed::GrpcStatus(grpc))) => outlier::Outcome::Answered(http_status(grpc)),
        (Ok(_), Some(Failed::Overloaded)) => outlier::Outcome::Overloaded,
        (Ok(_), _) => outlier::Outcome::Answered(status),
        (Err(Missed::Endpoint(_)), Some(Failed::TimedOut | Failed::PerTryTimedOut)) => {
            outlier::Outcome::TimedOut
        }
        (Err(Missed::Endpoint(_)), _) => outlier::Outcome::Unreachable,
        (Err(_), _) => return None,
    };
    cluster.record(index, outcome);
    Some(outcome)
}

/// The HTTP status that stands for a status of gRPC (Envoy's `Grpc::Utility::grpcToHttpStatus`).
fn http_status(grpc: u16) -> u16 {
    match grpc {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// What an answer was before it is passed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    failed: Option<Failed>,
    status: u16,
    /// The peer's proxy says that the application broke off.
    is_broken: bool,
}

impl Answered {
    /// `is_proxy`: another proxy of the mesh answered.
    pub(super) fn of(is_proxy: bool, failed: Option<Failed>, response: &ResponseHead) -> Answered {
        let is_broken = is_proxy && failed.is_some() && is_broken(response);
        Answered { failed, status: response.status, is_broken }
    }

    /// The class of failures that it is of; an answer that was passed on to its end may have a status of gRPC in its trailers.
    fn class(self, grpc_status: Option<u16>) -> Option<Class> {
        match self.failed {
            _ if self.is_broken => Some(Class::Reset),
            // The peer's proxy takes our certificate for one that is good no more.
            Some(Failed::NotDelivered) if self.status == 403 => Some(Class::Tls),
            // It could not reach the application, or does not serve the port.
            Some(Failed::NotDelivered) => Some(Class::Connect),
            // A caller of gRPC is told so with status 200.
            Some(Failed::Overloaded) => Class::of_answer(503, grpc_status),
            Some(Failed::GrpcStatus(grpc)) => Class::of_answer(self.status, Some(grpc)),
            _ => Class::of_answer(self.status, grpc_status),
        }
    }
}

/// Counts an attempt of which nothing is passed on.
pub(super) fn end_attempt<C: Deref<Target = Counted>>(
    ongoing: Ongoing<C>,
    attempted: &Result<Answer, Missed>,
    answered: Answered,
) {
    match attempted {
        Ok(_) => ongoing.end(answered.class(None), 0, 0),
        Err(Missed::Endpoint(failure)) => {
            let class = match failure.failed {
                Failed::NotConnected if failure.is_tls => Class::Tls,
                Failed::NotConnected => Class::Connect,
                Failed::TimedOut | Failed::PerTryTimedOut => Class::Timeout,
                _ => Class::Reset,
            };
            ongoing.end(Some(class), 0, 0);
        }
        // Not the endpoint's doing.
        Err(_) => {}
    }
}

/// Counts an attempt of which the answer was passed on.
pub(super) fn end_answer<C: Deref<Target = Counted>>(
    ongoing: Ongoing<C>,
    answered: Answered,
    outcome: &Outcome,
) {
    let class = if outcome.flags.contains(ResponseFlags::UC) {
        Some(Class::Reset)
    } else if outcome.flags.contains(ResponseFlags::UT) {
        Some(Class::Timeout)
    } else if outcome.flags.contains(ResponseFlags::DC) {
        // The caller gave it up.
        return;
    } else {
        answered.class(outcome.grpc_status.map(u16::from))
    };
    ongoing.end(class, outcome.received, outcome.sent);
}
