//! Where requests go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::{Fault, Percent};
use super::http_match::{HttpMatch, StringMatch};
use super::{Destination, check_weights};
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Duration, Port, form, is_header_name};

mod check;

pub(super) use check::check_unreachable;

/// A rule for requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRoute {
    /// Its name, for logs.
    pub name: String,
    /// It counts if one of these matches, or there are none.
    #[serde(rename = "match")]
    pub matches: Vec<HttpMatch>,
    /// Where requests go.
    pub route: Vec<HttpRouteDestination>,
    /// They are sent elsewhere.
    pub redirect: Option<Redirect>,
    /// They are answered at once.
    pub direct_response: Option<DirectResponse>,
    /// Another virtual service says where they go.
    pub delegate: Option<Delegate>,
    /// What is changed in them.
    pub rewrite: Option<Rewrite>,
    /// How long an answer may take; as long as it likes where it is left out.
    pub timeout: Option<Duration>,
    /// When they are sent once more.
    pub retries: Option<Retry>,
    /// Faults that are put in.
    pub fault: Option<Fault>,
    /// Who gets a copy; its answer does not count.
    pub mirror: Option<Destination>,
    /// Several who get a copy.
    pub mirrors: Vec<Mirror>,
    /// Oldest form of `mirrorPercentage`.
    #[serde(rename = "mirror_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub old_mirror_percent: Option<u32>,
    /// Old form of `mirrorPercentage`.
    #[schemars(range(min = 0, max = 100))]
    pub mirror_percent: Option<u32>,
    /// So many of 100 are copied for `mirror`; all where it is left out.
    pub mirror_percentage: Option<Percent>,
    /// Which pages of others may call (CORS).
    pub cors_policy: Option<CorsPolicy>,
    /// Headers that are changed.
    pub headers: Option<Headers>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct HttpRouteDestination {
    /// The service.
    pub destination: Destination,
    /// Its share.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub weight: i32,
    /// Headers that are changed on this way.
    pub headers: Option<Headers>,
}

/// Requests are sent elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Redirect {
    /// The path there.
    pub uri: String,
    /// The host there.
    pub authority: String,
    /// The port there.
    pub port: Option<Port>,
    /// The port there, by a rule.
    pub derive_port: Option<RedirectPort>,
    /// `http` or `https`.
    pub scheme: String,
    /// The status; 301 where it is left out.
    #[schemars(range(min = 300, max = 399))]
    pub redirect_code: Option<u32>,
}

/// The port to which requests are sent, by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RedirectPort {
    /// 80 or 443.
    FromProtocolDefault,
    /// The one that was asked.
    FromRequestPort,
}

/// Requests are answered at once.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct DirectResponse {
    /// The status.
    #[schemars(range(min = 100, max = 599))]
    pub status: u32,
    /// The body.
    pub body: Option<BodyContent>,
}

/// The body of an answer: one of two forms.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BodyContent {
    /// As a text.
    pub string: Option<String>,
    /// As bytes in base64.
    #[schemars(with = "Option<form::Base64>")]
    pub bytes: Option<String>,
}

/// A virtual service that says where requests go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace; that of this one where it is left out.
    pub namespace: String,
}

/// What is changed in requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Rewrite {
    /// The path, or the part of it that was matched by `prefix`.
    pub uri: String,
    /// The host.
    pub authority: String,
    /// Parts of the path.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// Parts of a path that are changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RegexRewrite {
    /// The parts, as a regular expression.
    #[serde(rename = "match")]
    #[schemars(with = "form::Regex")]
    pub pattern: String,
    /// What stands there instead; `\1` is the first group.
    pub rewrite: String,
}

/// When requests are sent once more.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Retry {
    /// How often at most; 0 for never.
    #[schemars(range(min = 0))]
    pub attempts: i32,
    /// How long one attempt may take.
    pub per_try_timeout: Option<Duration>,
    /// After what, parted by commas, as in `connect-failure,503`.
    pub retry_on: String,
    /// Whether endpoints far away may be asked too.
    pub retry_remote_localities: Option<bool>,
    /// Whether endpoints that failed are not asked again; they are not where it is left out.
    pub retry_ignore_previous_hosts: Option<bool>,
    /// How long to wait between attempts at first.
    pub backoff: Option<Duration>,
}

/// Somebody who gets a copy of requests.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Mirror {
    /// The service.
    pub destination: Destination,
    /// So many of 100; all where it is left out.
    pub percentage: Option<Percent>,
}

/// Which pages of others may call (CORS).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CorsPolicy {
    /// Old form of `allowOrigins`.
    pub allow_origin: Vec<String>,
    /// Their origins.
    pub allow_origins: Vec<StringMatch>,
    /// Methods that they may use.
    pub allow_methods: Vec<String>,
    /// Headers that they may send.
    pub allow_headers: Vec<String>,
    /// Headers that they may read.
    pub expose_headers: Vec<String>,
    /// How long they may remember this.
    pub max_age: Option<Duration>,
    /// Whether they may send cookies.
    pub allow_credentials: Option<bool>,
    /// Whether questions of other origins go on to the workload.
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// What becomes of preflight requests of other origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UnmatchedPreflights {
    /// As `FORWARD`.
    Unspecified,
    /// They go on.
    Forward,
    /// They do not.
    Ignore,
}

/// Headers that are changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Headers {
    /// On the way there.
    pub request: Option<HeaderOperations>,
    /// On the way back.
    pub response: Option<HeaderOperations>,
}

/// How headers are changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeaderOperations {
    /// Put in place of what is there.
    pub set: BTreeMap<String, String>,
    /// Put beside what is there.
    pub add: BTreeMap<String, String>,
    /// Taken away.
    #[schemars(with = "Vec<form::Header>")]
    pub remove: Vec<String>,
}
