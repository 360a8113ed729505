//! Who sees which rule, and what is merged.

use std::collections::BTreeMap;

use super::*;
use crate::destination::rule::RetryBudget;

/// A rule whose traffic policy and subset tell by their number that it is this one.
fn rule(namespace: &str, name: &str, host: &str, number: u32) -> DestinationRule {
    let labels = BTreeMap::from([("rule".to_owned(), name.to_owned())]);
    let budget = RetryBudget { percent: 20.0, min_retry_concurrency: number };
    DestinationRule {
        name: name.into(),
        namespace: namespace.into(),
        created: format!("2026-01-01T00:00:{number:02}Z"),
        host: host.into(),
        traffic_policy: Some(TrafficPolicy { retry_budget: Some(budget), ..Default::default() }),
        subsets: vec![Subset { name: format!("v{number}"), labels, traffic_policy: None }],
        ..Default::default()
    }
}

fn exported(mut rule: DestinationRule, to: &[&str]) -> DestinationRule {
    rule.export_to = to.iter().map(|to| (*to).to_owned()).collect();
    rule
}

fn selecting(mut rule: DestinationRule, app: &str) -> DestinationRule {
    rule.workload_selector = Some(BTreeMap::from([("app".into(), app.into())]));
    rule
}

fn choice(rules: &[DestinationRule], namespace: &str, app: &str) -> Vec<String> {
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    let caller = Caller { namespace, labels: &labels, root_namespace: "istio-system" };
    choose(rules, &caller, "shop").from
}

const HOST: &str = "cart.shop.svc.cluster.local";

#[test]
fn namespaces_come_in_istios_order() {
    let rules = [
        rule("istio-system", "root", "*", 1),
        rule("shop", "service", HOST, 2),
        rule("web", "own", "*.shop.svc.cluster.local", 3),
    ];
    // The caller's own wildcard goes before the service's exact host.
    assert_eq!(choice(&rules, "web", "a"), ["web/own"]);
    assert_eq!(choice(&rules, "other", "a"), ["shop/service"]);
    assert_eq!(choice(&rules, "shop", "a"), ["shop/service"]);
    // The root namespace's own proxies (gateways) see the service's rule first.
    assert_eq!(choice(&rules, "istio-system", "a"), ["shop/service"]);
    assert_eq!(choice(&rules[..1], "other", "a"), ["istio-system/root"]);
    assert_eq!(choice(&[], "other", "a"), [""; 0]);
    // ... unless it is for the root namespace alone.
    let private = [exported(rule("istio-system", "root", "*", 1), &["."]), rules[1].clone()];
    assert_eq!(choice(&private, "istio-system", "a"), ["istio-system/root"]);
    assert_eq!(choice(&private, "web", "a"), ["shop/service"]);
}

#[test]
fn the_most_specific_host_decides() {
    let rules = [
        rule("shop", "all", "*", 1),
        rule("shop", "domain", "*.svc.cluster.local", 2),
        rule("shop", "namespace", "*.shop.svc.cluster.local", 3),
        rule("shop", "host", HOST, 4),
    ];
    for count in 1..=rules.len() {
        let names = ["shop/all", "shop/domain", "shop/namespace", "shop/host"];
        assert_eq!(choice(&rules[..count], "web", "a"), [names[count - 1]]);
    }
}

#[test]
fn who_may_see_a_rule_is_said_by_export_to() {
    let seen = |to: &[&str], namespace: &str| {
        !choice(&[exported(rule("shop", "r", HOST, 1), to)], namespace, "a").is_empty()
    };
    for (to, shop, web, other) in [
        (&[] as &[&str], true, true, true),
        (&["*"], true, true, true),
        (&["."], true, false, false),
        (&["web"], false, true, false),
        (&[".", "web"], true, true, false),
        (&["~"], false, false, false),
    ] {
        let got = (seen(to, "shop"), seen(to, "web"), seen(to, "other"));
        assert_eq!(got, (shop, web, other), "exportTo {to:?}");
    }
}

#[test]
fn a_rule_that_is_not_seen_hides_none() {
    let hidden = exported(rule("shop", "exact", HOST, 1), &["."]);
    let rules = [hidden, rule("shop", "wide", "*.shop.svc.cluster.local", 2)];
    assert_eq!(choice(&rules, "web", "a"), ["shop/wide"]);
    assert_eq!(choice(&rules, "shop", "a"), ["shop/exact"]);
}

#[test]
fn a_selector_goes_first_and_stays_in_its_namespace() {
    let rules = [
        rule("web", "all", HOST, 1),
        selecting(rule("web", "some", HOST, 2), "a"),
        selecting(rule("web", "newer", HOST, 3), "a"),
        selecting(rule("shop", "theirs", HOST, 4), "a"),
    ];
    assert_eq!(choice(&rules, "web", "a"), ["web/some", "web/newer"]);
    assert_eq!(choice(&rules, "web", "b"), ["web/all"]);
    assert_eq!(choice(&rules[3..], "web", "a"), [""; 0]);
}

#[test]
fn rules_of_one_host_are_merged_the_oldest_first() {
    let mut first = rule("shop", "first", HOST, 1);
    first.traffic_policy = None;
    let second = rule("shop", "second", HOST, 2);
    let mut third = rule("shop", "third", HOST, 3);
    third.subsets.push(Subset { name: "v1".into(), ..Default::default() });
    let labels = BTreeMap::new();
    let caller = Caller { namespace: "web", labels: &labels, root_namespace: "istio-system" };
    // Whatever order they are listed in.
    let chosen = choose(&[third, first, second], &caller, "shop");
    assert_eq!(chosen.from, ["shop/first", "shop/second", "shop/third"]);
    let names: Vec<&str> = chosen.subsets.iter().map(|subset| &*subset.name).collect();
    assert_eq!(names, ["v1", "v2", "v3"]);
    let labels = &chosen.subset("v1").unwrap().labels;
    assert_eq!(labels.get("rule").map(String::as_str), Some("first"));
    let budget = chosen.policy(80, None).retry_budget.unwrap();
    assert_eq!(budget.min_retry_concurrency, 2);
}

#[test]
fn rules_of_different_exports_stand_alone_and_the_newest_decides() {
    let rules = [
        rule("shop", "for-all", HOST, 1),
        exported(rule("shop", "for-web", HOST, 2), &["web"]),
        exported(rule("shop", "for-all-too", HOST, 3), &["*"]),
    ];
    assert_eq!(choice(&rules, "web", "a"), ["shop/for-all", "shop/for-all-too"]);
    assert_eq!(choice(&rules[..2], "web", "a"), ["shop/for-web"]);
    assert_eq!(choice(&rules[..2], "other", "a"), ["shop/for-all"]);
}
