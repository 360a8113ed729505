//! The sum of a demo: what the shopper saw, and what the sidecars counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::figures::{Counts, ServiceFigures, share};
use crate::bookshop::{Latency, Report};

/// The share of requests that must succeed for the demo to have gone well.
pub const ENOUGH: f64 = 0.999;

/// What is printed at the end; as JSON a contract with whoever reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// From the shopper's first request until its last answer, seconds.
    pub duration_s: f64,
    /// The shopper's requests.
    pub requests: u64,
    /// Those that were answered with 200.
    pub succeeded: u64,
    /// Their share; null without requests.
    pub success_rate: Option<f64>,
    /// From when a request was due until its answer was there; null without requests.
    pub latency_ms: Option<Latency>,
    /// The share of all requests that sidecars beside servers took over mutual TLS; null if they took none.
    pub mtls_share: Option<f64>,
    /// What those sidecars counted.
    pub services: Vec<ServiceSummary>,
    /// The shopper's failures, by what was wrong.
    #[serde(skip)]
    pub failures: BTreeMap<String, u64>,
}

/// A service's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSummary {
    /// The service.
    pub name: &'static str,
    /// All requests that its sidecars counted.
    pub requests: u64,
    /// Each endpoint's.
    pub endpoints: Vec<EndpointSummary>,
}

/// An endpoint's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointSummary {
    /// Its address in the registry.
    pub address: String,
    /// Its version.
    pub version: &'static str,
    /// What its sidecar counted.
    pub requests: u64,
}

impl Summary {
    pub(super) fn new(report: Report, services: Vec<ServiceFigures>) -> Summary {
        let mut all = Counts::default();
        services.iter().for_each(|service| all.add(&service.counts));
        let services = services.into_iter().map(|service| ServiceSummary {
            name: service.service,
            requests: service.counts.requests,
            endpoints: service
                .endpoints
                .into_iter()
                .map(|it| EndpointSummary {
                    address: it.address,
                    version: it.version,
                    requests: it.requests,
                })
                .collect(),
        });
        Summary {
            duration_s: (report.duration_s * 1000.0).round() / 1000.0,
            requests: report.requests,
            succeeded: report.succeeded,
            success_rate: share(report.succeeded, report.requests),
            latency_ms: report.latency_ms,
            mtls_share: all.mtls_share(),
            services: services.collect(),
            failures: report.failures,
        }
    }

    /// Whether enough requests succeeded; without requests none did.
    pub fn went_well(&self) -> bool {
        self.success_rate.is_some_and(|rate| rate >= ENOUGH)
    }

    /// For people to read.
    pub fn text(&self) -> String {
        let mut text = format!("{} requests in {:.1} s", self.requests, self.duration_s);
        if let Some(rate) = self.success_rate {
            let _ = write!(text, ", {} succeeded", percent(rate));
        }
        if let Some(Latency { p50, p90, p99 }) = self.latency_ms {
            let _ = write!(text, "; p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms");
        }
        text.push('\n');
        if let Some(share) = self.mtls_share {
            let all: u64 = self.services.iter().map(|service| service.requests).sum();
            let _ = writeln!(text, "{} of {all} requests in the mesh over mTLS", percent(share));
        }
        for (what, count) in &self.failures {
            let _ = writeln!(text, "{count} failed: {what}");
        }
        text
    }
}

/// A share as a percentage. It says 100 % of the whole only.
pub(super) fn percent(share: f64) -> String {
    let shown = (share * 10_000.0).floor() / 100.0;
    format!("{shown:.2} %")
}

#[cfg(test)]
mod tests;
