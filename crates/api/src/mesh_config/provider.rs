//! Authorizers outside: `extensionProviders` with `envoyExtAuthzHttp` or `envoyExtAuthzGrpc`.

use std::collections::BTreeMap;

use meltemi_names::Host;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::refuse::{Path, Report, exactly_one};
use crate::values::{Duration, Port, form, is_header_name};

/// One that policies may name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionProvider {
    /// The name by which policies call it.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// An authorizer that is asked by HTTP.
    #[serde(default)]
    pub envoy_ext_authz_http: Option<ExtAuthzHttp>,
    /// An authorizer that is asked by gRPC.
    #[serde(default)]
    pub envoy_ext_authz_grpc: Option<ExtAuthzGrpc>,
}

/// An authorizer that is asked by HTTP.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtAuthzHttp {
    /// Its service, `[NAMESPACE/]HOST`.
    #[schemars(with = "form::Filled")]
    pub service: String,
    /// The port of the service.
    pub port: Port,
    /// How long its answer is waited for; 600 s where it is left out.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// What stands before the path of the question.
    #[serde(default)]
    pub path_prefix: String,
    /// Whether requests pass when it cannot be asked.
    #[serde(default)]
    pub fail_open: bool,
    /// The status that callers get when it cannot be asked; 403 where it is left out.
    #[serde(default)]
    pub status_on_error: String,
    /// Headers of the request that it is shown.
    #[serde(default)]
    pub include_request_headers_in_check: Vec<String>,
    /// Old name of `includeRequestHeadersInCheck`.
    #[serde(default)]
    pub include_headers_in_check: Vec<String>,
    /// Headers that each question bears.
    #[serde(default)]
    pub include_additional_headers_in_check: BTreeMap<String, String>,
    /// What it is shown of bodies.
    #[serde(default)]
    pub include_request_body_in_check: Option<RequestBody>,
    /// Headers of a permission that the application is given.
    #[serde(default)]
    pub headers_to_upstream_on_allow: Vec<String>,
    /// Headers of a refusal that the caller is given; all where there are none.
    #[serde(default)]
    pub headers_to_downstream_on_deny: Vec<String>,
    /// Headers of a permission that the caller is given.
    #[serde(default)]
    pub headers_to_downstream_on_allow: Vec<String>,
}

/// An authorizer that is asked by gRPC.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtAuthzGrpc {
    /// Its service, `[NAMESPACE/]HOST`.
    #[schemars(with = "form::Filled")]
    pub service: String,
    /// The port of the service.
    pub port: Port,
    /// How long its answer is waited for; 600 s where it is left out.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Whether requests pass when it cannot be asked.
    #[serde(default)]
    pub fail_open: bool,
    /// The status that callers get when it cannot be asked; 403 where it is left out.
    #[serde(default)]
    pub status_on_error: String,
    /// What it is shown of bodies.
    #[serde(default)]
    pub include_request_body_in_check: Option<RequestBody>,
}

/// What is shown of bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestBody {
    /// The most, bytes.
    pub max_request_bytes: u32,
    /// Whether of a longer one the beginning is shown; else it is refused.
    pub allow_partial_message: bool,
    /// Whether it goes as bytes rather than as text.
    pub pack_as_bytes: bool,
}

impl ExtensionProvider {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let kinds = [
            ("envoyExtAuthzHttp", self.envoy_ext_authz_http.is_some()),
            ("envoyExtAuthzGrpc", self.envoy_ext_authz_grpc.is_some()),
        ];
        exactly_one(&kinds, at, report);
        if let Some(http) = &self.envoy_ext_authz_http {
            http.check(&at.field("envoyExtAuthzHttp"), report);
        }
        if let Some(grpc) = &self.envoy_ext_authz_grpc {
            let at = at.field("envoyExtAuthzGrpc");
            check_service(&grpc.service, &at, report);
            check_times(grpc.timeout, &grpc.status_on_error, &at, report);
            check_body(grpc.include_request_body_in_check, &at, report);
        }
    }
}

impl ExtAuthzHttp {
    fn check(&self, at: &Path, report: &mut Report) {
        check_service(&self.service, at, report);
        check_times(self.timeout, &self.status_on_error, at, report);
        check_body(self.include_request_body_in_check, at, report);
        if let Some(problem) = prefix_problem(&self.path_prefix) {
            report.error(at.field("pathPrefix"), problem);
        }
        for (field, list) in [
            ("includeRequestHeadersInCheck", &self.include_request_headers_in_check),
            ("includeHeadersInCheck", &self.include_headers_in_check),
            ("headersToUpstreamOnAllow", &self.headers_to_upstream_on_allow),
            ("headersToDownstreamOnDeny", &self.headers_to_downstream_on_deny),
            ("headersToDownstreamOnAllow", &self.headers_to_downstream_on_allow),
        ] {
            for (index, name) in list.iter().enumerate() {
                let bare = name.strip_suffix('*').or_else(|| name.strip_prefix('*'));
                if !is_header_name(bare.unwrap_or(name)) {
                    let message = format!(
                        "`{name}` is no name of a header; `*` stands for more at the beginning or end of one"
                    );
                    report.error(at.field(field).item(index), message);
                }
            }
        }
        let field = "includeAdditionalHeadersInCheck";
        for (name, value) in &self.include_additional_headers_in_check {
            let is_value = value.bytes().all(|it| it == b'\t' || (b' '..0x7f).contains(&it));
            if !is_header_name(name) || !is_value {
                let message = "it cannot be sent: neither a name with other signs than a header's nor a value of several lines";
                report.error(at.field(field).field(name), message);
            }
        }
    }
}

fn prefix_problem(prefix: &str) -> Option<&'static str> {
    let is_visible = prefix.bytes().all(|it| it.is_ascii_graphic());
    let is_path = prefix.starts_with('/') && !prefix.contains(['?', '#']) && is_visible;
    let is_said = !prefix.is_empty() && !is_path;
    is_said.then_some("must begin with `/` and hold what stands in a path alone")
}

fn check_service(service: &str, at: &Path, report: &mut Report) {
    let (namespace, host) = match service.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, service),
    };
    let is_name = namespace.is_none_or(meltemi_names::is_dns_label);
    let is_host = host.parse::<Host>().is_ok_and(|host| !host.is_wildcard());
    if !(is_name && is_host) {
        let message = format!(
            "`{service}` is no service: write [NAMESPACE/]HOST, as in `auth.default.svc.cluster.local`"
        );
        report.error(at.field("service"), message);
    }
}

fn check_times(timeout: Option<Duration>, status: &str, at: &Path, report: &mut Report) {
    if timeout.is_some_and(|it| it.0.as_millis() == 0) {
        report.error(at.field("timeout"), "must be at least 1ms");
    }
    let is_status = status.parse::<u16>().is_ok_and(|it| (200..=599).contains(&it));
    if !status.is_empty() && !is_status {
        let message = format!("`{status}` is no status of an answer (200 to 599)");
        report.error(at.field("statusOnError"), message);
    }
}

fn check_body(body: Option<RequestBody>, at: &Path, report: &mut Report) {
    if body.is_some_and(|it| it.max_request_bytes == 0) {
        let at = at.field("includeRequestBodyInCheck").field("maxRequestBytes");
        report.error(at, "missing; it is the most of a body that is shown, in bytes");
    }
}
