//! CUSTOM policies: whom they have asked, and what becomes of what is allowed.

use super::*;

fn asking(provider: &str, dry_run: bool, rules: Value) -> AuthorizationPolicy {
    let value = json!({"name": provider, "namespace": "default", "action": "CUSTOM",
        "provider": provider, "dryRun": dry_run, "rules": rules});
    serde_json::from_value(value).unwrap()
}

#[test]
fn one_authorizer_is_asked_or_none() {
    for (policies, expected) in [
        (vec![], None),
        (vec![policy("DENY", json!([{}]))], None),
        (vec![asking("a", false, json!([{}]))], Some("a")),
        (vec![asking("a", false, json!([])), asking("a", false, json!([{}]))], Some("a")),
        (vec![asking("a", false, json!([{}])), asking("b", false, json!([]))], None),
        // A dry run has nobody asked.
        (vec![asking("a", false, json!([{}])), asking("b", true, json!([{}]))], Some("a")),
        (vec![asking("b", true, json!([{}]))], None),
    ] {
        let compiled = Policies::compile(&policies).unwrap();
        assert_eq!(compiled.authorizer(), expected, "{policies:?}");
        let asks: Vec<_> = policies.iter().filter_map(AuthorizationPolicy::asks).collect();
        assert_eq!(expected.is_some(), !asks.is_empty() && asks.iter().all(|it| *it == asks[0]));
    }
}

#[test]
fn what_is_allowed_is_left_to_the_others() {
    let get = json!([{"to": [{"methods": ["GET"]}]}]);
    let connection = Connection::default();
    let call = Call::default();
    for (policies, denied, once_allowed) in [
        (vec![asking("a", false, get.clone())], true, None),
        (
            vec![asking("a", false, get.clone()), policy("DENY", get.clone())],
            true,
            Some(Denial::Rule(RuleId { policy: 1, rule: 0 })),
        ),
        (
            vec![asking("a", false, get.clone()), policy("ALLOW", json!([]))],
            true,
            Some(Denial::NotAllowed),
        ),
        (vec![asking("a", false, json!([])), policy("ALLOW", get)], false, None),
    ] {
        let compiled = Policies::compile(&policies).unwrap();
        let settled = compiled.settle(&connection);
        let before = compiled.judge(&settled, &connection, Some(&call)).denial;
        assert_eq!(matches!(before, Some(Denial::Custom(_))), denied, "{policies:?}");
        let after = compiled.judge_allowed(&settled, &connection, Some(&call)).denial;
        assert_eq!(after, once_allowed, "{policies:?}");
    }
    let closed = Policies::closed("moons");
    let settled = closed.settle(&connection);
    let denial = closed.judge_allowed(&settled, &connection, Some(&call)).denial;
    assert_eq!(denial, Some(Denial::Unreadable));
}
