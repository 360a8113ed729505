//! Signatures: what is verified by which key, and what is not.

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use serde_json::{Value, json};

use super::super::{KeySet, KeySetError};
use super::keys::{Signer, base64, ed25519, elliptic, rsa};
use super::*;

fn by(keys: &[&Value]) -> Authentication {
    let jwks = json!({ "keys": keys }).to_string();
    compiled(vec![JwtRule { issuer: ISSUER.into(), jwks: Some(jwks), ..JwtRule::default() }])
}

fn told(authentication: &Authentication, token: &str) -> Result<String, Refusal> {
    bearer(authentication, &Asked::bearer(token))
}

fn signers() -> Vec<Signer> {
    let mut signers = vec![ed25519("k")];
    signers.extend(["ES256", "ES384", "ES512"].map(|alg| elliptic(alg, "k")));
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    signers.extend(all.map(|alg| rsa(alg, "k", KeySize::Rsa2048)));
    signers
}

#[test]
fn every_algorithm_is_verified_by_its_own_key_alone() {
    let signers = signers();
    let claims = claims(json!({}));
    for signer in &signers {
        let (token, own) = (signer.token(&claims), by(&[&signer.jwk]));
        assert_eq!(told(&own, &token).unwrap(), "https://issuer.example/alice", "{}", signer.alg);
        // The same, where the key says its algorithm.
        let mut jwk = signer.jwk.clone();
        jwk["alg"] = signer.alg.into();
        jwk["use"] = "sig".into();
        assert!(told(&by(&[&jwk]), &token).is_ok(), "{}", signer.alg);
        // One bit of the signature, of the claims.
        let mut bytes: Vec<u8> = token.bytes().collect();
        let signature = token.rfind('.').unwrap() + 5;
        bytes[signature] = if bytes[signature] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        assert_eq!(told(&own, &forged), Err(Refusal::Verification), "{}", signer.alg);
        let others = super::claims(json!({"sub": "mallory"}));
        let parts: Vec<&str> = token.split('.').collect();
        let forged = format!("{}.{}.{}", parts[0], base64(others.to_string()), parts[2]);
        assert_eq!(told(&own, &forged), Err(Refusal::Verification), "{}", signer.alg);
        for other in signers.iter().filter(|other| other.alg != signer.alg) {
            // Another key, of the same id: of another type there is none for the algorithm.
            let refused = told(&by(&[&other.jwk]), &token).unwrap_err();
            let is_same_type = other.jwk["kty"] == "RSA" && signer.jwk["kty"] == "RSA";
            let expected = match is_same_type {
                true => Refusal::Verification,
                false => Refusal::NoMatchingKey,
            };
            assert_eq!(refused, expected, "{} by {}", signer.alg, other.alg);
        }
    }
}

#[test]
fn the_keys_algorithm_is_the_only_one_that_it_is_used_for() {
    let signer = rsa("RS512", "k", KeySize::Rsa2048);
    let mut jwk = signer.jwk.clone();
    jwk["alg"] = "RS256".into();
    let token = signer.token(&claims(json!({})));
    assert_eq!(told(&by(&[&jwk]), &token), Err(Refusal::NoMatchingKey));
}

#[test]
fn a_public_key_is_no_secret_and_none_is_no_signature() {
    let signer = rsa("RS256", "k", KeySize::Rsa2048);
    let own = by(&[&signer.jwk]);
    let claims = base64(claims(json!({})).to_string());
    // The classic confusion: an HMAC whose secret is what everybody knows, in each form that a library may take.
    let modulus = signer.jwk["n"].as_str().unwrap();
    for secret in [modulus.to_owned(), signer.jwk.to_string(), String::new()] {
        for (alg, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let head = base64(json!({"alg": alg, "kid": "k"}).to_string());
            let signed = format!("{head}.{claims}");
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), signed.as_bytes());
            let token = format!("{signed}.{}", base64(tag));
            assert_eq!(told(&own, &token), Err(Refusal::AlgUnsupported), "{alg}");
        }
    }
    for alg in
        ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS384", "RSA-OAEP", "ES256K"]
    {
        let head = base64(json!({"alg": alg}).to_string());
        for (signature, expected) in [("", Refusal::Form), ("AAAA", Refusal::AlgUnsupported)] {
            let token = format!("{head}.{claims}.{signature}");
            assert_eq!(told(&own, &token), Err(expected), "{alg:?}");
        }
    }
    // A shared secret in the key set is none either.
    let secret = json!({"kty": "oct", "k": base64(b"secret"), "alg": "HS256"});
    let set = json!({ "keys": [secret] }).to_string();
    assert_eq!(KeySet::parse(&set).unwrap_err(), KeySetError::NoValidKeys);
}

