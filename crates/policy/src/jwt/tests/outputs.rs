//! What the application and authorization are told of claims.

use super::super::rule::ClaimToHeader;
use super::keys::base64;
use super::*;

#[test]
fn claims_become_headers() {
    let signer = ed25519("k");
    let to =
        |header: &str, claim: &str| ClaimToHeader { header: header.into(), claim: claim.into() };
    let own = compiled(vec![JwtRule {
        output_payload_to_header: "X-Payload".into(),
        output_claim_to_headers: vec![
            to("X-Sub", "sub"),
            to("x-age", "age"),
            to("x-share", "share"),
            to("x-staff", "staff"),
            to("x-city", "address.city"),
            to("x-flat", "https://a.example/role"),
            to("x-list", "groups"),
            to("x-object", "address"),
            to("x-missing", "address.street.number"),
            to("x-lines", "lines"),
            to("x-blank", "blank"),
            to("x-empty", "empty"),
        ],
        ..rule(ISSUER, &signer)
    }]);
    let all = claims(json!({
        "age": 42, "share": 0.5, "staff": true, "address": {"city": "Zürich", "street": "x"},
        "https://a.example/role": "reader", "groups": ["a"], "lines": "a\r\nx-admin: 1", "blank": " a",
        "empty": "",
    }));
    let request = Asked::bearer(&signer.token(&all));
    let found = judge(&own, &request).unwrap().unwrap();
    let told: Vec<(&str, String)> =
        found.outputs().map(|(name, value)| (name, value.into_owned())).collect();
    let payload = base64(all.to_string());
    let expected = [
        ("x-payload", payload.as_str()),
        ("x-sub", "alice"),
        ("x-age", "42"),
        ("x-share", "0.5"),
        ("x-staff", "true"),
        ("x-city", "Zürich"),
        ("x-flat", "reader"),
    ];
    let expected: Vec<(&str, String)> =
        expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    assert_eq!(told, expected);
    // Those of claims that are not there as well: a caller must not fill the gap.
    let names: Vec<&[u8]> = own.output_headers().collect();
    assert_eq!(names.len(), 13);
    assert!(names.contains(&&b"x-missing"[..]) && names.contains(&&b"x-payload"[..]));
}

#[test]
fn no_claim_says_where_a_message_ends() {
    let signer = ed25519("k");
    let names = ["Content-Length", "transfer-encoding", "Host", ":path", "connection", "te"];
    let claim = |name: &&str| ClaimToHeader { header: (*name).into(), claim: "sub".into() };
    let own = compiled(vec![JwtRule {
        output_payload_to_header: "Trailer".into(),
        output_claim_to_headers: names.iter().map(claim).collect(),
        ..rule(ISSUER, &signer)
    }]);
    let request = Asked::bearer(&signer.token(&claims(json!({}))));
    assert_eq!(judge(&own, &request).unwrap().unwrap().outputs().count(), 0);
    assert_eq!(own.output_headers().count(), 0);
    let named = JwtRule {
        from_headers: vec![super::super::rule::JwtHeader {
            name: "Host".into(),
            prefix: "".into(),
        }],
        ..rule(ISSUER, &signer)
    };
    let (own, token) = (compiled(vec![named]), signer.token(&claims(json!({}))));
    let request = Asked::get("/").with("host", &token);
    assert_eq!(judge(&own, &request).unwrap().unwrap().token_headers(&request).count(), 0);
}

#[test]
fn authorization_is_told_of_claims() {
    let signer = ed25519("k");
    let own = compiled(vec![JwtRule {
        space_delimited_claims: vec!["roles".into()],
        ..rule(ISSUER, &signer)
    }]);
    let all = claims(json!({
        "aud": ["books", "letters"], "azp": "shop", "scope": "read  write", "roles": "a b",
        "plain": "a b", "groups": ["x", "y z", 7], "deep": {"er": {"list": ["p"], "scope": "q r"}},
        "number": 7, "nothing": null,
    }));
    let request = Asked::bearer(&signer.token(&all));
    let found = judge(&own, &request).unwrap().unwrap();
    assert_eq!(found.principal(), Some("https://issuer.example/alice"));
    assert_eq!((found.issuer(), found.presenter()), (ISSUER, Some("shop")));
    let mut audiences = Vec::new();
    found.each_audience(&mut |it| audiences.push(it.to_owned()));
    assert_eq!(audiences, ["books", "letters"]);
    for (path, expected) in [
        (&["scope"][..], &["read", "write"][..]),
        (&["roles"], &["a", "b"]),
        (&["plain"], &["a b"]),
        (&["groups"], &["x", "y z"]),
        (&["deep", "er", "list"], &["p"]),
        // Only at the top.
        (&["deep", "er", "scope"], &["q r"]),
        (&["deep"], &[]),
        (&["deep", "none", "list"], &[]),
        (&["number"], &[]),
        (&["nothing"], &[]),
        (&["plain", "a"], &[]),
        (&["missing"], &[]),
        (&[], &[]),
    ] {
        let path: Vec<Box<str>> = path.iter().map(|name| (*name).into()).collect();
        let mut values = Vec::new();
        found.each_claim(&path, &mut |it| values.push(it.to_owned()));
        assert_eq!(values, expected, "{path:?}");
    }
    for (claims, expected) in [
        (json!({"iss": ISSUER}), None),
        (json!({"iss": ISSUER, "sub": ""}), None),
        (json!({"iss": ISSUER, "sub": "a/b"}), Some("https://issuer.example/a/b")),
    ] {
        let request = Asked::bearer(&signer.token(&claims));
        let found = judge(&own, &request).unwrap().unwrap();
        assert_eq!(found.principal(), expected, "{claims}");
    }
}
