//! Requests that an authorizer outside decides on.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::gateway_api::reference::BackendObjectReference;
use crate::refuse::{Path, Report};
use crate::values::form;

/// An authorizer outside decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAuth {
    /// What it speaks.
    pub protocol: ExternalAuthProtocol,
    /// Where it is.
    pub backend_ref: BackendObjectReference,
    /// About gRPC.
    pub grpc: Option<GrpcAuthConfig>,
    /// About HTTP.
    pub http: Option<HttpAuthConfig>,
    /// How much of the body it gets.
    pub forward_body: Option<ForwardBody>,
}

/// What an authorizer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExternalAuthProtocol {
    /// HTTP.
    Http,
    /// Envoy's `ext_authz` over gRPC.
    Grpc,
}

/// About an authorizer over gRPC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcAuthConfig {
    /// Headers that it gets; all where it is left out.
    #[schemars(with = "Vec<form::Header>", length(max = 64))]
    pub allowed_headers: Vec<String>,
}

/// About an authorizer over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpAuthConfig {
    /// What stands before paths there.
    #[schemars(length(max = 1024))]
    pub path: String,
    /// Headers that it gets besides the usual ones.
    #[schemars(with = "Vec<form::Header>", length(max = 64))]
    pub allowed_headers: Vec<String>,
    /// Headers of its answer that go on to the backend.
    #[schemars(with = "Vec<form::Header>", length(max = 64))]
    pub allowed_response_headers: Vec<String>,
}

/// How much of the body an authorizer gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ForwardBody {
    /// So many bytes at most.
    #[schemars(range(min = 0))]
    pub max_size: i32,
}

impl ExternalAuth {
    pub(in super::super) fn check(&self, at: &Path, report: &mut Report) {
        self.backend_ref.check(&at.field("backendRef"), report);
        let (wanted, has_it, other, has_other) = match self.protocol {
            ExternalAuthProtocol::Grpc => {
                ("grpc", self.grpc.is_some(), "http", self.http.is_some())
            }
            ExternalAuthProtocol::Http => {
                ("http", self.http.is_some(), "grpc", self.grpc.is_some())
            }
        };
        if !has_it {
            report.error(at.field(wanted), "missing; the protocol needs it");
        }
        if has_other {
            report.error(at.field(other), "is of another protocol").on_key();
        }
    }
}
