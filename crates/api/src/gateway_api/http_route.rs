//! `HTTPRoute`: where requests go.

use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::{
    Cors, ExtensionRef, ExternalAuth, HeaderFilter, RequestMirror, RequestRedirect, UrlRewrite,
};
use super::reference::{BackendObjectReference, ParentReference};
use super::route_status::RouteStatus;
use super::session::SessionPersistence;
use super::tcp_route::DefaultGateways;
use crate::object::Object;
use crate::values::form;

mod check;

pub(super) use check::check_regex;

/// Where requests go.
pub type HttpRoute = Object<HttpRouteSpec, RouteStatus>;

/// Where requests go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// What it is attached to.
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Whether it is attached to the default gateways.
    pub use_default_gateways: Option<DefaultGateways>,
    /// The hosts; those of the listener where it is left out.
    #[schemars(with = "Vec<form::Host>", length(max = 16))]
    pub hostnames: Vec<String>,
    /// The rules; all requests go nowhere where it is left out.
    #[schemars(length(max = 16))]
    pub rules: Vec<HttpRule>,
}

/// A rule for requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRule {
    /// Its name.
    pub name: Option<String>,
    /// It counts if one of these matches, or there are none.
    #[schemars(length(max = 64))]
    pub matches: Vec<HttpMatch>,
    /// What is done with requests.
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpFilter>,
    /// Who is called.
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<HttpBackendRef>,
    /// How long things may take.
    pub timeouts: Option<HttpTimeouts>,
    /// When requests are sent once more.
    pub retry: Option<HttpRetry>,
    /// How a client stays with a backend.
    pub session_persistence: Option<SessionPersistence>,
}

/// What a request is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpMatch {
    /// The path; all paths where it is left out.
    pub path: Option<PathMatch>,
    /// Headers, all of these.
    #[schemars(length(max = 16))]
    pub headers: Vec<HeaderMatch>,
    /// Parameters of the query, all of these.
    #[schemars(length(max = 16))]
    pub query_params: Vec<QueryParamMatch>,
    /// The method.
    pub method: Option<Method>,
}

/// A pattern for paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PathMatch {
    /// How it is meant; `PathPrefix` where it is left out.
    pub r#type: Option<PathMatchType>,
    /// The path; `/` where it is left out.
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// How a pattern for paths is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// As the path itself.
    Exact,
    /// As its first parts, split by `/`.
    PathPrefix,
    /// As a regular expression.
    RegularExpression,
}

/// A pattern for a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct HeaderMatch {
    /// How it is meant; `Exact` where it is left out.
    pub r#type: Option<TextMatchType>,
    /// The header, with any case.
    #[schemars(with = "form::Header")]
    pub name: String,
    /// Its value.
    #[schemars(with = "form::Filled")]
    pub value: String,
}

/// A pattern for a parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct QueryParamMatch {
    /// How it is meant; `Exact` where it is left out.
    pub r#type: Option<TextMatchType>,
    /// The parameter.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its value.
    #[schemars(with = "form::Filled")]
    pub value: String,
}

/// How a pattern for a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TextMatchType {
    /// As the text itself.
    Exact,
    /// As a regular expression.
    RegularExpression,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "HTTP's own words")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

/// Something that is done with requests: the field that belongs to the type says what.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpFilter {
    /// Which field counts.
    pub r#type: HttpFilterType,
    /// Headers of the request are changed.
    pub request_header_modifier: Option<HeaderFilter>,
    /// Headers of the answer are changed.
    pub response_header_modifier: Option<HeaderFilter>,
    /// Somebody gets a copy.
    pub request_mirror: Option<RequestMirror>,
    /// The request is sent elsewhere.
    pub request_redirect: Option<RequestRedirect>,
    /// Host or path are changed.
    pub url_rewrite: Option<UrlRewrite>,
    /// Pages of others may call.
    pub cors: Option<Cors>,
    /// An authorizer outside decides.
    pub external_auth: Option<ExternalAuth>,
    /// An object of its own says what.
    pub extension_ref: Option<ExtensionRef>,
}

/// What a filter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum HttpFilterType {
    /// Headers of the request are changed.
    RequestHeaderModifier,
    /// Headers of the answer are changed.
    ResponseHeaderModifier,
    /// Somebody gets a copy.
    RequestMirror,
    /// The request is sent elsewhere.
    RequestRedirect,
    /// Host or path are changed.
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    /// Pages of others may call.
    #[serde(rename = "CORS")]
    Cors,
    /// An authorizer outside decides.
    ExternalAuth,
    /// An object of its own says what.
    ExtensionRef,
}

/// A backend with its share.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct HttpBackendRef {
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendObjectReference,
    /// Its share in relation to others; 1 where it is left out, 0 for nothing.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<i32>,
    /// What is done with requests to it.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpFilter>,
}

/// How long things may take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpTimeouts {
    /// An answer, with all attempts; `0s` for as long as it likes.
    #[schemars(with = "Option<form::GatewayDuration>")]
    pub request: Option<String>,
    /// One attempt.
    #[schemars(with = "Option<form::GatewayDuration>")]
    pub backend_request: Option<String>,
}

/// When requests are sent once more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpRetry {
    /// After these statuses.
    #[schemars(inner(range(min = 400, max = 599)))]
    pub codes: Vec<u16>,
    /// How often at most.
    pub attempts: Option<i32>,
    /// How long to wait between attempts at first.
    #[schemars(with = "Option<form::GatewayDuration>")]
    pub backoff: Option<String>,
}
