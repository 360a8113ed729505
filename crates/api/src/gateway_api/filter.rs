//! What is done with requests on their way: filters of routes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{BackendObjectReference, LocalObjectReference};
use crate::refuse::{Path, Report, check_header_value, check_target_text};
use crate::values::{Port, form, is_header_name};

mod external_auth;

pub use external_auth::{
    ExternalAuth, ExternalAuthProtocol, ForwardBody, GrpcAuthConfig, HttpAuthConfig,
};

/// Headers that are changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeaderFilter {
    /// Put in place of what is there.
    #[schemars(length(max = 16))]
    pub set: Vec<Header>,
    /// Put beside what is there.
    #[schemars(length(max = 16))]
    pub add: Vec<Header>,
    /// Taken away.
    #[schemars(with = "Vec<form::Header>", length(max = 16))]
    pub remove: Vec<String>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Header {
    /// Its name.
    #[schemars(with = "form::Header")]
    pub name: String,
    /// Its value.
    #[schemars(with = "form::Filled")]
    pub value: String,
}

/// Who gets a copy of requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestMirror {
    /// The backend.
    pub backend_ref: BackendObjectReference,
    /// So many of 100; all where neither this nor `fraction` is there.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
    /// So many of any number.
    pub fraction: Option<Fraction>,
}

/// So many of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Fraction {
    /// So many.
    #[schemars(range(min = 0))]
    pub numerator: i32,
    /// Of so many; 100 where it is left out.
    #[schemars(range(min = 1))]
    pub denominator: Option<i32>,
}

/// Where requests are sent instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestRedirect {
    /// With or without TLS.
    pub scheme: Option<Scheme>,
    /// The host there.
    #[schemars(with = "Option<form::DnsName>")]
    pub hostname: Option<String>,
    /// The path there.
    pub path: Option<PathModifier>,
    /// The port there.
    pub port: Option<Port>,
    /// 301, 302, 303, 307 or 308; 302 where it is left out.
    pub status_code: Option<u16>,
}

/// With or without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without.
    Http,
    /// With.
    Https,
}

/// What is changed in requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UrlRewrite {
    /// The host.
    #[schemars(with = "Option<form::DnsName>")]
    pub hostname: Option<String>,
    /// The path.
    pub path: Option<PathModifier>,
}

/// How a path is changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathModifier {
    /// All of it, or the part that was matched.
    pub r#type: PathModifierType,
    /// What stands there instead of all of it.
    #[schemars(length(max = 1024))]
    pub replace_full_path: Option<String>,
    /// What stands there instead of the part that was matched.
    #[schemars(length(max = 1024))]
    pub replace_prefix_match: Option<String>,
}

/// Which part of a path is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PathModifierType {
    /// All of it.
    ReplaceFullPath,
    /// The part that was matched.
    ReplacePrefixMatch,
}

/// Which pages of others may call (CORS).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Cors {
    /// Their origins; `*` may stand for a part of a host.
    #[schemars(length(max = 64))]
    pub allow_origins: Vec<String>,
    /// Whether they may send cookies.
    pub allow_credentials: Option<bool>,
    /// Methods that they may use.
    #[schemars(length(max = 9))]
    pub allow_methods: Vec<String>,
    /// Headers that they may send.
    #[schemars(with = "Vec<form::Header>", length(max = 64))]
    pub allow_headers: Vec<String>,
    /// Headers that they may read.
    #[schemars(with = "Vec<form::Header>", length(max = 64))]
    pub expose_headers: Vec<String>,
    /// How many seconds they may remember this.
    #[schemars(range(min = 1))]
    pub max_age: Option<i32>,
}

/// A filter that is an object of its own.
pub type ExtensionRef = LocalObjectReference;

impl HeaderFilter {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            for (index, header) in headers.iter().enumerate() {
                let same = |it: &Header| it.name.eq_ignore_ascii_case(&header.name);
                if let Some(first) = headers[..index].iter().position(same) {
                    let message = format!("`{}` is header [{first}] already", header.name);
                    report.error(at.field(field).item(index).field("name"), message);
                }
                let at = at.field(field).item(index).field("value");
                check_header_value(&header.value, at, report);
            }
        }
    }
}

impl RequestMirror {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        self.backend_ref.check(&at.field("backendRef"), report);
        let shares = [("percent", self.percent.is_some()), ("fraction", self.fraction.is_some())];
        crate::refuse::at_most_one(&shares, at, report);
        if let Some(fraction) = self.fraction
            && fraction.numerator > fraction.denominator.unwrap_or(100)
        {
            let message = "is more than `denominator`";
            report.error(at.field("fraction").field("numerator"), message);
        }
    }
}

impl RequestRedirect {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        if let Some(code) = self.status_code
            && ![301, 302, 303, 307, 308].contains(&code)
        {
            let message = format!("{code} is none of 301, 302, 303, 307, 308");
            report.error(at.field("statusCode"), message);
        }
        if let Some(path) = &self.path {
            path.check(&at.field("path"), report);
        }
    }
}

impl Cors {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        for (index, method) in self.allow_methods.iter().enumerate() {
            if !is_header_name(method) {
                let message = format!("`{method}` is not a method");
                report.error(at.field("allowMethods").item(index), message);
            }
        }
    }
}

impl PathModifier {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let (wanted, other) = match self.r#type {
            PathModifierType::ReplaceFullPath => (
                ("replaceFullPath", &self.replace_full_path),
                ("replacePrefixMatch", &self.replace_prefix_match),
            ),
            PathModifierType::ReplacePrefixMatch => (
                ("replacePrefixMatch", &self.replace_prefix_match),
                ("replaceFullPath", &self.replace_full_path),
            ),
        };
        if wanted.1.is_none() {
            report.error(at.field(wanted.0), format!("missing; type {:?} needs it", self.r#type));
        }
        if other.1.is_some() {
            let message = format!("cannot stand with type {:?}", self.r#type);
            report.error(at.field(other.0), message).on_key();
        }
        if let Some(text) = wanted.1 {
            check_target_text(text, at.field(wanted.0), report);
        }
    }
}
