//! Which workloads get which secrets.

use serde_json::{Value, json};

use super::*;
use crate::read;

fn put(kind: ObjectKind, namespace: &str, name: &str, mut resource: Value) -> Change {
    resource["metadata"] = json!({"name": name, "namespace": namespace});
    read::change(Object::new(kind, namespace, name), &resource, &settings())
}

fn secret(namespace: &str, name: &str, data: Value) -> Change {
    put(ObjectKind::Secret, namespace, name, json!({"stringData": data}))
}

fn rule(namespace: &str, name: &str, selector: Value) -> Change {
    let spec = json!({"host": "partner.example.com", "workloadSelector": selector,
        "trafficPolicy": {"tls": {"mode": "MUTUAL", "credentialName": "partner"}}});
    let kind =
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "spec": spec});
    put(ObjectKind::DestinationRule, namespace, name, kind)
}

/// What each workload has: secret, certificate and authorities.
fn held(snapshot: &Snapshot) -> Vec<String> {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
    let mut held = Vec::new();
    for (namespace, name) in [("n", "a"), ("n", "b"), ("m", "a")] {
        let workload = snapshot.workload(namespace, name).unwrap();
        held.extend(workload.credentials.iter().map(|(secret, it)| {
            let (certificate, authorities) = (text(&it.certificate), text(&it.ca_certificates));
            format!("{namespace}/{name}: {secret} {certificate} {authorities}")
        }));
    }
    held
}

#[test]
fn a_workload_gets_the_secrets_of_the_rules_that_choose_it() {
    let mut model = model();
    let workloads = [("n", "a", "a"), ("n", "b", "b"), ("m", "a", "a")];
    model.apply(1, workloads.map(|(namespace, name, app)| workload(namespace, name, app, 80)));
    let remove = |kind, name| Change::Remove(Object::new(kind, "n", name));
    let whole = json!({"tls.crt": "crt", "tls.key": "key", "ca.crt": "ca"});
    let steps: [(Change, &[&str], &[&str]); 12] = [
        (secret("n", "partner", whole.clone()), &[], &[]),
        (rule("n", "r", json!({"matchLabels": {"app": "a"}})), &["n/a: partner crt ca"], &["n/a"]),
        (secret("m", "partner", whole.clone()), &["n/a: partner crt ca"], &[]),
        (secret("n", "other", whole.clone()), &["n/a: partner crt ca"], &[]),
        (
            secret("n", "partner", json!({"cert": "new", "key": "key"})),
            &["n/a: partner new -"],
            &["n/a"],
        ),
        (
            secret("n", "partner-cacert", json!({"cacert": "apart"})),
            &["n/a: partner new apart"],
            &["n/a"],
        ),
        (
            rule("n", "r", json!({"matchLabels": {"app": "b"}})),
            &["n/b: partner new apart"],
            &["n/a", "n/b"],
        ),
        (
            rule("m", "r", json!({"matchLabels": {"app": "a"}})),
            &["n/b: partner new apart", "m/a: partner crt ca"],
            &["m/a"],
        ),
        // For gateways alone.
        (rule("m", "r", Value::Null), &["n/b: partner new apart"], &["m/a"]),
        // As Kubernetes has it: nothing of it is for TLS any more.
        (secret("n", "partner", json!({"password": "hush"})), &["n/b: partner - apart"], &["n/b"]),
        (remove(ObjectKind::Secret, "partner-cacert"), &[], &["n/b"]),
        (remove(ObjectKind::DestinationRule, "r"), &[], &[]),
    ];
    for (version, (change, expected, affected)) in (2..).zip(steps) {
        let (snapshot, touched) = model.apply(version, [change]);
        assert_eq!(held(&snapshot), expected, "step {version}");
        let touched: Vec<_> = touched
            .workloads
            .iter()
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect();
        assert_eq!(touched, affected, "step {version}");
    }
    let secrets = model.objects().into_iter().filter(|it| it.kind == ObjectKind::Secret);
    assert_eq!(
        secrets.map(|it| it.to_string()).collect::<Vec<_>>(),
        ["Secret m/partner", "Secret n/other"]
    );
}

/// A role of the namespace `n` that reads secrets, and the account that has it.
fn reader(account: &str) -> [Change; 2] {
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": "n"}]);
    let binding = json!({"roleRef": {"kind": "Role", "name": "reader"}, "subjects": subjects});
    [
        put(ObjectKind::Role, "n", "reader", json!({"rules": rules})),
        put(ObjectKind::RoleBinding, "n", "readers", binding),
    ]
}

#[test]
fn secrets_that_roles_keep_for_an_account_go_to_no_other() {
    let mut model = model();
    let workloads = [("n", "a", "a"), ("n", "b", "b"), ("m", "a", "a")];
    model.apply(1, workloads.map(|(namespace, name, app)| workload(namespace, name, app, 80)));
    let everybody = json!({"matchLabels": {}});
    let text = json!({"cert": "crt", "key": "key"});
    model.apply(2, [secret("n", "partner", text), rule("n", "r", everybody)]);
    let account = model.current.workload("n", "a").unwrap().service_account.clone().unwrap();
    let remove = |kind, name| Change::Remove(Object::new(kind, "n", name));
    let both: &[&str] = &["n/a: partner crt -", "n/b: partner crt -"];
    // Each workload is of an account of its own.
    let [role, own] = reader(&account);
    let [_, other] = reader("somebody");
    let steps = [
        (role, both),
        (other, &[][..]),
        (own, &both[..1]),
        (remove(ObjectKind::Role, "reader"), both),
    ];
    for (version, (change, expected)) in (3..).zip(steps) {
        let (snapshot, _) = model.apply(version, [change]);
        assert_eq!(held(&snapshot), expected, "step {version}");
    }
    let [role, _] = reader("");
    let (snapshot, _) = model.apply(9, [role, remove(ObjectKind::RoleBinding, "readers")]);
    assert_eq!(held(&snapshot), both);
    let known = model.objects().into_iter().map(|it| it.to_string());
    assert!(known.into_iter().any(|it| it == "Role n/reader"));
}
