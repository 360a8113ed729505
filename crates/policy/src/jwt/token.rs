//! A token as it came: taken apart (RFC 7515, section 3.1; RFC 7519), not yet believed.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::refusal::Refusal;

/// The longest token that is looked at, bytes. Real ones have one to four thousand.
pub const MAX_TOKEN: usize = 16 * 1024;

/// A token of three parts that can be read. Nothing of it is verified.
#[derive(Debug, Clone)]
pub struct Token<'t> {
    /// Header and payload with the dot between them, as they came: what is signed.
    signed: &'t [u8],
    signature: Vec<u8>,
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Arc<Claims>,
}

impl<'t> Token<'t> {
    /// Takes a token apart. Any bytes may come: this is where a stranger's are read.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &'t [u8]) -> Result<Token<'t>, Refusal> {
        if text.len() > MAX_TOKEN {
            return Err(Refusal::TooLarge);
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Form);
        };
        if [header, payload, signature].iter().any(|part| part.is_empty()) {
            return Err(Refusal::Form);
        }
        let head = object(header, Refusal::HeaderBase64, Refusal::HeaderJson)?;
        let (algorithm, key_id) = read_head(&head)?;
        let claims = object(payload, Refusal::PayloadBase64, Refusal::PayloadJson)?;
        let claims = Claims::read(claims, payload)?;
        let decoded = URL_SAFE_NO_PAD.decode(signature);
        Ok(Token {
            signed: &text[..header.len() + 1 + payload.len()],
            signature: decoded.map_err(|_| Refusal::SignatureBase64)?,
            algorithm,
            key_id,
            claims: Arc::new(claims),
        })
    }

    /// What it says.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    pub(super) fn signed(&self) -> &[u8] {
        self.signed
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

fn read_head(head: &Map<String, Value>) -> Result<(Algorithm, Option<String>), Refusal> {
    let alg = head.get("alg").and_then(Value::as_str).ok_or(Refusal::Alg)?;
    let algorithm = Algorithm::parse(alg).ok_or(Refusal::AlgUnsupported)?;
    if head.contains_key("crit") {
        return Err(Refusal::Crit);
    }
    let key_id = match head.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()).filter(|id| !id.is_empty()),
        Some(_) => return Err(Refusal::Kid),
    };
    Ok((algorithm, key_id))
}

/// The JSON object in a part. Objects within objects are read to a depth of 128, which is `serde_json`'s.
fn object(part: &[u8], encoding: Refusal, json: Refusal) -> Result<Map<String, Value>, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| encoding)?;
    serde_json::from_slice(&text).map_err(|_| json)
}
