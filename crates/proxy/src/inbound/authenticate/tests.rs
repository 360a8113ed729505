use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meltemi_policy::jwt::Memory;
use meltemi_policy::jwt::rule::{ClaimToHeader, JwtHeader, JwtRule, RequestAuthentication};
use serde_json::json;

use super::*;

/// A rule for tokens in every place, and one of its tokens.
fn world(forward_original_token: bool) -> (Authentication, String) {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = Ed25519KeyPair::generate().unwrap();
    let x = base64(key.public_key().as_ref());
    let head = base64(br#"{"alg":"EdDSA"}"#);
    let claims = base64(br#"{"iss":"i","sub":"alice"}"#);
    let signed = format!("{head}.{claims}");
    let token = format!("{signed}.{}", base64(key.sign(signed.as_bytes()).as_ref()));
    let rule = JwtRule {
        issuer: "i".into(),
        jwks: Some(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string()),
        from_headers: vec![JwtHeader { name: "X-Jwt".into(), prefix: "JWT ".into() }],
        from_params: vec!["t".into()],
        from_cookies: vec!["s".into()],
        output_claim_to_headers: vec![ClaimToHeader {
            header: "X-Sub".into(),
            claim: "sub".into(),
        }],
        forward_original_token,
        ..JwtRule::default()
    };
    let source =
        RequestAuthentication { jwt_rules: vec![rule], ..RequestAuthentication::default() };
    (Authentication::compile(1, vec![source]), token)
}

fn head(target: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    head.set_target(target.as_bytes());
    head.set_authority(b"hello:80");
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The request after it was judged: target and fields.
fn rewritten(rules: &Authentication, mut head: RequestHead) -> (String, Vec<(String, String)>) {
    let bearer = rules.judge(&head, 0, &mut Memory::new(1)).unwrap();
    rewrite(rules, bearer.as_ref(), &mut head);
    let fields = head.fields.iter().map(|(_, name, value)| (text(name), text(value))).collect();
    (text(head.target()), fields)
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn tokens_are_taken_out_of_every_place_and_claims_are_told() {
    let (rules, token) = world(false);
    let head = head(
        &format!("/a?x=1&t={token}"),
        &[
            ("x-jwt", &format!("JWT {token}")),
            ("X-Sub", "mallory"),
            ("cookie", &format!("a=b; s={token}")),
            ("Cookie", &format!("s={token}")),
            ("x-sub", "mallory"),
            ("accept", "*/*"),
        ],
    );
    let (target, fields) = rewritten(&rules, head);
    assert_eq!(target, "/a?x=1");
    assert_eq!(fields, owned(&[("accept", "*/*"), ("cookie", "a=b"), ("x-sub", "alice")]));
}

#[test]
fn a_token_that_is_forwarded_stays_where_it_is() {
    let (rules, token) = world(true);
    let value = format!("JWT {token}");
    let (target, fields) =
        rewritten(&rules, head(&format!("/?t={token}"), &[("x-jwt", &value), ("cookie", "a=b")]));
    assert_eq!(target, format!("/?t={token}"));
    assert_eq!(fields, owned(&[("x-jwt", &value), ("cookie", "a=b"), ("x-sub", "alice")]));
}

#[test]
fn without_a_token_nobody_is_told_of() {
    let (rules, _) = world(false);
    let (target, fields) =
        rewritten(&rules, head("/?a=b", &[("X-SUB", "mallory"), ("cookie", "a=b")]));
    assert_eq!((target.as_str(), fields), ("/?a=b", owned(&[("cookie", "a=b")])));
}

#[test]
fn the_challenge_names_what_was_asked_for_and_no_token() {
    let long = format!("/{}", "x".repeat(300));
    for (target, path) in
        [("/a/b?t=secret", "/a/b"), ("/\"a\\b", "/ab"), (long.as_str(), &long[..256])]
    {
        let expected = format!("Bearer realm=\"http://hello:80{path}\", error=\"invalid_token\"");
        assert_eq!(text(&challenge(&head(target, &[]))), expected);
    }
    let secure = head("/", &[("x-forwarded-proto", "https")]);
    assert!(text(&challenge(&secure)).starts_with("Bearer realm=\"https://hello:80/\""));
}
