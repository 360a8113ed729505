//! Rules are found by caller and path, whatever lies beside them.

use super::*;

/// A rule for each of many callers and paths, and one that is looked for.
#[test]
fn one_of_many_rules_is_found() {
    let mut policies: Vec<AuthorizationPolicy> = (0..200)
        .map(|number| {
            let principal = format!("cluster.local/ns/n{number}/sa/a");
            let path = format!("/p{number}/*");
            policy(
                "DENY",
                json!([{"from": [{"principals": [principal]}], "to": [{"paths": [path]}]}]),
            )
        })
        .collect();
    let call = |path: &str| Call { path: path.into(), ..Call::default() };
    assert!(call("/p7/x").passes(&policies), "of another caller");
    for (rule, path) in [
        (json!({"to": [{"paths": ["/p7/x"]}]}), "/p7/x"),
        (json!({"to": [{"paths": ["/p7*"]}]}), "/p7/x"),
        (json!({"to": [{"paths": ["*/x"]}]}), "/p7/x"),
        (json!({"to": [{"paths": ["/{*}/x"]}]}), "/p7/x"),
        (json!({"to": [{"methods": ["GET"]}]}), "/p7/x"),
        (json!({"to": [{"paths": ["/none"]}, {"methods": ["GET"]}]}), "/p7/x"),
        (json!({"from": [{"namespaces": ["default"]}]}), "/p7/x"),
        (json!({"from": [{"serviceAccounts": ["sleep"]}], "to": [{"paths": ["/p7/*"]}]}), "/p7/x"),
        (json!({"from": [{"namespaces": ["x"]}, {"ipBlocks": ["10.0.0.0/8"]}]}), "/p7/x"),
        (json!({"from": [{"namespaces": ["x"]}, {"principals": ["*/sa/sleep"]}]}), "/p7/x"),
        (json!({"when": [{"key": "source.namespace", "values": ["default"]}]}), "/p7/x"),
    ] {
        policies.push(policy("DENY", json!([rule])));
        assert!(!call(path).passes(&policies), "{rule}");
        policies.pop();
    }
}

/// A rule for each of many values of each kind, and one that is looked for.
#[test]
fn one_of_many_rules_is_found_by_an_exact_value() {
    let when = |key: &str, value: &str| json!({"when": [{"key": key, "values": [value]}]});
    let mut policies: Vec<AuthorizationPolicy> = (0..200)
        .map(|number| {
            let value = format!("v{number}");
            let rules = json!([
                when("request.headers[x-team]", &value),
                when("request.auth.claims[group]", &value),
                when("request.auth.audiences", &value),
                when("request.auth.presenter", &value),
                when("request.auth.principal", &format!("iss/{value}")),
                {"to": [{"hosts": [format!("{value}.x"), format!("{value}.y")], "methods": ["GET"]}]},
                {"to": [{"ports": [(9000 + number).to_string()]}]},
            ]);
            policy("DENY", rules)
        })
        .collect();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let claims = json!({
        "iss": "iss", "principal": "iss/me", "aud": ["a", "own"], "azp": "app", "group": ["g", "h"],
    });
    let call = Call {
        host: "Shop.X:80".into(),
        headers: vec![header("X-Team", "red"), header("x-team", "blue"), header("x-one", "1")],
        token: Some(Claims(claims)),
        ..Call::default()
    };
    assert!(call.passes(&policies), "others");
    for rule in [
        when("request.headers[x-one]", "1"),
        when("request.headers[x-team]", "blue"),
        when("request.headers[x-team]", "red,blue"),
        when("request.auth.claims[group]", "h"),
        when("request.auth.audiences", "own"),
        when("request.auth.presenter", "app"),
        when("request.auth.principal", "iss/me"),
        json!({"from": [{"requestPrincipals": ["iss/me"]}]}),
        json!({"from": [{"requestPrincipals": ["none"]}, {"namespaces": ["default"]}]}),
        json!({"to": [{"hosts": ["shop.x"]}]}),
        json!({"to": [{"hosts": ["SHOP.x:80"]}]}),
        json!({"to": [{"methods": ["GET"]}]}),
        json!({"to": [{"ports": ["8080"]}]}),
        json!({"when": [{"key": "destination.port", "values": ["8080"]}]}),
        json!({"when": [{"key": "request.headers[x-team]", "notValues": ["v1"]}]}),
    ] {
        policies.push(policy("DENY", json!([rule])));
        assert!(!call.passes(&policies), "{rule}");
        policies.pop();
    }
}

#[test]
fn a_field_that_does_not_match_is_named() {
    let policies = [
        policy("ALLOW", json!([{"from": [{"namespaces": ["a"]}, {"namespaces": ["b"]}]}])),
        policy("ALLOW", json!([{"to": [{"methods": ["GET"], "paths": ["/x*"]}]}])),
        policy("DENY", json!([{"when": [{"key": "request.headers[a]", "values": ["b"]}]}])),
    ];
    let call = Call { path: "/xy".into(), ..Call::default() };
    let peer = Peer::of(&"spiffe://cluster.local/ns/default/sa/sleep".parse().unwrap());
    let connection = Connection { peer: Some(&peer), ..Connection::default() };
    let explained = explain(&policies, &connection, Some(&call)).unwrap();
    assert_eq!(explained.judgement.denial, None);
    let RuleExplanation::Fails(field) = &explained.of[0].rules[0] else { panic!("{explained:?}") };
    assert_eq!(field.path, "from[0].source.namespaces");
    assert_eq!((field.wanted.as_slice(), field.found.as_str()), (&["a".to_owned()][..], "default"));
    let RuleExplanation::Matches(fields) = &explained.of[1].rules[0] else {
        panic!("{explained:?}")
    };
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["to[0].operation.methods", "to[0].operation.paths"]);
    let RuleExplanation::Fails(field) = &explained.of[2].rules[0] else { panic!("{explained:?}") };
    assert_eq!(
        (field.path.as_str(), field.found.as_str()),
        ("when[0].values of request.headers[a]", "none")
    );
}
