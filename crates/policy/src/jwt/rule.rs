//! The rules of `RequestAuthentication` resources (security.istio.io/v1), as they travel to a proxy.
//!
//! Names and defaults are Istio's, but for the keys: the control plane fetches those of `jwksUri`, so that every rule comes
//! with its keys and a proxy asks nobody.

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// What one object says of the tokens of its workloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestAuthentication {
    /// The object's name.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
    /// The hosts of the services that it is attached to; all of the workload's where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Those whose tokens are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jwt_rules: Vec<JwtRule>,
}

/// Somebody whose tokens are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtRule {
    /// The `iss` of the tokens.
    pub issuer: String,
    /// One of these must be in a token's `aud`; any where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// The key set (RFC 7517), as text; `None` where it could not be fetched: then all tokens are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Headers in which a token may stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<JwtHeader>,
    /// Parameters of the query in which a token may stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
    /// Cookies in which a token may stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_cookies: Vec<String>,
    /// The header that gets the token's content; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_payload_to_header: String,
    /// Headers that get single claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Whether the token goes on to the workload.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub forward_original_token: bool,
    /// Claims whose text is a list parted by spaces, beside `scope` and `permission`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub space_delimited_claims: Vec<String>,
}

/// A header in which a token may stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtHeader {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A header that gets a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimToHeader {
    /// The header.
    pub header: String,
    /// The claim; `.` leads into objects.
    pub claim: String,
}
