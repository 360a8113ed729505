//! Join tokens: what a proxy shows when it asks for its first certificate.
//!
//! A token is a JWT, signed with HMAC-SHA-256 by a key that only the control plane has. It says which
//! workload (namespace and service account) may join, and until when.

mod spent;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use meltemi_names::is_dns_subdomain;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::private_file::{self, FileError};

pub use spent::SpentTokens;

/// For whom a token is meant; tokens with another audience are refused.
pub const AUDIENCE: &str = "meltemi-ca";

/// The longest token that is read, bytes. Ours have about 350.
pub const MAX_TOKEN: usize = 8 * 1024;

/// Why a token is refused or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN`].
    #[error("the join token has {0} bytes, which none of ours has; check the token file")]
    TooLarge(usize),
    /// Not one of our JWTs.
    #[error("this is not a join token ({0}); make one with `meltemi token create`")]
    Malformed(String),
    /// The signature is wrong, or the token names an algorithm that we do not use.
    #[error(
        "the join token was not issued by this control plane, or was changed; make a new one with `meltemi token create`"
    )]
    Tampered,
    /// A JWT for another service.
    #[error(
        "the token is for `{0}`, not for joining the mesh (`{AUDIENCE}`); make a join token with `meltemi token create`"
    )]
    Audience(String),
    /// Its time is over.
    #[error(
        "the join token for {workload} expired {ago} s ago; make a new one with `meltemi token create`"
    )]
    Expired {
        /// For which workload it was.
        workload: String,
        /// Seconds since then.
        ago: u64,
    },
    /// For a single use, and used.
    #[error(
        "the join token for {0} was for a single use, and was used; make a new one with `meltemi token create`"
    )]
    Spent(String),
    /// The use of a single-use token could not be kept, so it does not count.
    #[error("the join token is for a single use, which could not be written down: {0}; try again")]
    Unwritten(String),
    /// Namespace or service account is no name.
    #[error("`{0}` is not a namespace or service account: lower-case letters, digits, `-` and `.`")]
    Name(String),
}

/// What a token lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To be the workload of the token's namespace and service account.
    Workload,
    /// To be any workload: for commands of the user who runs the control plane, who can read its files
    /// anyway (`control.json`, mode 0600).
    LocalAdmin,
}

/// How often a token lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// As often as it is shown within its time.
    Many,
    /// For one certificate only; see [`SpentTokens`].
    Once,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What it lets its holder do.
    pub scope: Scope,
    /// The workload's namespace; empty for a local admin.
    pub namespace: String,
    /// The workload's service account; empty for a local admin.
    pub service_account: String,
    /// The token's own id, for logs (the token itself must not be logged).
    pub id: String,
    /// Until when it is good.
    pub expires: SystemTime,
    /// Whether it lets in once only; see [`SpentTokens`].
    pub single_use: bool,
}

impl Claims {
    /// `NAMESPACE/SERVICE_ACCOUNT`, or `any workload`.
    pub fn workload(&self) -> String {
        match self.scope {
            Scope::Workload => format!("{}/{}", self.namespace, self.service_account),
            Scope::LocalAdmin => "any workload".into(),
        }
    }
}

/// The claims as they stand in the JWT.
#[derive(Serialize, Deserialize)]
struct Wire {
    aud: String,
    #[serde(rename = "meltemi.io/scope")]
    scope: Scope,
    #[serde(rename = "meltemi.io/namespace", default)]
    namespace: String,
    #[serde(rename = "meltemi.io/service-account", default)]
    service_account: String,
    #[serde(rename = "meltemi.io/single-use", default, skip_serializing_if = "std::ops::Not::not")]
    single_use: bool,
    exp: u64,
    iat: u64,
    jti: String,
}

/// What a token to be made is for.
struct Bound<'a> {
    scope: Scope,
    namespace: &'a str,
    service_account: &'a str,
    single_use: bool,
}

