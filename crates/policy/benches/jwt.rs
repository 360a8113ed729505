//! What a token costs a request: `cargo bench -p meltemi-policy --bench jwt`.
//!
//! `verified` is a token that nobody has seen, `remembered` the same one again, `without` a request that has none.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meltemi_policy::jwt::rule::{JwtRule, RequestAuthentication};
use meltemi_policy::jwt::{Authentication, Memory, Request};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 7;

struct Call(Vec<(&'static str, String)>);

impl Request for Call {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn target(&self) -> &[u8] {
        b"/books/7?page=2"
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> (Value, Sign) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = key.public_key();
    let n = base64(public.modulus().big_endian_without_leading_zero());
    let e = base64(public.exponent().big_endian_without_leading_zero());
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("signed");
        signature
    };
    (json!({"kty": "RSA", "kid": "k", "alg": "RS256", "n": n, "e": e}), Box::new(sign))
}

fn elliptic() -> (Value, Sign) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "kid": "k", "crv": "P-256", "x": base64(x), "y": base64(y)});
    let sign = move |message: &[u8]| {
        key.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec()
    };
    (jwk, Box::new(sign))
}

fn ed25519() -> (Value, Sign) {
    let key = Ed25519KeyPair::generate().expect("a key");
    let x = base64(key.public_key());
    let sign = move |message: &[u8]| key.sign(message).as_ref().to_vec();
    (json!({"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": x}), Box::new(sign))
}

/// A request as a browser's application makes it, with a token of about 700 bytes.
fn call(alg: &str, sign: &Sign) -> Call {
    let claims = json!({
        "iss": "https://issuer.example", "sub": "alice@example.com", "aud": ["books", "letters"],
        "exp": NOW + 3600, "iat": NOW, "azp": "shop", "scope": "openid profile email books:read",
        "groups": ["readers", "writers", "editors"], "name": "Alice Example", "jti": "0123456789abcdef",
    });
    let head = json!({"alg": alg, "kid": "k", "typ": "JWT"});
    let signed = format!("{}.{}", base64(head.to_string()), base64(claims.to_string()));
    let token = format!("{signed}.{}", base64(sign(signed.as_bytes())));
    let mut fields: Vec<_> =
        ["accept", "user-agent", "x-request-id", "x-forwarded-proto", "cookie"]
            .map(|name| (name, "a value of some length".to_owned()))
            .into();
    fields.push(("authorization", format!("Bearer {token}")));
    Call(fields)
}

/// The best of some rounds, in nanoseconds a call.
fn measure(mut judge: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (started, mut calls) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            for _ in 0..64 {
                judge();
            }
            calls += 64;
        }
        best = best.min(started.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    best
}

fn main() {
    for (alg, (jwk, sign)) in [("RS256", rsa()), ("ES256", elliptic()), ("EdDSA", ed25519())] {
        let rule = JwtRule {
            issuer: "https://issuer.example".into(),
            audiences: vec!["books".into()],
            jwks: Some(json!({ "keys": [jwk] }).to_string()),
            ..JwtRule::default()
        };
        let source =
            RequestAuthentication { jwt_rules: vec![rule], ..RequestAuthentication::default() };
        let rules = Authentication::compile(1, vec![source]);
        let call = call(alg, &sign);
        let without = Call(call.0[..call.0.len() - 1].to_vec());
        let mut memory = Memory::new(1024);
        let verified = measure(|| {
            let mut none = Memory::new(1);
            assert!(black_box(rules.judge(&call, NOW, &mut none)).is_ok_and(|it| it.is_some()));
        });
        let remembered = measure(|| {
            assert!(black_box(rules.judge(&call, NOW, &mut memory)).is_ok_and(|it| it.is_some()));
        });
        let none = measure(|| {
            assert!(
                black_box(rules.judge(&without, NOW, &mut memory)).is_ok_and(|it| it.is_none())
            );
        });
        println!(
            "{alg}: verified {verified:.0} ns, remembered {remembered:.0} ns, without {none:.0} ns"
        );
    }
}
