//! What rules say of requests: claims that are checked, several rules, and what is remembered.

use super::*;

#[test]
fn claims_are_checked_with_a_minute_of_skew() {
    let signer = ed25519("k");
    let own = compiled(vec![JwtRule {
        audiences: vec!["https://api.example/".into(), "books".into()],
        ..rule(ISSUER, &signer)
    }]);
    let good = json!({"aud": "books"});
    for (more, expected) in [
        (json!({}), Ok(())),
        (json!({"exp": NOW - 60}), Ok(())),
        (json!({"exp": NOW - 61}), Err(Refusal::Expired)),
        (json!({"exp": (NOW - 61) as f64 + 0.5}), Err(Refusal::Expired)),
        // As in Envoy a token without an end has none.
        (json!({"exp": null}), Ok(())),
        (json!({"exp": "soon"}), Err(Refusal::NotInteger("exp"))),
        (json!({"exp": -1}), Err(Refusal::OutOfRange("exp"))),
        (json!({"exp": u64::MAX}), Err(Refusal::OutOfRange("exp"))),
        (json!({"exp": 1e300}), Err(Refusal::OutOfRange("exp"))),
        (json!({"exp": i64::MAX}), Ok(())),
        (json!({"nbf": NOW + 60}), Ok(())),
        (json!({"nbf": NOW + 61}), Err(Refusal::NotYetValid)),
        (json!({"nbf": "now"}), Err(Refusal::NotInteger("nbf"))),
        (json!({"iat": [1]}), Err(Refusal::NotInteger("iat"))),
        // When it was issued is not looked at.
        (json!({"iat": NOW + 1000}), Ok(())),
        (json!({"iss": "https://other.example"}), Err(Refusal::UnknownIssuer)),
        (json!({"iss": "https://issuer.example/"}), Err(Refusal::UnknownIssuer)),
        (json!({"iss": null}), Err(Refusal::UnknownIssuer)),
        (json!({"iss": 7}), Err(Refusal::NotText("iss"))),
        (json!({"sub": {}}), Err(Refusal::NotText("sub"))),
        (json!({"jti": 1}), Err(Refusal::NotText("jti"))),
        (json!({"aud": ["letters", "books"]}), Ok(())),
        (json!({"aud": "http://books/"}), Ok(())),
        (json!({"aud": "api.example"}), Ok(())),
        (json!({"aud": "book"}), Err(Refusal::Audience)),
        (json!({"aud": []}), Err(Refusal::Audience)),
        (json!({"aud": null}), Err(Refusal::Audience)),
        (json!({"aud": ["books", 7]}), Err(Refusal::Aud)),
        (json!({"aud": 7}), Err(Refusal::Aud)),
    ] {
        let mut all = claims(good.clone());
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = bearer(&own, &Asked::bearer(&signer.token(&all)));
        assert_eq!(found.map(drop), expected, "{more}");
    }
}

#[test]
fn without_a_token_a_request_passes_and_is_nobodys() {
    let signer = ed25519("k");
    let own = compiled(vec![rule(ISSUER, &signer)]);
    for request in [
        Asked::get("/"),
        Asked::get("/?token=x").with("x-token", "x"),
        Asked::get("/").with("authorization", "Basic YTpi"),
        // Envoy's prefix has its case.
        Asked::get("/").with("authorization", "bearer x"),
        Asked::get("/").with("authorization", "Bearer"),
    ] {
        assert_eq!(bearer(&own, &request).as_deref(), Ok("nobody"), "{request:?}");
    }
    assert_eq!(bearer(&own, &Asked::bearer("x")), Err(Refusal::Form));
    let preflight = Asked { method: "OPTIONS", ..Asked::bearer("x") };
    assert_eq!(bearer(&own, &preflight), Err(Refusal::Form));
    let preflight =
        preflight.with("Origin", "https://a").with("Access-Control-Request-Method", "PUT");
    assert_eq!(bearer(&own, &preflight).as_deref(), Ok("nobody"));
}

#[test]
fn the_issuer_chooses_the_rule() {
    let (one, two) = (ed25519("k"), ed25519("k"));
    let own = compiled(vec![rule("two", &two), rule("one", &one)]);
    for (issuer, signer, expected) in [
        ("one", &one, Ok("one/alice")),
        ("two", &two, Ok("two/alice")),
        // The keys of one issuer do not sign for the other.
        ("one", &two, Err(Refusal::Verification)),
        ("two", &one, Err(Refusal::Verification)),
        ("three", &one, Err(Refusal::UnknownIssuer)),
    ] {
        let token = signer.token(&claims(json!({ "iss": issuer })));
        let found = bearer(&own, &Asked::bearer(&token));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{issuer}");
    }
    let expired = two.token(&claims(json!({"iss": "two", "exp": NOW - 600})));
    assert_eq!(bearer(&own, &Asked::bearer(&expired)), Err(Refusal::Expired));
}

#[test]
fn rules_of_one_issuer_add_up() {
    let (old, new) = (ed25519("k"), ed25519("k"));
    let of = |signer, audience: &str| JwtRule {
        audiences: vec![audience.to_owned()],
        ..rule(ISSUER, signer)
    };
    let own = compiled(vec![of(&old, "books"), of(&new, "letters")]);
    for (signer, audience, expected) in [
        (&old, "books", Ok("https://issuer.example/alice")),
        (&new, "letters", Ok("https://issuer.example/alice")),
        (&old, "letters", Err(Refusal::Verification)),
        (&new, "maps", Err(Refusal::Audience)),
    ] {
        let token = signer.token(&claims(json!({ "aud": audience })));
        let found = bearer(&own, &Asked::bearer(&token));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{audience}");
    }
    assert_eq!((Refusal::Audience.status(), Refusal::Expired.status()), (403, 401));
}

