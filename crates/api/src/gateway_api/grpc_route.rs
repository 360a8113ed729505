//! `GRPCRoute`: where calls of gRPC go.

use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::{ExtensionRef, HeaderFilter, RequestMirror};
use super::http_route::{HeaderMatch, TextMatchType, check_regex};
use super::reference::{BackendObjectReference, ParentReference, check_parents, check_weights};
use super::route_status::RouteStatus;
use super::session::SessionPersistence;
use super::tcp_route::DefaultGateways;
use super::tls_route::check_hostnames;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::form;

/// Where calls of gRPC go.
pub type GrpcRoute = Object<GrpcRouteSpec, RouteStatus>;

/// Where calls of gRPC go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcRouteSpec {
    /// What it is attached to.
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Whether it is attached to the default gateways.
    pub use_default_gateways: Option<DefaultGateways>,
    /// The hosts; those of the listener where it is left out.
    #[schemars(with = "Vec<form::Host>", length(max = 16))]
    pub hostnames: Vec<String>,
    /// The rules.
    #[schemars(length(max = 16))]
    pub rules: Vec<GrpcRule>,
}

/// A rule for calls.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcRule {
    /// Its name.
    pub name: Option<String>,
    /// It counts if one of these matches, or there are none.
    #[schemars(length(max = 64))]
    pub matches: Vec<GrpcMatch>,
    /// What is done with calls.
    #[schemars(length(max = 16))]
    pub filters: Vec<GrpcFilter>,
    /// Who is called.
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<GrpcBackendRef>,
    /// How a client stays with a backend.
    pub session_persistence: Option<SessionPersistence>,
}

/// What a call is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcMatch {
    /// The method.
    pub method: Option<MethodMatch>,
    /// Headers, all of these.
    #[schemars(length(max = 16))]
    pub headers: Vec<HeaderMatch>,
}

/// A pattern for a service and its method; at least one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MethodMatch {
    /// How it is meant; `Exact` where it is left out.
    pub r#type: Option<TextMatchType>,
    /// The service with its package.
    #[schemars(length(max = 1024))]
    pub service: Option<String>,
    /// The method.
    #[schemars(length(max = 1024))]
    pub method: Option<String>,
}

/// Something that is done with calls: the field that belongs to the type says what.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcFilter {
    /// Which field counts.
    pub r#type: GrpcFilterType,
    /// Headers of the call are changed.
    pub request_header_modifier: Option<HeaderFilter>,
    /// Headers of the answer are changed.
    pub response_header_modifier: Option<HeaderFilter>,
    /// Somebody gets a copy.
    pub request_mirror: Option<RequestMirror>,
    /// An object of its own says what.
    pub extension_ref: Option<ExtensionRef>,
}

/// What a filter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GrpcFilterType {
    /// Headers of the call are changed.
    RequestHeaderModifier,
    /// Headers of the answer are changed.
    ResponseHeaderModifier,
    /// Somebody gets a copy.
    RequestMirror,
    /// An object of its own says what.
    ExtensionRef,
}

/// A backend with its share.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct GrpcBackendRef {
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendObjectReference,
    /// Its share in relation to others; 1 where it is left out, 0 for nothing.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<i32>,
    /// What is done with calls to it.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub filters: Vec<GrpcFilter>,
}

impl Spec for GrpcRouteSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        check_parents(&self.parent_refs, at, report);
        check_hostnames(&self.hostnames, at, report);
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&at.field("rules").item(index), report);
        }
    }
}

impl GrpcRule {
    fn check(&self, at: &Path, report: &mut Report) {
        for (index, it) in self.matches.iter().enumerate() {
            it.check(&at.field("matches").item(index), report);
        }
        check_filters(&self.filters, &at.field("filters"), report);
        let at = at.field("backendRefs");
        for (index, backend) in self.backend_refs.iter().enumerate() {
            let at = at.item(index);
            backend.backend.check(&at, report);
            check_filters(&backend.filters, &at.field("filters"), report);
        }
        check_weights(self.backend_refs.iter().map(|it| it.weight), &at, report);
    }
}

impl GrpcMatch {
    fn check(&self, at: &Path, report: &mut Report) {
        if let Some(method) = &self.method {
            method.check(&at.field("method"), report);
        }
        for (index, header) in self.headers.iter().enumerate() {
            if header.r#type == Some(TextMatchType::RegularExpression) {
                let at = at.field("headers").item(index).field("value");
                check_regex(&header.value, at, report);
            }
        }
    }
}

impl MethodMatch {
    fn check(&self, at: &Path, report: &mut Report) {
        let parts = [("service", &self.service), ("method", &self.method)];
        if parts.iter().all(|(_, part)| part.as_ref().is_none_or(String::is_empty)) {
            report.error(at.clone(), "at least one of `service`, `method` is needed");
        }
        for (field, part) in parts {
            let Some(part) = part else {
                continue;
            };
            if self.r#type == Some(TextMatchType::RegularExpression) {
                check_regex(part, at.field(field), report);
            } else if !part.split('.').all(is_identifier) {
                let message =
                    format!("`{part}` is not a name of protobuf: letters, digits and `_`");
                report.error(at.field(field), message);
            }
        }
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check_filters(filters: &[GrpcFilter], at: &Path, report: &mut Report) {
    for (index, filter) in filters.iter().enumerate() {
        filter.check(&at.item(index), report);
    }
}

impl GrpcFilter {
    fn check(&self, at: &Path, report: &mut Report) {
        use GrpcFilterType as Type;
        let (request, response) = (&self.request_header_modifier, &self.response_header_modifier);
        let fields = [
            (Type::RequestHeaderModifier, "requestHeaderModifier", request.is_some()),
            (Type::ResponseHeaderModifier, "responseHeaderModifier", response.is_some()),
            (Type::RequestMirror, "requestMirror", self.request_mirror.is_some()),
            (Type::ExtensionRef, "extensionRef", self.extension_ref.is_some()),
        ];
        for (kind, field, is_set) in fields {
            if kind == self.r#type && !is_set {
                report.error(at.field(field), "missing; the filter's type needs it");
            } else if kind != self.r#type && is_set {
                let message = "does not belong to the filter's type";
                report.error(at.field(field), message).on_key();
            }
        }
        for (field, headers) in
            [("requestHeaderModifier", request), ("responseHeaderModifier", response)]
        {
            if let Some(headers) = headers {
                headers.check(&at.field(field), report);
            }
        }
        if let Some(mirror) = &self.request_mirror {
            mirror.check(&at.field("requestMirror"), report);
        }
    }
}
