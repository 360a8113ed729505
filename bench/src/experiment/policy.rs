//! The policies that are held against each other.

use clap::ValueEnum;
use serde::Serialize;

/// A balancing policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Istio's `ROUND_ROBIN`
    RoundRobin,
    /// Istio's `LEAST_REQUEST`
    LeastRequest,
    /// Least latency, weighted by what is in flight
    PeakEwma,
    /// By what servers report of themselves
    Learned,
}

impl Policy {
    /// Its word in tables and file names.
    pub fn name(self) -> &'static str {
        match self {
            Policy::RoundRobin => "round-robin",
            Policy::LeastRequest => "least-request",
            Policy::PeakEwma => "peak-ewma",
            Policy::Learned => "learned",
        }
    }

    /// The `DestinationRule` that makes it the service's.
    pub fn rule(self) -> String {
        let (annotations, simple) = match self {
            Policy::RoundRobin => (String::new(), "ROUND_ROBIN"),
            Policy::LeastRequest => (String::new(), "LEAST_REQUEST"),
            Policy::PeakEwma => (annotation("PEAK_EWMA"), "LEAST_REQUEST"),
            Policy::Learned => (annotation("LEARNED"), "LEAST_REQUEST"),
        };
        format!(
            "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: bench
  namespace: default
{annotations}spec:
  host: bench
  trafficPolicy:
    loadBalancer:
      simple: {simple}
"
        )
    }
}

fn annotation(word: &str) -> String {
    format!("  annotations:\n    meltemi.io/balancing: {word}\n")
}
