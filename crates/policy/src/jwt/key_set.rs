//! Key sets (RFC 7517), read once: a request finds keys that are ready for use.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::algorithm::{self, Algorithm, Uses};
use super::refusal::Refusal;
use super::token::Token;

/// How many keys a set may have: a token that names none is tried with each.
const MAX_KEYS: usize = 64;
/// The members of keys that are read (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
const NEEDED: [&str; 10] = ["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y"];
/// The length of a signature of Ed25519 (RFC 8032, section 5.1.6).
const ED25519_SIGNATURE: usize = 64;

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// It is no JSON object with a list `keys`.
    #[error("it is not a JSON Web Key Set: `{{\"keys\": [...]}}` (RFC 7517)")]
    Form,
    /// There are more keys than a request can be tried with.
    #[error("it has {0} keys, more than the {MAX_KEYS} that are taken")]
    TooMany(usize),
    /// None of the keys can verify anything.
    #[error(
        "none of its keys can verify a token: RSA of 2048 bits or more, EC P-256, P-384 or P-521, or OKP Ed25519"
    )]
    NoValidKeys,
}

/// Public keys.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    id: Option<Box<str>>,
    uses: Uses,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<Algorithm> =
            self.uses.iter().map(|(algorithm, _)| *algorithm).collect();
        f.debug_struct("Key").field("id", &self.id).field("uses", &algorithms).finish()
    }
}

impl KeySet {
    /// Reads a key set. Keys that are not understood, or are for something else than signatures, are passed over (RFC
    /// 7517, section 5).
    ///
    /// # Errors
    /// If it is none, or has no key of use.
    pub fn parse(text: &str) -> Result<KeySet, KeySetError> {
        let set: Value = serde_json::from_str(text).map_err(|_| KeySetError::Form)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(keys.len()));
        }
        let keys: Vec<Key> = keys.iter().filter_map(|key| Key::read(key.as_object()?)).collect();
        match keys.is_empty() {
            true => Err(KeySetError::NoValidKeys),
            false => Ok(KeySet { keys }),
        }
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The same keys in as few words as they need: what is sent to every proxy has no certificates in it, and no private
    /// half that somebody has put there. A set without a key of use is one too: an issuer takes its keys back by it.
    ///
    /// # Errors
    /// If it is none, or is too large.
    pub fn public_part(text: &str) -> Result<String, KeySetError> {
        match KeySet::parse(text) {
            Ok(_) | Err(KeySetError::NoValidKeys) => {}
            Err(error) => return Err(error),
        }
        let mut set: Value = serde_json::from_str(text).map_err(|_| KeySetError::Form)?;
        let mut keys = set["keys"].take();
        for key in keys.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            key.retain(|name, _| NEEDED.contains(&name.as_str()));
        }
        Ok(json!({ "keys": keys }).to_string())
    }

    /// Verifies a token's signature: with the keys of the token's `kid` where both have one, and of them with those that
    /// the algorithm fits, by the key's type and by its `alg`.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let is_named = |key: &&Key| match (&key.id, token.key_id()) {
            (Some(own), Some(named)) => **own == *named,
            _ => true,
        };
        let uses = self.keys.iter().filter(is_named).flat_map(|key| &key.uses);
        let mut fitting = uses.filter(|(algorithm, _)| *algorithm == token.algorithm()).peekable();
        if fitting.peek().is_none() {
            return Err(Refusal::NoMatchingKey);
        }
        let signature = token.signature();
        if token.algorithm() == Algorithm::EdDsa && signature.len() != ED25519_SIGNATURE {
            return Err(Refusal::Ed25519Length);
        }
        let is_verified = fitting.any(|(_, key)| key.verify_sig(token.signed(), signature).is_ok());
        if is_verified { Ok(()) } else { Err(Refusal::Verification) }
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Key> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
        let is_for_signatures = text("use").is_none_or(|it| it == "sig")
            && key
                .get("key_ops")
                .and_then(Value::as_array)
                .is_none_or(|operations| operations.iter().any(|it| it.as_str() == Some("verify")));
        let only = match text("alg") {
            // A key for an algorithm that is not verified here is of no use for another one.
            Some(alg) => Some(Algorithm::parse(alg)?),
            None => None,
        };
        let uses = match text("kty")? {
            _ if !is_for_signatures => return None,
            "RSA" => algorithm::rsa(&bytes("n")?, &bytes("e")?, only),
            "EC" => algorithm::elliptic(text("crv")?, &bytes("x")?, &bytes("y")?, only),
            "OKP" if text("crv") == Some("Ed25519") => algorithm::ed25519(&bytes("x")?, only),
            _ => return None,
        };
        let id = text("kid").filter(|id| !id.is_empty()).map(Into::into);
        (!uses.is_empty()).then_some(Key { id, uses })
    }
}
