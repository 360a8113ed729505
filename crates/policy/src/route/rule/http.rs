//! A rule for requests, and where they go.

use serde::{Deserialize, Serialize};

use super::{
    CorsPolicy, DirectResponse, Fault, Headers, HttpMatch, Percentage, Redirect, Rewrite,
    is_default,
};

/// A rule for requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRoute {
    /// Its name, for logs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// It counts if one of these matches, or there are none.
    #[serde(rename = "match", default, skip_serializing_if = "is_default")]
    pub matches: Vec<HttpMatch>,
    /// What becomes of requests.
    pub action: Action,
    /// What is changed in requests that are forwarded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rewrite: Option<Rewrite>,
    /// How long the whole answer may take, all attempts together; as long as it likes where it is left out or 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout_ms: Option<u64>,
    /// When requests are sent once more; Istio's default where it is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: Option<RetryRule>,
    /// Faults that are put in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fault: Fault,
    /// Who gets a copy; its answer does not count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mirrors: Vec<Mirror>,
    /// Which pages of others may call (CORS).
    #[serde(default, skip_serializing_if = "is_default")]
    pub cors_policy: Option<CorsPolicy>,
    /// Headers that are changed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers: Headers,
    /// The status of requests whose destination there is not, or may not be called; 503 where it is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub missing_status: Option<u16>,
}

impl HttpRoute {
    /// A rule for all requests, with nothing but an action.
    pub fn of(action: Action) -> HttpRoute {
        HttpRoute {
            name: String::new(),
            matches: Vec::new(),
            action,
            rewrite: None,
            timeout_ms: None,
            retries: None,
            fault: Fault::default(),
            mirrors: Vec::new(),
            cors_policy: None,
            headers: Headers::default(),
            missing_status: None,
        }
    }
}

/// What becomes of requests: one of these things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// They are forwarded to one of these.
    Route(Vec<HttpRouteDestination>),
    /// They are sent elsewhere.
    Redirect(Redirect),
    /// They are answered at once.
    DirectResponse(DirectResponse),
    /// They go to the host that was asked for, as if there were no rules for it.
    Itself,
    /// They go nowhere, as if no rule matched (404, Envoy's `NR`).
    Nowhere,
}

/// Where requests go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouteDestination {
    /// The service.
    pub destination: Destination,
    /// Its share; without meaning where it is the only one.
    #[serde(skip_serializing_if = "is_default")]
    pub weight: u32,
    /// Headers that are changed on this way.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: Headers,
    /// Why nobody is called for this share: then its requests get the rule's `missing_status`.
    #[serde(skip_serializing_if = "is_default")]
    pub unusable: Option<String>,
}

/// A service, or a part of it, that is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// The service, by its full name.
    pub host: String,
    /// A subset that a destination rule names.
    #[serde(skip_serializing_if = "is_default")]
    pub subset: Option<String>,
    /// The port; the one that the caller asked for where it is left out.
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}

/// Somebody who gets a copy of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// The service.
    pub destination: Destination,
    /// So many of them; all where it is left out.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub percentage: Percentage,
}

fn all() -> Percentage {
    Percentage::ALL
}

fn is_all(percentage: &Percentage) -> bool {
    *percentage == Percentage::ALL
}

/// When requests are sent once more (`retries`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryRule {
    /// Attempts after the first; 0 for none.
    pub attempts: u32,
    /// How long one attempt may take; as long as the whole where it is left out or 0.
    #[serde(skip_serializing_if = "is_default")]
    pub per_try_timeout_ms: Option<u64>,
    /// After what: Envoy's words and numbers of statuses, parted by commas; the default policy where it is empty.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_on: String,
    /// Whether endpoints in other localities may be asked by another attempt.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_remote_localities: bool,
    /// Whether endpoints that failed are not asked again; they are not where it is left out.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_ignore_previous_hosts: Option<bool>,
    /// The back-off's base; 25 where it is left out.
    #[serde(skip_serializing_if = "is_default")]
    pub backoff_ms: Option<u64>,
}
