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
