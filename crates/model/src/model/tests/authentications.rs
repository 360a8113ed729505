//! Which workloads a `RequestAuthentication` is for, and what its keys change.

use crate::authentication::{FetchedKeys, JwtRuleRecord, KeySource, RequestAuthenticationRecord};

use super::*;

const KEYS: &str =
    r#"{"keys":[{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn object(namespace: &str, name: &str) -> Object {
    Object::new(ObjectKind::RequestAuthentication, namespace, name)
}

fn workload(namespace: &str, name: &str, app: &str) -> Change {
    let record =
        WorkloadRecord { labels: Arc::new(labels(&[("app", app)])), ..WorkloadRecord::default() };
    Change::Put(workload_object(namespace, name), Record::Workload(record))
}

fn policy(namespace: &str, name: &str, selector: Option<&str>, from: Option<&str>) -> Change {
    let mut rule = JwtRuleRecord { timeout: Duration::from_secs(5), ..JwtRuleRecord::default() };
    rule.rule.issuer = name.into();
    rule.rule.jwks = from.is_none().then(|| KEYS.into());
    rule.keys_from = from.map(|uri| KeySource::Uri(uri.into()));
    let record = RequestAuthenticationRecord {
        selector: selector.map(|app| labels(&[("app", app)])),
        rules: vec![rule],
        ..RequestAuthenticationRecord::default()
    };
    Change::Put(object(namespace, name), Record::RequestAuthentication(record))
}

fn keys(uri: &str, keys: FetchedKeys) -> Change {
    Change::Keys(KeySource::Uri(uri.into()), keys)
}

fn names(snapshot: &Snapshot, namespace: &str, workload: &str) -> Vec<String> {
    let workload = snapshot.workload(namespace, workload).unwrap();
    workload.request_authentications.iter().map(|it| it.name.clone()).collect()
}

fn affected(affected: &Affected) -> Vec<String> {
    affected.workloads.iter().map(|(_, name)| name.to_string()).collect()
}

#[test]
fn a_policy_is_for_its_namespace_its_selector_or_from_the_root_for_all() {
    let mut model = model();
    let mut attached = policy("a", "attached", None, None);
    if let Change::Put(_, Record::RequestAuthentication(record)) = &mut attached {
        record.is_elsewhere = true;
    }
    let (snapshot, _) = model.apply(
        1,
        [
            workload("a", "web-1", "web"),
            workload("a", "db-1", "db"),
            workload("b", "web-1", "web"),
            workload("istio-system", "web-1", "web"),
            policy("a", "all", None, None),
            policy("a", "web", Some("web"), None),
            policy("istio-system", "mesh", None, None),
            policy("istio-system", "mesh-db", Some("db"), None),
            attached,
        ],
    );
    assert_eq!(names(&snapshot, "a", "web-1"), ["mesh", "all", "web"]);
    assert_eq!(names(&snapshot, "a", "db-1"), ["mesh", "mesh-db", "all"]);
    assert_eq!(names(&snapshot, "b", "web-1"), ["mesh"]);
    assert_eq!(names(&snapshot, "istio-system", "web-1"), ["mesh"]);
    assert_eq!(snapshot.rejected().len(), 0);

    let (snapshot, changed) = model.apply(2, [policy("a", "web", Some("none"), None)]);
    assert_eq!(affected(&changed), ["web-1"]);
    assert_eq!(names(&snapshot, "a", "web-1"), ["mesh", "all"]);
    let (_, changed) = model.apply(3, [policy("a", "web", Some("none"), None)]);
    assert!(changed.is_empty());
    let (snapshot, changed) = model.apply(4, [Change::Remove(object("istio-system", "mesh"))]);
    assert_eq!(affected(&changed).len(), 4);
    assert_eq!(names(&snapshot, "b", "web-1"), [""; 0]);
    assert!(model.objects().contains(&object("a", "all")));
}

#[test]
fn keys_that_come_change_the_workloads_that_wait_for_them_alone() {
    let mut model = model();
    let (snapshot, _) = model.apply(
        1,
        [
            workload("a", "web-1", "web"),
            workload("a", "db-1", "db"),
            policy("a", "web", Some("web"), Some("https://k/1")),
            policy("b", "other", None, Some("https://k/2")),
        ],
    );
    let jwks = |snapshot: &Snapshot| {
        let workload = snapshot.workload("a", "web-1").unwrap();
        workload.request_authentications[0].jwt_rules[0].jwks.clone()
    };
    assert_eq!(jwks(&snapshot), None);
    // That they have not come yet is no fault.
    assert_eq!(snapshot.rejected().len(), 0);
    assert_eq!(model.key_sources().len(), 2);

    let failed = FetchedKeys::Failed("connection refused".into());
    let (snapshot, changed) = model.apply(1, [keys("https://k/1", failed)]);
    assert!(changed.is_empty());
    let why = &snapshot.rejected()[&object("a", "web")];
    assert_eq!(
        why,
        "spec.jwtRules[0]: every token of web is refused: its keys cannot be fetched from https://k/1: connection refused"
    );
    let set = || FetchedKeys::Set(KEYS.into());
    let (snapshot, changed) = model.apply(1, [keys("https://k/1", set())]);
    assert_eq!(affected(&changed), ["web-1"]);
    assert_eq!(jwks(&snapshot).as_deref(), Some(KEYS));
    assert_eq!(snapshot.rejected().len(), 0);
    let (_, changed) = model.apply(1, [keys("https://k/1", set()), keys("https://k/3", set())]);
    assert!(changed.is_empty());

    // A change of the policy keeps the keys; its end forgets them.
    let (snapshot, _) = model.apply(2, [policy("a", "web", None, Some("https://k/1"))]);
    assert_eq!(jwks(&snapshot).as_deref(), Some(KEYS));
    model.apply(3, [Change::Remove(object("a", "web"))]);
    assert_eq!(model.key_sources().len(), 1);
    let (snapshot, _) = model.apply(4, [policy("a", "web", None, Some("https://k/1"))]);
    assert_eq!(jwks(&snapshot), None);
}

#[test]
fn rules_that_can_have_no_keys_are_told_of() {
    let mut model = model();
    let mut none = policy("a", "none", None, None);
    let mut bad = policy("a", "bad", None, None);
    for (change, jwks) in [(&mut none, None), (&mut bad, Some(r#"{"keys":[]}"#))] {
        if let Change::Put(_, Record::RequestAuthentication(record)) = change {
            record.rules[0].rule.jwks = jwks.map(Into::into);
        }
    }
    let (snapshot, _) = model.apply(1, [none, bad]);
    let why = |name: &str| &snapshot.rejected()[&object("a", name)];
    assert!(
        why("none").ends_with("the issuer is no address that could be asked"),
        "{}",
        why("none")
    );
    assert!(why("bad").contains("its jwks: none of its keys can verify"), "{}", why("bad"));
}
