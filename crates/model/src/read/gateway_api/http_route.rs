//! An `HTTPRoute`.

use meltemi_api::Resource;
use meltemi_api::gateway_api::http_route::{
    HttpMatch as Given, HttpRetry, HttpRule, HttpTimeouts, Method, PathMatchType,
};
use meltemi_api::values::{Duration, parse_gateway_duration};
use meltemi_policy::retry::DEFAULT_ATTEMPTS;
use meltemi_policy::route::rule::{
    Action, HttpMatch, HttpRoute, PathMatch, RetryRule, StringMatch,
};
use serde_json::Value;

use super::{Reader, Rule, headers, number, text};
use crate::read::{checked, millis};
use crate::record::Object;
use crate::routes::{Rank, RouteRecord};
use crate::settings::Settings;

/// The status where a backend is missing (`HTTPRouteRule.backendRefs`).
const MISSING: u16 = 500;
/// On what is tried anew besides the statuses that a route names: errors of connections (`HTTPRouteRetry`).
const CONNECTION_ERRORS: &str = "connect-failure,refused-stream,reset";

/// Reads a route.
pub(in crate::read) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<RouteRecord, String> {
    let Resource::HttpRoute(route) = checked(resource)? else {
        return Err("it is not an HTTPRoute".into());
    };
    let mut reader = Reader::new(object, settings, &route.metadata);
    reader.parents(&route.spec.parent_refs, resource);
    // The CRD's default of `rules` is one rule for all paths; it names nobody to call.
    let default = [HttpRule::default()];
    let rules = if route.spec.rules.is_empty() { &default[..] } else { &route.spec.rules };
    for (at, rule) in rules.iter().enumerate() {
        let given = Rule {
            name: rule.name.as_deref(),
            matches: matches(&rule.matches),
            filters: &rule.filters,
            backends: &rule.backend_refs,
            base: base(rule),
        };
        reader.rule(at, given);
    }
    reader.finish()
}

fn base(given: &HttpRule) -> HttpRoute {
    let HttpTimeouts { request, backend_request } = given.timeouts.clone().unwrap_or_default();
    HttpRoute {
        timeout_ms: request.as_deref().and_then(milliseconds),
        retries: retries(given.retry.as_ref(), backend_request.as_deref().and_then(milliseconds)),
        missing_status: Some(MISSING),
        ..HttpRoute::of(Action::Nowhere)
    }
}

/// The text was checked before.
fn milliseconds(text: &str) -> Option<u64> {
    parse_gateway_duration(text).ok().map(|it| millis(Duration(it)))
}

fn retries(given: Option<&HttpRetry>, per_try_timeout_ms: Option<u64>) -> Option<RetryRule> {
    let Some(given) = given else {
        // As without a rule, but for the time of one attempt.
        return per_try_timeout_ms.map(|_| RetryRule {
            attempts: DEFAULT_ATTEMPTS,
            per_try_timeout_ms,
            ..RetryRule::default()
        });
    };
    let codes = given.codes.iter().map(u16::to_string);
    let words = std::iter::once(CONNECTION_ERRORS.to_owned()).chain(codes);
    Some(RetryRule {
        attempts: given.attempts.map_or(DEFAULT_ATTEMPTS, |it| it.try_into().unwrap_or_default()),
        per_try_timeout_ms,
        retry_on: words.collect::<Vec<_>>().join(","),
        backoff_ms: given.backoff.as_deref().and_then(milliseconds),
        ..RetryRule::default()
    })
}

/// The matches with their ranks; a rule without one is for all requests.
fn matches(given: &[Given]) -> Vec<(Rank, HttpMatch)> {
    match given {
        [] => vec![one(&Given::default())],
        given => given.iter().map(one).collect(),
    }
}

fn one(given: &Given) -> (Rank, HttpMatch) {
    let (kind, length, uri) = path(given);
    let rank = [
        kind,
        length,
        u32::from(given.method.is_some()),
        number(given.headers.len()),
        number(given.query_params.len()),
    ];
    let parameters = given.query_params.iter();
    let http_match = HttpMatch {
        uri: Some(uri),
        method: given.method.map(|method| StringMatch::Exact(word(method).to_owned())),
        headers: headers(&given.headers),
        query_params: parameters.map(|it| (it.name.clone(), text(it.r#type, &it.value))).collect(),
        ..HttpMatch::default()
    };
    (rank, http_match)
}

/// A path, the rank of its kind and its length: exact paths go first, then prefixes, then expressions, then what every path
/// begins with. Where expressions stand the Gateway API leaves open.
fn path(given: &Given) -> (u32, u32, PathMatch) {
    let path = given.path.clone().unwrap_or_default();
    let value = path.value.unwrap_or_else(|| "/".to_owned());
    match path.r#type {
        Some(PathMatchType::Exact) => (3, number(value.len()), PathMatch::Exact(value)),
        Some(PathMatchType::RegularExpression) => (1, number(value.len()), PathMatch::Regex(value)),
        Some(PathMatchType::PathPrefix) | None => {
            let length = number(value.trim_end_matches('/').len());
            let kind = if length == 0 { 0 } else { 2 };
            (kind, length, PathMatch::PathPrefix(value))
        }
    }
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
    }
}
