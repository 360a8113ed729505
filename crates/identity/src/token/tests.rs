//! Good tokens, and each way in which one can be bad.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn issuer() -> Issuer {
    Issuer::new(&[7; 32])
}

/// A token with claims and header of one's own, signed with the issuer's key.
fn forged(algorithm: Algorithm, claims: &serde_json::Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(&[7; 32]))
        .unwrap()
}

fn claims(audience: &str, scope: &str) -> serde_json::Value {
    serde_json::json!({
        "aud": audience, "meltemi.io/scope": scope, "meltemi.io/namespace": "default",
        "meltemi.io/service-account": "reviews", "exp": 1_900_000_000u64, "iat": 1, "jti": "x",
    })
}

#[test]
fn a_token_says_whom_it_is_for() {
    let token = issuer().issue("default", "reviews", Uses::Many, HOUR, now()).unwrap();
    let claims = issuer().verify(&token, now()).unwrap();
    assert_eq!(
        (claims.namespace.as_str(), claims.service_account.as_str()),
        ("default", "reviews")
    );
    assert_eq!((claims.scope, claims.expires), (Scope::Workload, now() + HOUR));
    let other = issuer().issue("default", "reviews", Uses::Many, HOUR, now()).unwrap();
    assert_ne!(issuer().verify(&other, now()).unwrap().id, claims.id);
}

#[test]
fn an_admin_token_is_for_no_workload_in_particular() {
    let token = issuer().issue_local_admin(HOUR, now()).unwrap();
    let claims = issuer().verify(&token, now()).unwrap();
    assert_eq!((claims.scope, claims.workload().as_str()), (Scope::LocalAdmin, "any workload"));
}

#[test]
fn bad_tokens_are_told_apart() {
    let good = issuer().issue("default", "reviews", Uses::Many, HOUR, now()).unwrap();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let header = good.split('.').next().unwrap();
    let payload = good.split('.').nth(1).unwrap();
    let admin = issuer().issue_local_admin(HOUR, now()).unwrap();
    let admin_payload = admin.split('.').nth(1).unwrap();
    // {"typ":"JWT","alg":"none"}
    let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";

    let tampered = [
        ("another payload", format!("{header}.{admin_payload}.{signature}")),
        ("no signature", format!("{head}.")),
        (
            "another key",
            Issuer::new(&[8; 32]).issue("default", "reviews", Uses::Many, HOUR, now()).unwrap(),
        ),
        ("HS384", forged(Algorithm::HS384, &claims(AUDIENCE, "workload"))),
    ];
    for (what, token) in tampered {
        assert_eq!(issuer().verify(&token, now()), Err(TokenError::Tampered), "{what}");
    }
    let malformed = [
        ("empty", String::new()),
        ("words", "not a token".into()),
        ("two parts", head.to_owned()),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none with the old signature", format!("{none}.{payload}.{signature}")),
        ("unknown scope", forged(Algorithm::HS256, &claims(AUDIENCE, "root"))),
        ("claims missing", forged(Algorithm::HS256, &serde_json::json!({"aud": AUDIENCE}))),
    ];
    for (what, token) in malformed {
        let refused = issuer().verify(&token, now());
        assert!(matches!(refused, Err(TokenError::Malformed(_))), "{what}: {refused:?}");
    }
    let elsewhere = forged(Algorithm::HS256, &claims("istio-ca", "workload"));
    assert_eq!(issuer().verify(&elsewhere, now()), Err(TokenError::Audience("istio-ca".into())));
    assert_eq!(
        issuer().verify(&"x".repeat(MAX_TOKEN + 1), now()),
        Err(TokenError::TooLarge(MAX_TOKEN + 1))
    );
}

#[test]
fn a_token_is_good_until_its_expiry() {
    let token = issuer().issue("default", "reviews", Uses::Many, HOUR, now()).unwrap();
    assert!(issuer().verify(&token, now() + HOUR - Duration::from_secs(1)).is_ok());
    let refused = issuer().verify(&token, now() + HOUR + Duration::from_secs(5)).unwrap_err();
    assert_eq!(refused, TokenError::Expired { workload: "default/reviews".into(), ago: 5 });
    assert!(refused.to_string().contains("meltemi token create"));
}

#[test]
fn names_that_are_none_get_no_token() {
    for (namespace, account) in [("", "reviews"), ("default", "a/b"), ("Default", "x")] {
        assert!(matches!(
            issuer().issue(namespace, account, Uses::Many, HOUR, now()),
            Err(TokenError::Name(_))
        ));
    }
}

#[test]
fn the_key_is_kept_in_a_private_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.key");
    let token =
        Issuer::open_or_create(&path).unwrap().issue("a", "b", Uses::Many, HOUR, now()).unwrap();
    assert!(private_file::is_private(&path).unwrap());
    assert!(Issuer::open_or_create(&path).unwrap().verify(&token, now()).is_ok());

    std::fs::write(&path, "short").unwrap();
    let message = Issuer::open_or_create(&path).unwrap_err().to_string();
    assert!(message.contains("tokens.key") && message.contains("64"), "{message}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_or_passes(text in ".{0,300}") {
        prop_assert!(issuer().verify(&text, now()).is_err());
    }

    #[test]
    fn no_three_parts_pass(a in "[A-Za-z0-9_-]{0,80}", b in "[A-Za-z0-9_-]{0,200}", c in "[A-Za-z0-9_-]{0,60}") {
        let token = format!("{a}.{b}.{c}");
        prop_assert!(issuer().verify(&token, now()).is_err());
    }
}
