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
}

impl Policy {
    /// Its word in tables and file names.
    pub fn name(self) -> &'static str {
        match self {
            Policy::RoundRobin => "round-robin",
            Policy::LeastRequest => "least-request",
        }
    }

    /// The `DestinationRule` that makes it the service's.
    pub fn rule(self) -> String {
        let simple = match self {
            Policy::RoundRobin => "ROUND_ROBIN",
            Policy::LeastRequest => "LEAST_REQUEST",
        };
        format!(
            "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: bench
  namespace: default
spec:
  host: bench
  trafficPolicy:
    loadBalancer:
      simple: {simple}
"
        )
    }
}
