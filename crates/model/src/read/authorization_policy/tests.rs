use std::collections::BTreeMap;

use super::*;
use crate::model::Change;
use crate::read::change;
use crate::record::{ObjectKind, Record};

fn read_in(trust_domain: &str, yaml: &str) -> Result<AuthorizationPolicyRecord, String> {
    let mut domains = trust_domain.split(' ').map(|it| it.parse().unwrap());
    let own = domains.next().unwrap();
    let trust_domain_aliases = domains.collect();
    let settings = Settings { trust_domain_aliases, ..Settings::new(own, "svc.cluster.local") };
    let object = Object::new(ObjectKind::AuthorizationPolicy, "shop", "it");
    let head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n";
    let value = meltemi_api::parse::value(&format!("{head}{yaml}")).unwrap();
    match change(object, &value, &settings) {
        Change::Put(_, Record::AuthorizationPolicy(record)) => Ok(record),
        Change::Refuse(_, reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn read_yaml(yaml: &str) -> AuthorizationPolicyRecord {
    read_in("cluster.local", yaml).unwrap()
}

#[test]
fn a_policy_becomes_a_rule() {
    let record = read_yaml(
        "
metadata: {name: it, namespace: shop, annotations: {istio.io/dry-run: 'true'}}
spec:
  selector: {matchLabels: {app: web}}
  action: DENY
  rules:
  - from: [{source: {namespaces: [a]}}, {source: {notIpBlocks: [10.0.0.0/8]}}]
    to: [{operation: {methods: [GET], paths: ['/x/{*}']}}]
    when: [{key: 'request.headers[x-a]', notValues: [b]}]
",
    );
    assert_eq!(record.selector, Some(BTreeMap::from([("app".into(), "web".into())])));
    assert_eq!((record.is_elsewhere, &record.flaw), (false, &None));
    let policy = &*record.policy;
    assert_eq!((policy.action, policy.dry_run), (Action::Deny, true));
    assert_eq!(policy.rules[0].from[0].namespaces, ["a"]);
    assert_eq!(policy.rules[0].from[1].not_ip_blocks, ["10.0.0.0/8"]);
    assert_eq!(policy.rules[0].to[0].paths, ["/x/{*}"]);
    assert_eq!(policy.rules[0].when[0].not_values, ["b"]);
}

#[test]
fn an_empty_spec_allows_nothing_to_all() {
    let record = read_yaml("metadata: {name: it, namespace: shop}\nspec: {}\n");
    assert_eq!((record.selector, record.policy.action), (None, Action::Allow));
    assert!(record.policy.rules.is_empty());
    let record = read_yaml("metadata: {name: it, namespace: shop}\nspec: {rules: [{}]}\n");
    assert_eq!(record.policy.rules, [Rule::default()]);
}

#[test]
fn the_trust_domain_cluster_local_stands_for_the_meshs_own() {
    let yaml = "
metadata: {name: it, namespace: shop}
spec:
  rules:
  - from: [{source: {principals: [cluster.local/ns/a/sa/b, 'cluster.local/*', other/ns/a/sa/b]}}]
    when: [{key: source.principal, values: [cluster.local/ns/a/sa/c]}]
";
    let record = read_in("prod.example.com", yaml).unwrap();
    let rule = &record.policy.rules[0];
    let expected = ["prod.example.com/ns/a/sa/b", "cluster.local/*", "other/ns/a/sa/b"];
    assert_eq!(rule.from[0].principals, expected);
    assert_eq!(rule.when[0].values, ["prod.example.com/ns/a/sa/c"]);
    let record = read_yaml(yaml);
    assert_eq!(record.policy.rules[0].from[0].principals[0], "cluster.local/ns/a/sa/b");
}

#[test]
fn a_principal_of_the_meshs_own_trust_domain_is_meant_by_each_of_its_names() {
    let all = &["new.td/ns/a/sa/b", "old.td/ns/a/sa/b", "older/ns/a/sa/b"][..];
    for (given, expected) in [
        ("new.td/ns/a/sa/b", all),
        ("cluster.local/ns/a/sa/b", all),
        ("older/ns/a/sa/b", &["new.td/ns/a/sa/b", "old.td/ns/a/sa/b", "older/ns/a/sa/b"]),
        ("*.td/ns/a/sa/b", &["*.td/ns/a/sa/b", "older/ns/a/sa/b"]),
        ("*/ns/a/sa/b", &["*/ns/a/sa/b"]),
        ("other/ns/a/sa/b", &["other/ns/a/sa/b"]),
        ("older/ns/a/*", &["older/ns/a/*"]),
        ("*", &["*"]),
    ] {
        let yaml = format!(
            "
metadata: {{name: it, namespace: shop}}
spec:
  rules:
  - from: [{{source: {{principals: ['{given}'], notPrincipals: ['{given}']}}}}]
    when: [{{key: source.principal, values: ['{given}']}}]
"
        );
        let record = read_in("new.td old.td older", &yaml).unwrap();
        let rule = &record.policy.rules[0];
        let source = &rule.from[0];
        for found in [&source.principals, &source.not_principals, &rule.when[0].values] {
            assert_eq!(found, expected, "{given}");
        }
    }
}

#[test]
fn what_has_another_effect_than_it_says_is_told() {
    for (spec, is_elsewhere, expected) in [
        ("{targetRefs: [{kind: Service, name: web}]}", false, None),
        (
            "{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]}",
            true,
            Some("attached to Gateway g has no effect"),
        ),
        (
            "{action: CUSTOM, provider: {name: opa}, rules: [{}]}",
            false,
            Some("there is no authorizer `opa`"),
        ),
        (
            "{rules: [{when: [{key: 'experimental.envoy.filters.a[b]', values: [c]}]}]}",
            false,
            Some("is not known here"),
        ),
    ] {
        let record = read_yaml(&format!("metadata: {{name: it, namespace: shop}}\nspec: {spec}\n"));
        assert_eq!(record.is_elsewhere, is_elsewhere, "{spec}");
        match expected {
            Some(text) => assert!(record.flaw.as_ref().unwrap().contains(text), "{record:?}"),
            None => assert_eq!(record.flaw, None),
        }
    }
    let record = read_yaml(
        "metadata: {name: it, namespace: shop}\nspec: {targetRefs: [{kind: Service, name: web}]}\n",
    );
    assert_eq!(record.policy.services, ["web.shop.svc.cluster.local"]);
}