/// Makes and verifies join tokens with one secret key.
#[derive(Clone)]
pub struct Issuer {
    sign: EncodingKey,
    verify: DecodingKey,
}

impl Issuer {
    /// Reads the key file, or makes it (256 random bits as hex, mode 0600). Tokens are good as long as
    /// the file stays: delete it and restart to void them all.
    pub fn open_or_create(path: &Path) -> Result<Self, FileError> {
        let fresh: String =
            rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let text = match private_file::read_secret(path) {
            Err(error) if error.is_not_found() => {
                private_file::create_secret(path, fresh.as_bytes())?
            }
            read => read?,
        };
        let secret = secret(text.trim()).ok_or_else(|| FileError::Read {
            path: path.into(),
            source: std::io::Error::other(
                "expected 64 hexadecimal digits; delete the file to have a new key made (all tokens become void)",
            ),
        })?;
        Ok(Issuer::new(&secret))
    }

    /// An issuer with the given key.
    pub fn new(secret: &[u8; 32]) -> Self {
        Issuer { sign: EncodingKey::from_secret(secret), verify: DecodingKey::from_secret(secret) }
    }

    /// Makes a token for a workload, good for `ttl` from `now`.
    pub fn issue(
        &self,
        namespace: &str,
        service_account: &str,
        uses: Uses,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<String, TokenError> {
        let single_use = uses == Uses::Once;
        self.encode(
            &Bound { scope: Scope::Workload, namespace, service_account, single_use },
            ttl,
            now,
        )
    }

    /// Makes a token that may become any workload; see [`Scope::LocalAdmin`].
    pub fn issue_local_admin(&self, ttl: Duration, now: SystemTime) -> Result<String, TokenError> {
        let (namespace, service_account, single_use) = ("", "", false);
        self.encode(
            &Bound { scope: Scope::LocalAdmin, namespace, service_account, single_use },
            ttl,
            now,
        )
    }

    /// Verifies a token at `now`.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge(token.len()));
        }
        let mut rules = Validation::new(Algorithm::HS256);
        // Audience and time are checked below: against the caller's clock, with errors of their own.
        rules.validate_exp = false;
        rules.validate_aud = false;
        let wire = jsonwebtoken::decode::<Wire>(token, &self.verify, &rules)
            .map_err(|error| refusal(&error))?
            .claims;
        if wire.aud != AUDIENCE {
            return Err(TokenError::Audience(wire.aud));
        }
        let claims = Claims {
            scope: wire.scope,
            namespace: wire.namespace,
            service_account: wire.service_account,
            id: wire.jti,
            single_use: wire.single_use,
            expires: UNIX_EPOCH
                .checked_add(Duration::from_secs(wire.exp))
                .ok_or_else(|| TokenError::Malformed("its expiry is no date".into()))?,
        };
        match now.duration_since(claims.expires) {
            Ok(ago) => Err(TokenError::Expired { workload: claims.workload(), ago: ago.as_secs() }),
            Err(_) => Ok(claims),
        }
    }

    fn encode(
        &self,
        bound: &Bound<'_>,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<String, TokenError> {
        let Bound { scope, namespace, service_account, single_use } = *bound;
        for name in [namespace, service_account] {
            if scope == Scope::Workload && !is_dns_subdomain(name) {
                return Err(TokenError::Name(name.into()));
            }
        }
        let iat = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let wire = Wire {
            aud: AUDIENCE.into(),
            scope,
            namespace: namespace.into(),
            service_account: service_account.into(),
            single_use,
            exp: iat.saturating_add(ttl.as_secs()),
            iat,
            jti: format!("{:032x}", rand::random::<u128>()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &wire, &self.sign)
            .map_err(|error| TokenError::Malformed(error.to_string()))
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer(..)")
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm => TokenError::Tampered,
        _ => TokenError::Malformed(error.to_string()),
    }
}

fn secret(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut secret = [0; 32];
    for (byte, at) in secret.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests;
