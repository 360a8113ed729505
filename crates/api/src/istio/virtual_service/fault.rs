//! Faults that are put into requests, to see how callers bear them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::refuse::{Path, Report, exactly_one};
use crate::values::Duration;

/// Faults that are put into requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fault {
    /// They take longer.
    pub delay: Option<Delay>,
    /// They fail.
    pub abort: Option<Abort>,
}

/// Requests take longer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Delay {
    /// By so much.
    pub fixed_delay: Option<Duration>,
    /// Not served by anybody yet.
    pub exponential_delay: Option<Duration>,
    /// So many of them; none where it is left out.
    pub percentage: Option<Percent>,
    /// Old form of `percentage`.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
}

/// Requests fail.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Abort {
    /// With this status.
    #[schemars(range(min = 200, max = 600))]
    pub http_status: Option<i32>,
    /// With this status of gRPC, as a word or number.
    pub grpc_status: Option<String>,
    /// Not served by anybody yet.
    #[serde(rename = "http2Error")]
    pub http2_error: Option<String>,
    /// So many of them; all where it is left out.
    pub percentage: Option<Percent>,
}

/// So many of 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Percent {
    /// From 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub value: f64,
}

/// gRPC's words for a status, by number.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The number of a gRPC status that is written as a word or a number; none for what is no status.
pub fn grpc_code(status: &str) -> Option<u8> {
    let number = status.parse().ok().or_else(|| GRPC.iter().position(|word| *word == status))?;
    u8::try_from(number).ok().filter(|_| number < GRPC.len())
}

impl Fault {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        if self.delay.is_none() && self.abort.is_none() {
            report.error(at.clone(), "empty; at least one of `delay`, `abort` is needed");
        }
        if let Some(delay) = &self.delay {
            let ways = [
                ("fixedDelay", delay.fixed_delay.is_some()),
                ("exponentialDelay", delay.exponential_delay.is_some()),
            ];
            exactly_one(&ways, &at.field("delay"), report);
            if delay.exponential_delay.is_some() {
                let message = "no proxy serves it; `fixedDelay` is what there is";
                report.error(at.field("delay").field("exponentialDelay"), message).on_key();
            }
        }
        if let Some(abort) = &self.abort {
            abort.check(&at.field("abort"), report);
        }
    }
}

impl Abort {
    fn check(&self, at: &Path, report: &mut Report) {
        let ways = [
            ("httpStatus", self.http_status.is_some()),
            ("grpcStatus", self.grpc_status.is_some()),
            ("http2Error", self.http2_error.is_some()),
        ];
        exactly_one(&ways, at, report);
        if self.http2_error.is_some() {
            let message = "no proxy serves it; use `httpStatus` or `grpcStatus`";
            report.error(at.field("http2Error"), message).on_key();
        }
        let Some(status) = &self.grpc_status else {
            return;
        };
        if grpc_code(status).is_none() {
            let message = format!("`{status}` is not a status of gRPC");
            let problem = report.error(at.field("grpcStatus"), message);
            if let Some(near) = crate::refuse::nearest(status, GRPC) {
                problem.suggest(format!("did you mean `{near}`?"));
            }
        }
    }
}
