//! What several policies decide together, and what empty ones mean.

use super::*;

#[test]
fn empty_parts_mean_what_istio_says() {
    let call = Call::default();
    for (action, rules, expected) in [
        // An ALLOW policy without rules allows nothing, a DENY policy without rules denies nothing.
        ("ALLOW", json!([]), false),
        ("DENY", json!([]), true),
        ("AUDIT", json!([]), true),
        ("CUSTOM", json!([]), true),
        // An empty rule matches everything.
        ("ALLOW", json!([{}]), true),
        ("DENY", json!([{}]), false),
        ("AUDIT", json!([{}]), true),
        ("CUSTOM", json!([{}]), false),
        ("ALLOW", json!([{"from": []}]), true),
        ("DENY", json!([{"to": []}]), false),
        ("DENY", json!([{"when": []}]), false),
    ] {
        assert_eq!(call.passes(&[policy(action, rules.clone())]), expected, "{action} {rules}");
    }
    assert!(call.passes(&[]));
}

#[test]
fn deny_goes_before_allow_and_custom_before_both() {
    let get = json!([{"to": [{"methods": ["GET"]}]}]);
    let all = json!([{}]);
    let call = Call::default();
    let denial = |policies: &[AuthorizationPolicy]| call.judge(policies, true).denial;
    let first = RuleId { policy: 0, rule: 0 };
    let second = RuleId { policy: 1, rule: 0 };
    assert_eq!(
        denial(&[policy("ALLOW", all.clone()), policy("DENY", get.clone())]),
        Some(Denial::Rule(second))
    );
    assert_eq!(
        denial(&[policy("CUSTOM", get.clone()), policy("DENY", get.clone())]),
        Some(Denial::Custom(first))
    );
    assert_eq!(
        denial(&[policy("ALLOW", json!([])), policy("ALLOW", get.clone())]),
        None,
        "one that allows is enough"
    );
    let post = json!([{"to": [{"methods": ["POST"]}]}]);
    assert_eq!(denial(&[policy("ALLOW", post.clone())]), Some(Denial::NotAllowed));
    assert_eq!(denial(&[policy("CUSTOM", post.clone()), policy("DENY", post)]), None);
}

#[test]
fn a_source_an_operation_and_all_conditions_must_match() {
    let rule = |namespace: &str, method: &str, port: &str| {
        json!([{
            "from": [{"namespaces": ["other"]}, {"namespaces": [namespace]}],
            "to": [{"methods": ["PUT"]}, {"methods": [method]}],
            "when": [{"key": "destination.port", "values": [port]}],
        }])
    };
    for (namespace, method, port, expected) in [
        ("default", "GET", "8080", true),
        ("x", "GET", "8080", false),
        ("default", "POST", "8080", false),
        ("default", "GET", "80", false),
    ] {
        let rules = rule(namespace, method, port);
        assert_eq!(Call::default().passes(&[policy("ALLOW", rules.clone())]), expected, "{rules}");
    }
}

#[test]
fn dry_runs_are_judged_and_have_no_effect() {
    let dry =
        |action: &str, rules: Value| AuthorizationPolicy { dry_run: true, ..policy(action, rules) };
    let call = Call::default();
    let judge = |policies: &[AuthorizationPolicy]| call.judge(policies, true);
    let denied = judge(&[dry("DENY", json!([{}]))]);
    let by_rule = Denial::Rule(RuleId { policy: 0, rule: 0 });
    assert_eq!((denied.denial, denied.dry_run), (None, Some(DryRun { denial: Some(by_rule) })));
    let allowed = judge(&[dry("ALLOW", json!([{}]))]);
    assert_eq!((allowed.denial, allowed.dry_run), (None, Some(DryRun { denial: None })));
    let not_allowed = judge(&[dry("ALLOW", json!([])), policy("ALLOW", json!([{}]))]);
    assert_eq!(not_allowed.denial, None);
    assert_eq!(not_allowed.dry_run, Some(DryRun { denial: Some(Denial::NotAllowed) }));
    let enforced = judge(&[policy("DENY", json!([{}]))]);
    assert_eq!(enforced.dry_run, None);
    // What is only noted, or asked of somebody else, has nothing to be tried.
    assert_eq!(judge(&[dry("CUSTOM", json!([{}])), dry("AUDIT", json!([{}]))]).denial, None);
}

#[test]
fn audits_are_noted_and_have_no_effect() {
    let judged = Call::default().judge(&[policy("AUDIT", json!([{}]))], true);
    assert_eq!((judged.denial, judged.audited), (None, Some(RuleId { policy: 0, rule: 0 })));
}

#[test]
fn a_refusal_names_its_rule_as_envoy_does() {
    let policies = [policy("DENY", json!([{"to": [{"methods": ["PUT"]}]}, {}]))];
    let denial = Call::default().judge(&policies, true).denial.unwrap();
    let compiled = Policies::compile(&policies).unwrap();
    assert_eq!(
        compiled.details(denial).to_string(),
        "rbac_access_denied_matched_policy[ns[default]-policy[p]-rule[1]]"
    );
    let none = compiled.details(Denial::NotAllowed).to_string();
    assert_eq!(none, "rbac_access_denied_matched_policy[none]");
    let custom = compiled.details(Denial::Custom(RuleId { policy: 0, rule: 0 })).to_string();
    assert_eq!(
        custom,
        "rbac_access_denied_matched_policy[ns[default]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action]"
    );
}

#[test]
fn policies_that_cannot_be_read_refuse_everything() {
    let closed = Policies::closed("too new");
    let connection = Connection::default();
    let settled = closed.settle(&connection);
    assert!(!closed.is_empty());
    let judged = closed.judge(&settled, &connection, None::<&NoRequest>);
    assert_eq!(judged.denial, Some(Denial::Unreadable));
    assert_eq!(closed.closed_because(), Some("too new"));
    for (field, value) in [("ports", "http"), ("paths", "/a{*}")] {
        let wrong = policy("DENY", json!([{"to": [{field: [value]}]}]));
        let error = Policies::compile([&wrong]).unwrap_err();
        assert_eq!((error.field, error.value.as_str()), (field, value));
    }
    let block = policy("DENY", json!([{"from": [{"ipBlocks": ["10.0.0.0/33"]}]}]));
    assert!(Policies::compile([&block]).is_err());
    let unknown = json!({"name": "p", "namespace": "d", "rules": [{"from": [{"moons": ["x"]}]}]});
    assert!(serde_json::from_value::<AuthorizationPolicy>(unknown).is_err());
}
