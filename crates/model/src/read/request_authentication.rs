//! A `RequestAuthentication`.

use std::time::Duration;

use meltemi_api::Resource;
use meltemi_api::istio::request_authentication as api;
use meltemi_policy::jwt::KeySet;
use meltemi_policy::jwt::rule::{ClaimToHeader, JwtHeader, JwtRule};
use serde_json::Value;

use super::checked;
use super::targets::Targets;
use crate::authentication::{JwtRuleRecord, KeySource, RequestAuthenticationRecord};
use crate::record::Object;
use crate::settings::Settings;

/// How long fetching keys may take where it is not said (Istio's reference, `JWTRule.timeout`).
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a request authentication.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<RequestAuthenticationRecord, String> {
    let Resource::RequestAuthentication(resource) = checked(resource)? else {
        return Err("it is not a RequestAuthentication".into());
    };
    let spec = resource.spec;
    let targets = Targets::read(spec.target_ref.iter().chain(&spec.target_refs), object, settings);
    Ok(RequestAuthenticationRecord {
        selector: spec.selector.map(|it| it.match_labels).filter(|it| !it.is_empty()),
        is_elsewhere: targets.is_elsewhere(),
        flaw: targets.flaw(),
        services: targets.services,
        entries: targets.entries,
        rules: spec.jwt_rules.into_iter().map(rule).collect(),
    })
}

fn rule(given: api::JwtRule) -> JwtRuleRecord {
    let uri = [&given.jwks_uri, &given.old_jwks_uri].into_iter().find(|uri| !uri.is_empty());
    let is_address = ["http://", "https://"].iter().any(|it| given.issuer.starts_with(it));
    let keys_from = match (uri, is_address) {
        _ if !given.jwks.is_empty() => None,
        (Some(uri), _) => Some(KeySource::Uri(uri.as_str().into())),
        (None, true) => Some(KeySource::Issuer(given.issuer.as_str().into())),
        (None, false) => None,
    };
    // What cannot be used travels as it is: the proxy refuses by it.
    let inline = Some(given.jwks).filter(|it| !it.is_empty());
    let jwks = inline.map(|text| KeySet::public_part(&text).unwrap_or(text));
    let header = |it: api::JwtHeader| JwtHeader { name: it.name, prefix: it.prefix };
    let claim = |it: api::ClaimToHeader| ClaimToHeader { header: it.header, claim: it.claim };
    JwtRuleRecord {
        rule: JwtRule {
            issuer: given.issuer,
            audiences: given.audiences,
            jwks,
            from_headers: given.from_headers.into_iter().map(header).collect(),
            from_params: given.from_params,
            from_cookies: given.from_cookies,
            output_payload_to_header: given.output_payload_to_header,
            output_claim_to_headers: given.output_claim_to_headers.into_iter().map(claim).collect(),
            forward_original_token: given.forward_original_token,
            space_delimited_claims: given.space_delimited_claims,
        },
        keys_from,
        timeout: given.timeout.map(|it| it.0).unwrap_or(TIMEOUT),
    }
}

#[cfg(test)]
mod tests;
