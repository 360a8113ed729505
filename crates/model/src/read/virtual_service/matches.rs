//! Which requests a rule is for.

use std::collections::BTreeMap;

use meltemi_api::istio::virtual_service as api;
use meltemi_policy::route::rule::{HttpMatch, PathMatch, StringMatch};

use super::{Reader, said};

impl Reader<'_> {
    pub(super) fn http_match(self, given: api::HttpMatch) -> HttpMatch {
        HttpMatch {
            name: given.name,
            uri: given.uri.and_then(path),
            ignore_uri_case: given.ignore_uri_case,
            scheme: given.scheme.map(string),
            method: given.method.map(string),
            authority: given.authority.map(string),
            headers: headers(given.headers),
            without_headers: headers(given.without_headers),
            query_params: given
                .query_params
                .into_iter()
                .map(|(name, it)| (name, string(it)))
                .collect(),
            port: given.port.map(|port| port.number()),
            source_labels: given.source_labels,
            source_namespace: said(given.source_namespace),
            gateways: self.gateways(&given.gateways),
            stat_prefix: given.stat_prefix,
        }
    }
}

/// Names of headers have no case.
fn headers(given: BTreeMap<String, api::StringMatch>) -> BTreeMap<String, StringMatch> {
    given.into_iter().map(|(name, it)| (name.to_ascii_lowercase(), string(it))).collect()
}

pub(super) fn string(given: api::StringMatch) -> StringMatch {
    match given {
        api::StringMatch { exact: Some(text), .. } => StringMatch::Exact(text),
        api::StringMatch { prefix: Some(text), .. } => StringMatch::Prefix(text),
        api::StringMatch { regex: Some(text), .. } => StringMatch::Regex(text),
        api::StringMatch { exact: None, prefix: None, regex: None } => StringMatch::Present,
    }
}

/// A path is always there, so that a pattern of nothing says nothing.
fn path(given: api::StringMatch) -> Option<PathMatch> {
    match string(given) {
        StringMatch::Present => None,
        StringMatch::Exact(text) => Some(PathMatch::Exact(text)),
        StringMatch::Prefix(text) => Some(PathMatch::Prefix(text)),
        StringMatch::Regex(text) => Some(PathMatch::Regex(text)),
    }
}
