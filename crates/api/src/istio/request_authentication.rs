//! `RequestAuthentication`: whose tokens are taken.

use meltemi_names::is_framing_header;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::select::{MatchSelector, PolicyTargetReference, check_attachment};
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Duration, form};

/// Whose tokens are taken.
pub type RequestAuthentication = Object<RequestAuthenticationSpec, Status>;

/// Whose tokens are taken. A request without one passes; a wrong one does not.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestAuthenticationSpec {
    /// The workloads; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// Old form of `targetRefs`.
    pub target_ref: Option<PolicyTargetReference>,
    /// The gateways or services that the policy is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Those whose tokens are taken.
    #[schemars(length(max = 4096))]
    pub jwt_rules: Vec<JwtRule>,
}

/// Somebody whose tokens (JWT) are taken.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    /// The `iss` of the tokens.
    #[schemars(with = "form::Filled")]
    pub issuer: String,
    /// One of these must be in a token's `aud`; any where it is left out.
    #[serde(default)]
    #[schemars(with = "Vec<form::Filled>")]
    pub audiences: Vec<String>,
    /// Where the keys are fetched.
    #[serde(default)]
    #[schemars(with = "form::Filled")]
    pub jwks_uri: String,
    /// Old name of `jwksUri`.
    #[serde(default, rename = "jwks_uri")]
    #[schemars(with = "form::Filled")]
    pub old_jwks_uri: String,
    /// The keys themselves.
    #[serde(default)]
    pub jwks: String,
    /// Headers in which a token may stand; `Authorization: Bearer` where no place is given.
    #[serde(default)]
    pub from_headers: Vec<JwtHeader>,
    /// Parameters of the query in which a token may stand; `access_token` where no place is given.
    #[serde(default)]
    #[schemars(with = "Vec<form::Filled>")]
    pub from_params: Vec<String>,
    /// Cookies in which a token may stand.
    #[serde(default)]
    #[schemars(with = "Vec<form::Filled>")]
    pub from_cookies: Vec<String>,
    /// The header that gets the token's content.
    #[serde(default)]
    #[schemars(with = "form::Header")]
    pub output_payload_to_header: String,
    /// Headers that get single claims.
    #[serde(default)]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Whether the token goes on to the workload.
    #[serde(default)]
    pub forward_original_token: bool,
    /// How long fetching the keys may take; 5 s where it is left out.
    pub timeout: Option<Duration>,
    /// Claims whose text is a list parted by spaces.
    #[serde(default)]
    #[schemars(with = "Vec<form::Filled>", length(max = 64))]
    pub space_delimited_claims: Vec<String>,
}

/// A header in which a token may stand.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct JwtHeader {
    /// Its name.
    #[schemars(with = "form::Header")]
    pub name: String,
    /// What stands before the token, as in `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

/// A header that gets a claim.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ClaimToHeader {
    /// The header.
    #[schemars(with = "form::Header")]
    pub header: String,
    /// The claim.
    #[schemars(with = "form::Filled")]
    pub claim: String,
}

impl Spec for RequestAuthenticationSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let selector = self.selector.as_ref();
        check_attachment(selector, self.target_ref.as_ref(), &self.target_refs, at, report);
        for (index, rule) in self.jwt_rules.iter().enumerate() {
            rule.check(&at.field("jwtRules").item(index), report);
        }
    }
}

impl JwtRule {
    fn check(&self, at: &Path, report: &mut Report) {
        let claims = self.output_claim_to_headers.iter().enumerate();
        let claims = claims.map(|(index, it)| {
            (at.field("outputClaimToHeaders").item(index).field("header"), &it.header)
        });
        let payload = (at.field("outputPayloadToHeader"), &self.output_payload_to_header);
        for (at, name) in claims.chain([payload]) {
            if is_framing_header(name) {
                let message = format!(
                    "`{name}` says where a request goes or ends: no claim may be written to it"
                );
                report.error(at, message);
            }
        }
        let keys = [
            ("jwksUri", !self.jwks_uri.is_empty()),
            ("jwks_uri", !self.old_jwks_uri.is_empty()),
            ("jwks", !self.jwks.is_empty()),
        ];
        at_most_one(&keys, at, report);
        for (field, url) in [("jwksUri", &self.jwks_uri), ("jwks_uri", &self.old_jwks_uri)] {
            let is_http = ["http://", "https://"].iter().any(|scheme| {
                url.strip_prefix(scheme)
                    .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            });
            if !url.is_empty() && !is_http {
                let message =
                    format!("`{url}` is not an address: it begins with `https://` or `http://`");
                report.error(at.field(field), message);
            }
        }
        let is_key_set = || {
            let keys: Option<Value> = serde_json::from_str(&self.jwks).ok();
            keys.is_some_and(|keys| keys["keys"].is_array())
        };
        if !self.jwks.is_empty() && !is_key_set() {
            let message = "is not a JSON Web Key Set: `{\"keys\": [...]}`";
            report.error(at.field("jwks"), message);
        }
    }
}