#[test]
fn all_tokens_in_the_places_of_a_rule_must_be_its() {
    let (one, two) = (ed25519("k"), ed25519("k"));
    let mut second = rule("two", &two);
    second.from_params = vec!["t".into()];
    let own = compiled(vec![rule("one", &one), second]);
    let of_one = one.token(&claims(json!({"iss": "one"})));
    let of_two = two.token(&claims(json!({"iss": "two"})));
    let with = |header: &str, parameter: &str| {
        let target = if parameter.is_empty() { "/".into() } else { format!("/?t={parameter}") };
        let request = Asked::get(&target);
        if header.is_empty() {
            return request;
        }
        request.with("authorization", &format!("Bearer {header}"))
    };
    for (header, parameter, expected) in [
        (&*of_one, "", Ok("one/alice")),
        ("", &*of_two, Ok("two/alice")),
        // The first by issuer, whatever the other has.
        (&of_one, &of_two, Ok("one/alice")),
        (&of_one, "x", Ok("one/alice")),
        ("x", &of_two, Ok("two/alice")),
        // Each in the place of the other.
        (&of_two, &of_one, Err(Refusal::UnknownIssuer)),
        (&of_two, "", Err(Refusal::UnknownIssuer)),
        ("", "x", Err(Refusal::Form)),
    ] {
        let found = bearer(&own, &with(header, parameter));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{header} {parameter}");
    }
    let twice = Asked::bearer(&of_one).with("authorization", "Bearer x");
    assert_eq!(bearer(&own, &twice), Err(Refusal::Form));
    let twice = Asked::bearer(&of_one).with("authorization", &format!("Bearer {of_one}"));
    assert_eq!(bearer(&own, &twice).as_deref(), Ok("one/alice"));
}

#[test]
fn without_keys_every_token_is_refused() {
    let signer = ed25519("k");
    let token = signer.token(&claims(json!({})));
    for (jwks, expected) in [
        (None, Refusal::NoKeys),
        (Some("{\"keys\": []}".to_owned()), Refusal::NoValidKeys),
        (Some(String::new()), Refusal::NoValidKeys),
    ] {
        let own = compiled(vec![JwtRule { jwks, ..rule(ISSUER, &signer) }]);
        assert_eq!(bearer(&own, &Asked::bearer(&token)), Err(expected));
        assert_eq!(bearer(&own, &Asked::get("/")).as_deref(), Ok("nobody"));
        assert_eq!(own.issuers().collect::<Vec<_>>(), [(ISSUER, Err(expected))]);
    }
    let own = compiled(vec![rule(ISSUER, &signer)]);
    assert_eq!(own.issuers().collect::<Vec<_>>(), [(ISSUER, Ok(1))]);
    // Rules that nobody can read let nothing pass, whether it has a token or not.
    let closed = Authentication::closed(2, "of another version");
    for request in [Asked::bearer(&token), Asked::get("/")] {
        assert_eq!(bearer(&closed, &request), Err(Refusal::Unreadable));
    }
}

#[test]
fn what_was_verified_is_known_until_it_expires_or_the_rules_change() {
    let signer = ed25519("k");
    let own = compiled(vec![rule(ISSUER, &signer)]);
    let request = Asked::bearer(&signer.token(&claims(json!({"exp": NOW + 10}))));
    let mut memory = Memory::new(2);
    for _ in 0..3 {
        assert!(own.judge(&request, NOW, &mut memory).unwrap().is_some());
        assert_eq!(memory.len(), 1);
    }
    assert!(own.judge(&request, NOW + 70, &mut memory).unwrap().is_some());
    assert_eq!(own.judge(&request, NOW + 71, &mut memory).unwrap_err(), Refusal::Expired);
    assert!(memory.is_empty());
    // What is refused is not kept.
    let forged = Asked::bearer(&ed25519("k").token(&claims(json!({}))));
    assert_eq!(own.judge(&forged, NOW, &mut memory).unwrap_err(), Refusal::Verification);
    assert!(memory.is_empty());
    // Nor is what is very long.
    let long = claims(json!({"groups": vec!["a group of some length"; 200]}));
    let long = Asked::bearer(&signer.token(&long));
    assert!(own.judge(&long, NOW, &mut memory).unwrap().is_some());
    assert!(memory.is_empty());
    // Other keys: what the former verified is not known to them.
    assert!(own.judge(&request, NOW, &mut memory).unwrap().is_some());
    let source = own.sources()[0].clone();
    let others = RequestAuthentication { jwt_rules: vec![rule(ISSUER, &ed25519("k"))], ..source };
    let others = Authentication::compile(2, vec![others]);
    assert_eq!(others.judge(&request, NOW, &mut memory).unwrap_err(), Refusal::Verification);
}

#[test]
fn the_memory_is_bounded_and_keeps_what_is_used() {
    let signer = ed25519("k");
    let own = compiled(vec![rule(ISSUER, &signer)]);
    let mut memory = Memory::new(4);
    let token = |sub: &str| Asked::bearer(&signer.token(&claims(json!({ "sub": sub }))));
    let steady = token("steady");
    for at in 0..50 {
        for request in [&steady, &token(&format!("u{at}"))] {
            assert!(own.judge(request, NOW, &mut memory).unwrap().is_some());
        }
        assert!(memory.len() <= 8, "{}", memory.len());
    }
    let before = memory.len();
    assert!(own.judge(&steady, NOW, &mut memory).unwrap().is_some());
    assert_eq!(memory.len(), before);
}
