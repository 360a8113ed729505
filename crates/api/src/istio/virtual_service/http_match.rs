//! Which requests a rule is for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check_source;
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Port, is_header_name, regex_problem};

/// Istio's word for every text in `withoutHeaders`, though no regular expression.
const ANY: &str = "*";

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
    /// A regular expression for all of it. In `withoutHeaders` it may be `*`, which is none: the header is not there.
    pub regex: Option<String>,
}

impl StringMatch {
    /// Whether it says nothing, so that the text has to be there, whatever it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        if self.prefix.as_ref().is_some_and(String::is_empty) {
            report.error(at.field("prefix"), "empty; every text begins so");
        }
        self.check_forms(at, report);
    }

    /// Checks all but whether a prefix says something: that of a path may be empty (Istio's `validateHTTPRouteMatchRequest`).
    fn check_forms(&self, at: &Path, report: &mut Report) {
        let forms = [
            ("exact", self.exact.is_some()),
            ("prefix", self.prefix.is_some()),
            ("regex", self.regex.is_some()),
        ];
        at_most_one(&forms, at, report);
        let Some(regex) = &self.regex else {
            return;
        };
        if regex.is_empty() {
            report.error(at.field("regex"), "empty; it would match the empty text alone");
        } else if let Some(problem) = regex_problem(regex) {
            report.error(at.field("regex"), problem);
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
            match field {
                "uri" => pattern.check_forms(&at.field(field), report),
                _ => pattern.check(&at.field(field), report),
            }
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
                check_header(name, field == "headers", &at, report);
                if field == "headers" || pattern.regex.as_deref() != Some(ANY) {
                    pattern.check(&at, report);
                }
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
            uri.prefix.as_deref().is_some_and(|it| ["", "/"].contains(&it))
                || uri.regex.as_deref() == Some(".*")
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

/// The names that HTTP/2 has for the parts of a request line, and of a status line (RFC 9113, 8.3). Envoy has them among the
/// headers, and so rules may name them there.
const PSEUDO_HEADERS: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];

/// What begins the name of a token's claim, where a gateway that has checked the token routes by it.
const CLAIMS: &str = "@request.auth.claims";

/// Checks the name of a header that is matched (Istio's `ValidateHTTPHeaderNameOrJwtClaimRoute`). `is_asked` says that the
/// header has to be there, rather than not to be there.
fn check_header(name: &str, is_asked: bool, at: &Path, report: &mut Report) {
    let is_claim = is_claim(name);
    if is_claim || name == ":status" {
        let what = if is_claim {
            "claims of tokens are for gateways, and sidecars know none"
        } else {
            "a request has no status"
        };
        let effect = if is_asked { "it never matches" } else { "it always holds" };
        report.warn(at.clone(), format!("{what}: {effect}")).on_key();
    } else if !is_header_name(name) && !PSEUDO_HEADERS.contains(&name) {
        report.error(at.clone(), format!("`{name}` is not the name of a header")).on_key();
    }
}

/// Whether the name is that of a claim: `@request.auth.claims.NAME`, or with `[NAME]` for each step.
fn is_claim(name: &str) -> bool {
    let Some((start, rest)) = name.split_at_checked(CLAIMS.len()) else {
        return false;
    };
    let is_named = match rest.strip_prefix('.') {
        Some(path) => !path.is_empty(),
        None => rest.len() > 2 && rest.starts_with('[') && rest.ends_with(']'),
    };
    start.eq_ignore_ascii_case(CLAIMS) && is_named
}
