//! Where tokens are found, and what is left of a request without them.

use super::super::rule::JwtHeader;
use super::*;

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn tokens_are_found_where_the_rule_says() {
    let signer = ed25519("k");
    let good = signer.token(&claims(json!({})));
    let header = |name: &str, prefix: &str| JwtHeader { name: name.into(), prefix: prefix.into() };
    let default = rule(ISSUER, &signer);
    let named = JwtRule {
        from_headers: vec![header("X-Token", ""), header("x-jwt", "JWT:")],
        from_params: vec!["t".into()],
        from_cookies: vec!["session".into()],
        ..default.clone()
    };
    let (default, named) = (compiled(vec![default]), compiled(vec![named]));
    let get = Asked::get;
    let encoded = good.replace('.', "%2E").replacen('e', "%65", 1);
    for (own, request, is_found) in [
        (&default, get("/").with("AUTHORIZATION", &format!("Bearer {good}")), true),
        (&default, get("/").with("authorization", &format!("Bearer   {good}")), true),
        (&default, get("/").with("authorization", &format!("x, Bearer {good}")), true),
        (&default, get("/").with("authorization", &good), false),
        (&default, get(&format!("/?access_token={good}")), true),
        (&default, get(&format!("/?a=b&access_token={good}&c")), true),
        (&default, get(&format!("/?access_token={encoded}")), true),
        (&default, get(&format!("/?access%5Ftoken={good}")), true),
        (&default, get(&format!("/?Access_token={good}")), false),
        (&default, get(&format!("/x#?access_token={good}")), true),
        (&default, get(&format!("/?a#&access_token={good}")), false),
        (&named, get("/").with("x-token", &good), true),
        (&named, get("/").with("x-jwt", &format!("JWT:{good}")), true),
        (&named, get("/").with("x-jwt", &good), false),
        (&named, get(&format!("/?t={good}")), true),
        (&named, get("/").with("Cookie", &format!("a=b; session={good}; c=d")), true),
        (&named, get("/").with("cookie", &format!("session=\"{good}\"")), true),
        (&named, get("/").with("cookie", &format!("Session={good}")), false),
        // The usual places are those of rules that name none.
        (&named, Asked::bearer(&good), false),
        (&named, get(&format!("/?access_token={good}")), false),
    ] {
        let expected = if is_found { "https://issuer.example/alice" } else { "nobody" };
        assert_eq!(bearer(own, &request).as_deref(), Ok(expected), "{request:?}");
    }
}

#[test]
fn a_token_is_taken_out_of_its_place() {
    let signer = ed25519("k");
    let good = signer.token(&claims(json!({})));
    let own = compiled(vec![JwtRule {
        from_headers: vec![JwtHeader { name: "x-jwt".into(), prefix: "JWT ".into() }],
        from_params: vec!["t".into(), "u".into()],
        from_cookies: vec!["s".into()],
        ..rule(ISSUER, &signer)
    }]);
    let request = Asked::get(&format!("/?t={good}")).with("X-JWT", &format!("JWT {good}"));
    let found = judge(&own, &request).unwrap().unwrap();
    assert!(!found.forwards_token());
    assert_eq!(found.token_headers(&request).collect::<Vec<_>>(), [b"x-jwt"]);
    assert_eq!(found.token_headers(&Asked::get("/").with("x-jwt", "other")).count(), 0);
    for (target, rest) in [
        ("/?t=1", Some("/")),
        ("/a/b?t=1&x=2", Some("/a/b?x=2")),
        ("/?x=2&t=1&y=%20&u=3&t=5", Some("/?x=2&y=%20")),
        ("/?%74=1&x", Some("/?x")),
        ("/?tt=1&x=t", None),
        ("/", None),
        ("*", None),
    ] {
        assert_eq!(text(found.without_parameters(target.as_bytes())).as_deref(), rest, "{target}");
    }
    for (cookies, rest) in [
        ("s=1", Some("")),
        ("a=b; s=1; c=d", Some("a=b; c=d")),
        (" s = 1;c=d;s=2", Some("c=d")),
        ("ss=1; S=2", None),
    ] {
        assert_eq!(text(found.without_cookies(cookies.as_bytes())).as_deref(), rest, "{cookies}");
    }
}