#[test]
fn a_token_is_verified_by_the_key_that_it_names() {
    let (first, second) = (ed25519("first"), ed25519("second"));
    let both = by(&[&first.jwk, &second.jwk]);
    let claims = claims(json!({}));
    for (head, signer, expected) in [
        (json!({"alg": "EdDSA", "kid": "first"}), &first, Ok(())),
        (json!({"alg": "EdDSA", "kid": "second"}), &second, Ok(())),
        (json!({"alg": "EdDSA", "kid": "first"}), &second, Err(Refusal::Verification)),
        (json!({"alg": "EdDSA", "kid": "third"}), &first, Err(Refusal::NoMatchingKey)),
        // Without a name all are tried.
        (json!({"alg": "EdDSA"}), &second, Ok(())),
        (json!({"alg": "EdDSA", "kid": ""}), &second, Ok(())),
        (json!({"alg": "EdDSA", "kid": 7}), &second, Err(Refusal::Kid)),
        (json!({"alg": "ES256", "kid": "first"}), &first, Err(Refusal::NoMatchingKey)),
    ] {
        let told = told(&both, &signer.token_with(&head, &claims));
        assert_eq!(told.map(drop), expected, "{head}");
    }
    let mut unnamed = first.jwk.clone();
    unnamed.as_object_mut().unwrap().remove("kid");
    // A key without an id is for every token.
    assert!(told(&by(&[&second.jwk, &unnamed]), &first.token(&claims)).is_ok());
}

#[test]
fn keys_that_are_of_no_use_are_passed_over() {
    let (good, ec) = (ed25519("good"), elliptic("ES256", "ec"));
    let token = good.token(&claims(json!({})));
    let mut bad = Vec::new();
    let changed = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    bad.push(changed(&good.jwk, "use", json!("enc")));
    bad.push(changed(&good.jwk, "key_ops", json!(["sign"])));
    bad.push(changed(&good.jwk, "crv", json!("X25519")));
    bad.push(changed(&good.jwk, "x", json!("AAAA")));
    bad.push(changed(&good.jwk, "alg", json!("HS256")));
    bad.push(changed(&good.jwk, "kty", json!("PQC")));
    bad.push(changed(&ec.jwk, "crv", json!("P-384")));
    bad.push(changed(&ec.jwk, "crv", json!("secp256k1")));
    bad.push(changed(&ec.jwk, "x", json!("!")));
    // Not on the curve.
    bad.push(changed(&ec.jwk, "x", ec.jwk["y"].clone()));
    bad.push(changed(&ec.jwk, "alg", json!("ES384")));
    bad.push(json!("no object"));
    bad.push(json!({"kty": "RSA", "n": base64([0xff; 128]), "e": "AQAB"}));
    for key in &bad {
        let alone = json!({ "keys": [key] }).to_string();
        assert_eq!(KeySet::parse(&alone).unwrap_err(), KeySetError::NoValidKeys, "{key}");
        assert!(told(&by(&[key, &good.jwk]), &token).is_ok(), "{key}");
        assert_eq!(told(&by(&[key]), &token), Err(Refusal::NoValidKeys), "{key}");
    }
    let many = json!({"keys": vec![good.jwk.clone(); 65]}).to_string();
    assert_eq!(KeySet::parse(&many).unwrap_err(), KeySetError::TooMany(65));
    for text in ["", "[]", "{}", r#"{"keys": {}}"#, "keys"] {
        assert_eq!(KeySet::parse(text).unwrap_err(), KeySetError::Form, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_its_first_fault() {
    let signer = ed25519("k");
    let own = by(&[&signer.jwk]);
    let good = signer.token(&claims(json!({})));
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    let padded = format!("{head}=");
    for (token, expected) in [
        ("", Refusal::Form),
        ("x", Refusal::Form),
        ("..", Refusal::Form),
        (&format!("{head}.{payload}"), Refusal::Form),
        (&format!("{head}.{payload}."), Refusal::Form),
        (&format!("{good}."), Refusal::Form),
        // Five parts are an encrypted token (RFC 7516).
        (&format!("{good}.{head}.{head}"), Refusal::Form),
        (&format!("a!.{payload}.{signature}"), Refusal::HeaderBase64),
        (&format!("{padded}.{payload}.{signature}"), Refusal::HeaderBase64),
        (&format!("{head} .{payload}.{signature}"), Refusal::HeaderBase64),
        (&format!("{}.{payload}.{signature}", base64("[]")), Refusal::HeaderJson),
        (&format!("{}.{payload}.{signature}", base64("{}")), Refusal::Alg),
        (&format!("{}.{payload}.{signature}", base64(r#"{"alg":["EdDSA"]}"#)), Refusal::Alg),
        (&format!("{head}.+.{signature}"), Refusal::PayloadBase64),
        (&format!("{head}.{}.{signature}", base64("1")), Refusal::PayloadJson),
        (&format!("{head}.{}.{signature}", base64(b"{\"a\":\"\xff\"}")), Refusal::PayloadJson),
        (&format!("{head}.{}.{signature}", base64(deep)), Refusal::PayloadJson),
        (&format!("{head}.{payload}.###"), Refusal::SignatureBase64),
        (&format!("{head}.{payload}.AAAA"), Refusal::Ed25519Length),
        // Bits that base64 leaves over must be 0, or one token would have many texts.
        (&format!("{}{}", &good[..good.len() - 1], "_"), Refusal::SignatureBase64),
        (&format!("{good}{}", "A".repeat(16 * 1024)), Refusal::TooLarge),
    ] {
        assert_eq!(told(&own, token), Err(expected), "{token:.80}");
    }
    let critical = json!({"alg": "EdDSA", "crit": ["exp"], "exp": 1});
    assert_eq!(told(&own, &signer.token_with(&critical, &claims(json!({})))), Err(Refusal::Crit));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, at: usize, with: u8) {
        drop(super::super::Token::parse(&bytes));
        let mut near = ed25519("k").token(&claims(json!({}))).into_bytes();
        let at = at % near.len();
        near[at] = with;
        drop(super::super::Token::parse(&near));
    }
}
