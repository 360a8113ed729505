//! Tokens that are signed here by keys that are made here, and what becomes of requests with them.

mod keys;
mod outputs;
mod places;
mod requests;
mod signatures;

use serde_json::{Value, json};

use super::rule::{JwtRule, RequestAuthentication};
use super::{Authenticated, Authentication, Memory, Refusal, Request};
use crate::authz::Token;
use keys::{Signer, ed25519};

/// The moment of all tests.
const NOW: u64 = 1_700_000_000;
const ISSUER: &str = "https://issuer.example";

/// A request with one field a pair.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    target: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    fn get(target: &str) -> Asked {
        Asked { method: "GET", target: target.to_owned(), fields: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Asked {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A request with a token in its usual place.
    fn bearer(token: &str) -> Asked {
        Asked::get("/").with("Authorization", &format!("Bearer {token}"))
    }
}

impl Request for Asked {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn target(&self) -> &[u8] {
        self.target.as_bytes()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

/// A rule for an issuer with the keys of a signer.
fn rule(issuer: &str, signer: &Signer) -> JwtRule {
    let keys = json!({"keys": [signer.jwk]}).to_string();
    JwtRule { issuer: issuer.to_owned(), jwks: Some(keys), ..JwtRule::default() }
}

fn compiled(rules: Vec<JwtRule>) -> Authentication {
    let source = RequestAuthentication {
        name: "all".into(),
        namespace: "default".into(),
        services: Vec::new(),
        jwt_rules: rules,
    };
    Authentication::compile(1, vec![source])
}

/// Claims of [`ISSUER`] that hold now, and more or others.
fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "exp": NOW + 600});
    if let (Value::Object(all), Value::Object(more)) = (&mut claims, more) {
        all.extend(more);
    }
    claims
}

/// Judges without a memory.
fn judge<'a>(
    authentication: &'a Authentication,
    request: &Asked,
) -> Result<Option<Authenticated<'a>>, Refusal> {
    authentication.judge(request, NOW, &mut Memory::new(8))
}

/// Who bears the token, or why it is refused.
fn bearer(authentication: &Authentication, request: &Asked) -> Result<String, Refusal> {
    let found = judge(authentication, request)?;
    Ok(found.map_or("nobody".into(), |it| it.principal().unwrap_or("unnamed").to_owned()))
}
