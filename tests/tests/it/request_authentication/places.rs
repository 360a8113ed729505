//! Where tokens are found, and whether they go on.

use super::*;

/// Fields: RequestAuthentication spec.jwtRules[].fromHeaders[].name, spec.jwtRules[].fromHeaders[].prefix,
/// spec.jwtRules[].fromParams[], spec.jwtRules[].fromCookies[]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_found_where_the_rule_says_and_go_no_further() {
    let world = World::start(&[]).await;
    let places = "fromHeaders: [{name: X-Token}, {name: x-jwt, prefix: 'JWT '}], fromParams: [t],
        fromCookies: [session], outputClaimToHeaders: [{header: x-sub, claim: sub}]";
    world.rule(&format!("{}, {places}", world.inline())).await;
    let good = world.issuer.token(&json!({}));
    let (jwt, bearer) = (format!("JWT {good}"), format!("Bearer {good}"));
    let cookie = format!("a=b; session={good}; c=d");
    let parameter = format!("/echo?x=1&t={good}&y=2");
    for (target, headers, is_found, left) in [
        ("/echo?x=1", vec![("x-token", good.as_str())], true, ("x-token", &[][..])),
        ("/echo?x=1", vec![("x-jwt", jwt.as_str())], true, ("x-jwt", &[])),
        ("/echo?x=1", vec![("cookie", cookie.as_str())], true, ("cookie", &["a=b; c=d"])),
        (&parameter, vec![], true, ("x-token", &[])),
        // Other places are not looked at.
        (
            "/echo?x=1",
            vec![("authorization", bearer.as_str())],
            false,
            ("authorization", &[&bearer]),
        ),
        ("/echo?x=1", vec![("x-jwt", good.as_str())], false, ("x-jwt", &[&good])),
    ] {
        let response = world.get(target, &headers).await;
        assert_eq!(response.status, 200, "{target} {headers:?} {}", response.text());
        let seen = response.json();
        let subject: &[&str] = if is_found { &["alice"] } else { &[] };
        assert_eq!(values(&seen, "x-sub"), subject, "{target} {headers:?}");
        assert_eq!(values(&seen, left.0), left.1, "{target} {headers:?}");
        let expected = if target == parameter { "/echo?x=1&y=2" } else { target };
        assert_eq!(seen["target"], expected);
    }
    for headers in [("x-token", "x"), ("x-jwt", "JWT x"), ("cookie", "session=x")] {
        assert_eq!(world.get("/", &[headers]).await.status, 401, "{headers:?}");
    }
    assert_eq!(world.get("/?t=x", &[]).await.status, 401);
    // All tokens of a request must be good.
    let mixed = [("x-token", good.as_str()), ("cookie", "session=x")];
    assert_eq!(world.get("/", &mixed).await.status, 401);
}

/// Fields: RequestAuthentication spec.jwtRules[].forwardOriginalToken
#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_on_where_the_rule_says_so() {
    let world = World::start(&[]).await;
    world.rule(&format!("{}, forwardOriginalToken: true", world.inline())).await;
    let good = world.issuer.token(&json!({}));
    let seen = world.bearer("/echo", &good).await.json();
    assert_eq!(values(&seen, "authorization"), [format!("Bearer {good}")]);
    let target = format!("/echo?access_token={good}");
    assert_eq!(world.get(&target, &[]).await.json()["target"], target);

    let rule = format!("{}, forwardOriginalToken: false", world.inline());
    world.mesh.apply(&policy("hello", "default", &format!("jwtRules: [{{{rule}}}]"))).await;
    let seen = eventually("the token is kept back", async || {
        let seen = world.bearer("/echo", &good).await.json();
        let is_gone = values(&seen, "authorization").is_empty();
        if is_gone { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await;
    assert_eq!(seen["target"], "/echo");
    assert_eq!(world.get(&target, &[]).await.json()["target"], "/echo");
}
