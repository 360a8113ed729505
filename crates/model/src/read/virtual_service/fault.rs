//! Faults that are put into requests.

use meltemi_api::istio::virtual_service as api;
use meltemi_policy::route::rule::{Abort, AbortWith, Delay, Fault, Percentage};

/// Reads faults; those that Istio's API has but serves nowhere are refused.
pub(super) fn read(given: api::Fault) -> Result<Fault, String> {
    Ok(Fault {
        delay: given.delay.map(|it| delay(&it)).transpose()?,
        abort: given.abort.map(|it| abort(&it)).transpose()?,
    })
}

fn delay(given: &api::Delay) -> Result<Delay, String> {
    let Some(fixed) = given.fixed_delay else {
        return Err("delay.exponentialDelay: no proxy serves it; use fixedDelay".into());
    };
    let old = given.percent.map(|percent| Percentage::from_percent(f64::from(percent)));
    // Istio's reference: without a percentage no request is delayed, but all are aborted.
    let percentage = given.percentage.map(percentage).or(old).unwrap_or(Percentage::NONE);
    Ok(Delay { fixed_delay_ms: super::millis(fixed), percentage })
}

fn abort(given: &api::Abort) -> Result<Abort, String> {
    let with = match (given.http_status, given.grpc_status.as_deref()) {
        (Some(status), _) => AbortWith::HttpStatus(status.try_into().unwrap_or(500)),
        (None, Some(status)) => AbortWith::GrpcStatus(grpc_status(status)?),
        (None, None) => {
            return Err("abort.http2Error: no proxy serves it; use httpStatus or grpcStatus".into());
        }
    };
    Ok(Abort { with, percentage: given.percentage.map_or(Percentage::ALL, percentage) })
}

fn grpc_status(given: &str) -> Result<u8, String> {
    api::grpc_code(given)
        .ok_or_else(|| format!("abort.grpcStatus: `{given}` is not a status of gRPC"))
}

fn percentage(given: api::Percent) -> Percentage {
    Percentage::from_percent(given.value)
}
