//! Which requests a rule is for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;

/// What a request is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMatch {
    /// Its name, for statistics and logs.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The path, without query and fragment.
    #[serde(skip_serializing_if = "is_default")]
    pub uri: Option<PathMatch>,
    /// Whether case does not count in `uri`; without effect on a regular expression.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_uri_case: bool,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "is_default")]
    pub scheme: Option<StringMatch>,
    /// The method.
    #[serde(skip_serializing_if = "is_default")]
    pub method: Option<StringMatch>,
    /// The host that is asked, as it stands in the request.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: Option<StringMatch>,
    /// Headers, all of these.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, StringMatch>,
    /// Headers, none of these.
    #[serde(skip_serializing_if = "is_default")]
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Parameters of the query, all of these; the first of a name counts, as it stands in the request.
    #[serde(skip_serializing_if = "is_default")]
    pub query_params: BTreeMap<String, StringMatch>,
    /// The port of the host that is called.
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// The caller's labels.
    #[serde(skip_serializing_if = "is_default")]
    pub source_labels: BTreeMap<String, String>,
    /// The caller's namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub source_namespace: Option<String>,
    /// The gateways, where they are fewer than those of the virtual service.
    #[serde(skip_serializing_if = "is_default")]
    pub gateways: Vec<String>,
    /// A name for statistics of the route.
    #[serde(skip_serializing_if = "is_default")]
    pub stat_prefix: String,
}

/// A pattern for a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StringMatch {
    /// It is there, whatever it is: what a `StringMatch` of nothing says.
    Present,
    /// The text itself.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// A regular expression for all of it; `*` alone means the same as [`StringMatch::Present`], as in Istio.
    Regex(String),
}

/// A pattern for a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// The path itself.
    Exact(String),
    /// Its beginning, letter by letter: `/a` begins `/ab`.
    Prefix(String),
    /// Its beginning, segment by segment (the Gateway API's `PathPrefix`): `/a` and `/a/` begin `/a` and `/a/b`,
    /// not `/ab`.
    PathPrefix(String),
    /// A regular expression for all of it; `*` alone matches every path, as in Istio.
    Regex(String),
}
