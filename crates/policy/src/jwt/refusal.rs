//! Why a token is refused, and what the caller is told: the words of Envoy's filter, which users of Istio know.

use thiserror::Error;

/// Why a token is refused. Its text is the body of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is longer than [`super::MAX_TOKEN`].
    #[error("Jwt is too large")]
    TooLarge,
    /// It has not three parts.
    #[error("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")]
    Form,
    /// The first part.
    #[error("Jwt header is an invalid Base64url encoded")]
    HeaderBase64,
    /// The first part.
    #[error("Jwt header is an invalid JSON")]
    HeaderJson,
    /// `alg` is missing.
    #[error("Jwt header [alg] field is required and must be a string")]
    Alg,
    /// `none`, an HMAC (a public key would be its secret), or nothing that is known.
    #[error("Jwt header [alg] is not supported")]
    AlgUnsupported,
    /// `kid` is no text.
    #[error("Jwt header [kid] field is not a string")]
    Kid,
    /// The token asks for an extension that must be understood (RFC 7515, section 4.1.11); none is.
    #[error("Jwt header [crit] is not supported")]
    Crit,
    /// The second part.
    #[error("Jwt payload is an invalid Base64url encoded")]
    PayloadBase64,
    /// The second part.
    #[error("Jwt payload is an invalid JSON")]
    PayloadJson,
    /// A claim that must be text.
    #[error("Jwt payload [{0}] field is not a string")]
    NotText(&'static str),
    /// A claim that must be a moment.
    #[error("Jwt payload [{0}] field is not an integer")]
    NotInteger(&'static str),
    /// A claim that must be a moment.
    #[error("Jwt payload [{0}] field is not a positive 64 bit integer")]
    OutOfRange(&'static str),
    /// `aud`.
    #[error("Jwt payload [aud] field is not a string or string list")]
    Aud,
    /// The third part.
    #[error("Jwt signature is an invalid Base64url encoded")]
    SignatureBase64,
    /// EdDSA.
    #[error("Jwt ED25519 signature is wrong length")]
    Ed25519Length,
    /// No rule has this `iss` and takes tokens from this place.
    #[error("Jwt issuer is not configured")]
    UnknownIssuer,
    /// `nbf` is not reached.
    #[error("Jwt not yet valid")]
    NotYetValid,
    /// `exp` is passed.
    #[error("Jwt is expired")]
    Expired,
    /// None of `aud` is one of the rule's.
    #[error("Audiences in Jwt are not allowed")]
    Audience,
    /// The keys have not been fetched.
    #[error("Jwks remote fetch is failed")]
    NoKeys,
    /// The key set has no key that is of use.
    #[error("Jwks doesn't have any valid public key")]
    NoValidKeys,
    /// No key of this id for this algorithm.
    #[error("Jwks doesn't have key to match kid or alg from Jwt")]
    NoMatchingKey,
    /// What the rules say is not understood.
    #[error("Jwt rules cannot be read")]
    Unreadable,
    /// The signature is wrong.
    #[error("Jwt verification fails")]
    Verification,
}

impl Refusal {
    /// The status of the answer (Envoy: 403 where only the audience is wrong). That rules cannot be read is no caller's fault.
    pub fn status(self) -> u16 {
        match self {
            Refusal::Audience => 403,
            Refusal::Unreadable => 503,
            _ => 401,
        }
    }

    /// What is told of a request that several rules refuse: that a rule does not know the issuer says least; of the rest
    /// the last counts (Envoy's `requires_any`).
    pub(super) fn or(self, before: Option<Refusal>) -> Refusal {
        match (before, self) {
            (Some(before), Refusal::UnknownIssuer) => before,
            _ => self,
        }
    }
}
