//! `AccessToken`: what the API knows of a token that it has handed out, which is never the token itself.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::form;

/// A token for the API. Deleting it revokes the token.
pub type AccessToken = Object<AccessTokenSpec, AccessTokenStatus>;

/// As whom its holder acts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AccessTokenSpec {
    /// The name under which the holder acts.
    #[schemars(with = "form::Filled")]
    pub user: String,
    /// The groups to which it belongs, besides `system:authenticated`.
    pub groups: Vec<String>,
    /// SHA-256 of the token's secret part, 64 hex digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub hash: String,
    /// Until when it is good (RFC 3339).
    #[schemars(with = "form::Filled")]
    pub expiration_timestamp: String,
    /// Of a service account's token the account's UID: it is good as long as this very account is there.
    pub service_account_uid: Option<String>,
}

/// Nothing yet: an access token has no status of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccessTokenStatus {}

impl Spec for AccessTokenSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.user.is_empty() {
            report.error(at.field("user"), "missing; a token is somebody's");
        }
        if self.hash.len() != 64 || !self.hash.bytes().all(is_hex) {
            report.error(at.field("hash"), "not a SHA-256 in 64 hex digits");
        }
        if self.expiration_timestamp.is_empty() {
            report.error(at.field("expirationTimestamp"), "missing; no token is good for ever");
        }
    }
}
