//! What the guard measures: one side of a pair of sidecars, with one protocol over it.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::contestant::Place;
use crate::scenario::Wire;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// HTTP/1.1, the caller's sidecar
    Http1Caller,
    /// HTTP/1.1, the endpoint's sidecar
    Http1Endpoint,
    /// gRPC unary, the caller's sidecar
    GrpcCaller,
    /// gRPC unary, the endpoint's sidecar
    GrpcEndpoint,
}

impl Case {
    /// All of them.
    pub const ALL: [Case; 4] =
        [Case::Http1Caller, Case::Http1Endpoint, Case::GrpcCaller, Case::GrpcEndpoint];

    /// Its word, as in the file of bounds.
    pub fn name(self) -> &'static str {
        match self {
            Case::Http1Caller => "http1-caller",
            Case::Http1Endpoint => "http1-endpoint",
            Case::GrpcCaller => "grpc-caller",
            Case::GrpcEndpoint => "grpc-endpoint",
        }
    }

    /// What the caller speaks.
    pub fn wire(self) -> Wire {
        match self {
            Case::Http1Caller | Case::Http1Endpoint => Wire::Http1,
            Case::GrpcCaller | Case::GrpcEndpoint => Wire::Grpc,
        }
    }

    /// Which proxy is counted.
    pub fn place(self) -> Place {
        match self {
            Case::Http1Caller | Case::GrpcCaller => Place::Client,
            Case::Http1Endpoint | Case::GrpcEndpoint => Place::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_one_word_everywhere() {
        for case in Case::ALL {
            assert_eq!(serde_json::json!(case), case.name());
            assert_eq!(Case::from_str(case.name(), false), Ok(case));
        }
    }
}
