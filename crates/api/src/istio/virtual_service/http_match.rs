//! Which requests a rule is for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check_source;
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Port, form, is_header_name};

/// What a request is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpMatch {
    /// Its name, for statistics.
    pub name: String,
    /// The path.
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    pub scheme: Option<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The host that is asked.
    pub authority: Option<StringMatch>,
    /// Headers, all of these; without a pattern a header has to be there.
    pub headers: BTreeMap<String, StringMatch>,
    /// The port.
    pub port: Option<Port>,
    /// The caller's labels.
    pub source_labels: BTreeMap<String, String>,
    /// The gateways.
    pub gateways: Vec<String>,
    /// Parameters of the query, all of these; without a pattern a parameter has to be there.
    pub query_params: BTreeMap<String, StringMatch>,
    /// Whether case does not count in `uri`; not with `regex`.
    pub ignore_uri_case: bool,
    /// Headers, none of these.
    pub without_headers: BTreeMap<String, StringMatch>,
    /// The caller's namespace.
    pub source_namespace: String,
    /// A name for statistics.
    pub stat_prefix: String,
}

/// A pattern for a text: one of three forms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StringMatch {
    /// The text itself.
    pub exact: Option<String>,
    /// Its beginning.
    pub prefix: Option<String>,
    /// A regular expression for all of it.
    #[schemars(with = "Option<form::Regex>")]
    pub regex: Option<String>,
}

impl StringMatch {
    /// Whether it says nothing, so that the text has to be there, whatever it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let forms = [
            ("exact", self.exact.is_some()),
            ("prefix", self.prefix.is_some()),
            ("regex", self.regex.is_some()),
        ];
        at_most_one(&forms, at, report);
        if self.prefix.as_ref().is_some_and(String::is_empty) {
            report.error(at.field("prefix"), "empty; every text begins so");
        }
        if self.regex.as_ref().is_some_and(String::is_empty) {
            report.error(at.field("regex"), "empty; it would match the empty text alone");
        }
    }
}

impl HttpMatch {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let parts = [
            ("uri", &self.uri),
            ("scheme", &self.scheme),
            ("method", &self.method),
            ("authority", &self.authority),
        ];
        for (field, pattern) in parts {
            let Some(pattern) = pattern else {
                continue;
            };
            pattern.check(&at.field(field), report);
            if pattern.is_empty() {
                let message = "empty; one of `exact`, `prefix`, `regex` is needed";
                report.warn(at.field(field), message);
            }
        }
        for (field, headers) in
            [("headers", &self.headers), ("withoutHeaders", &self.without_headers)]
        {
            for (name, pattern) in headers {
                let at = at.field(field).field(name);
                check_header(name, &at, report);
                pattern.check(&at, report);
            }
        }
        for (name, pattern) in &self.query_params {
            let at = at.field("queryParams").field(name);
            pattern.check(&at, report);
        }
        check_source(&self.source_labels, &self.gateways, at, report);
        if self.ignore_uri_case && self.uri.as_ref().is_some_and(|uri| uri.regex.is_some()) {
            let message = "has no effect on `regex`";
            report.warn(at.field("ignoreUriCase"), message).suggest("begin it with `(?i)`");
        }
    }

    /// Whether every request matches.
    pub(super) fn is_any(&self) -> bool {
        let is_all = |uri: &StringMatch| {
            uri.prefix.as_deref() == Some("/")
                || uri.regex.as_deref().is_some_and(|it| [".*", "*"].contains(&it))
        };
        let rest = Self {
            name: String::new(),
            uri: None,
            stat_prefix: String::new(),
            ignore_uri_case: false,
            ..self.clone()
        };
        rest == Self::default() && self.uri.as_ref().is_none_or(is_all)
    }
}

/// Checks the name of a header that is matched; pseudo-headers have fields of their own.
fn check_header(name: &str, at: &Path, report: &mut Report) {
    let own = match name {
        ":method" => Some("method"),
        ":authority" | "host" => Some("authority"),
        ":scheme" => Some("scheme"),
        ":path" => Some("uri"),
        _ => None,
    };
    match own {
        Some(field) if name.starts_with(':') => {
            let message = format!("`{name}` is no header here");
            report.warn(at.clone(), message).on_key().suggest(format!("use `{field}`"));
        }
        _ if is_header_name(name) || name.starts_with(':') => {}
        _ => {
            report.error(at.clone(), format!("`{name}` is not the name of a header")).on_key();
        }
    }
}
