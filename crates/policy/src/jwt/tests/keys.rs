//! Keys of every type, and tokens signed with them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A private key, its public half as a JWK, and the algorithm that it signs with.
pub(super) struct Signer {
    pub(super) alg: &'static str,
    pub(super) jwk: Value,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Elliptic(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn ed25519(id: &str) -> Signer {
    let key = Ed25519KeyPair::generate().unwrap();
    let x = base64(key.public_key());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id});
    Signer { alg: "EdDSA", jwk, key: Key::Ed25519(key) }
}

pub(super) fn elliptic(alg: &'static str, id: &str) -> Signer {
    let (curve, by): (&str, &'static EcdsaSigningAlgorithm) = match alg {
        "ES256" => ("P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        "ES384" => ("P-384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => ("P-521", &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
    };
    let key = EcdsaKeyPair::generate(by).unwrap();
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let jwk = json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y), "kid": id});
    Signer { alg, jwk, key: Key::Elliptic(key) }
}

pub(super) fn rsa(alg: &'static str, id: &str, size: KeySize) -> Signer {
    let encoding: &'static dyn RsaEncoding = match alg {
        "RS256" => &signature::RSA_PKCS1_SHA256,
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        _ => &signature::RSA_PSS_SHA512,
    };
    let key = RsaKeyPair::generate(size).unwrap();
    let public = key.public_key();
    let n = base64(public.modulus().big_endian_without_leading_zero());
    let e = base64(public.exponent().big_endian_without_leading_zero());
    let jwk = json!({"kty": "RSA", "n": n, "e": e, "kid": id});
    Signer { alg, jwk, key: Key::Rsa(key, encoding) }
}

impl Signer {
    /// A token of these claims, with the key's id.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.alg, "kid": self.jwk["kid"]}), claims)
    }

    /// A token with a head of one's own.
    pub(super) fn token_with(&self, head: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64(head.to_string()), base64(claims.to_string()));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", base64(signature))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Elliptic(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}
