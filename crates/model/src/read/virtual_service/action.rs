//! What is done to requests.

use std::collections::BTreeMap;

use meltemi_api::istio::virtual_service as api;
use meltemi_policy::route::rule::{
    Body, DirectResponse, Header, HeaderOperations, Headers, PathRewrite, Redirect, RedirectPort,
    Rewrite,
};

use super::{base64, said};

/// Istio's mark before a redirect's path that stands for the matched prefix alone.
const PREFIX: &str = "%PREFIX()%";

pub(super) fn redirect(given: api::Redirect) -> Redirect {
    let uri = said(given.uri).map(|uri| match uri.strip_prefix(PREFIX) {
        Some(rest) => PathRewrite::Prefix(rest.to_owned()),
        None => PathRewrite::Full(uri),
    });
    let by_rule = given.derive_port.map(|rule| match rule {
        api::RedirectPort::FromProtocolDefault => RedirectPort::FromProtocolDefault,
        api::RedirectPort::FromRequestPort => RedirectPort::FromRequestPort,
    });
    Redirect {
        uri,
        authority: said(given.authority),
        port: given.port.map(|port| RedirectPort::Number(port.number())).or(by_rule),
        scheme: said(given.scheme),
        code: given
            .redirect_code
            .and_then(|code| code.try_into().ok())
            .unwrap_or(Redirect::default().code),
    }
}

pub(super) fn direct_response(given: api::DirectResponse) -> DirectResponse {
    let body = given.body.and_then(|body| match (body.string, body.bytes) {
        (Some(text), _) => Some(Body::String(text)),
        (None, Some(bytes)) => Some(Body::of(base64::decode(&bytes))),
        (None, None) => None,
    });
    DirectResponse { status: given.status.try_into().unwrap_or(500), body }
}

pub(super) fn rewrite(given: api::Rewrite) -> Rewrite {
    let by_regex = given
        .uri_regex_rewrite
        .map(|it| PathRewrite::Regex { pattern: it.pattern, rewrite: it.rewrite });
    Rewrite {
        uri: said(given.uri).map(PathRewrite::Prefix).or(by_regex),
        authority: said(given.authority),
    }
}

pub(super) fn headers(given: Option<api::Headers>) -> Headers {
    let api::Headers { request, response } = given.unwrap_or_default();
    Headers { request: operations(request), response: operations(response) }
}

fn operations(given: Option<api::HeaderOperations>) -> HeaderOperations {
    let api::HeaderOperations { set, add, remove } = given.unwrap_or_default();
    let list = |headers: BTreeMap<String, String>| {
        headers.into_iter().map(|(name, value)| Header { name, value }).collect()
    };
    HeaderOperations { set: list(set), add: list(add), remove }
}
