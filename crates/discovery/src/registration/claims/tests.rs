//! Whose labels are whose.

use bytes::Bytes;
use serde_json::json;

use super::*;

fn entry(of: &str, plural: &str, name: &str, spec: &Value) -> Entry {
    let value = Bytes::from(json!({"spec": spec}).to_string());
    Entry { key: Key::new(of, plural, Some("n"), name), value, version: 1, created: 1 }
}

fn group(name: &str, account: &str, metadata: &Value, template: &Value) -> Entry {
    let spec = json!({"metadata": {"labels": metadata},
        "template": {"serviceAccount": account, "labels": template}});
    entry("networking.istio.io", "workloadgroups", name, &spec)
}

fn claims<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Claims {
    let mut claims = Claims::default();
    entries.into_iter().for_each(|entry| claims.put(entry));
    claims
}

fn workload(account: &str, labels: &[(&str, &str)]) -> RegisteredWorkload {
    RegisteredWorkload {
        namespace: "n".into(),
        service_account: account.into(),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..RegisteredWorkload::default()
    }
}

#[test]
fn what_a_selector_chooses_is_of_the_accounts_of_the_groups_that_it_chooses() {
    let none = json!({});
    let payments =
        group("payments", "payments", &json!({"app": "payments"}), &json!({"version": "v1"}));
    let canary = group("canary", "canary", &json!({"app": "payments", "version": "v2"}), &none);
    let open = group("open", "", &json!({"app": "payments"}), &none);
    let app = entry("", "services", "all", &json!({"selector": {"app": "payments"}}));
    let v1 = json!({"app": "payments", "version": "v1"});
    let first = entry(
        "networking.istio.io",
        "serviceentries",
        "first",
        &json!({"workloadSelector": {"labels": v1}}),
    );
    let rule = json!({"workloadSelector": {"matchLabels": v1}});
    let rule = entry("networking.istio.io", "destinationrules", "rule", &rule);
    let whole: &[(&str, &str)] = &[("app", "payments"), ("version", "v1")];
    let part: &[(&str, &str)] = &[("app", "payments")];
    let elsewhere: &[(&str, &str)] = &[("app", "web")];
    type Case<'a> = (&'a [&'a Entry], &'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case<'_>; 10] = [
        (&[&payments, &canary, &app], "other", whole, Some("`canary` or `payments`")),
        // One label less than the groups have is still chosen by the service.
        (&[&payments, &canary, &app], "other", part, Some("services all")),
        (&[&payments, &canary, &app], "canary", whole, None),
        (&[&payments, &canary, &app, &first], "canary", whole, Some("serviceentries first")),
        (&[&payments, &canary, &rule], "canary", whole, Some("destinationrules rule")),
        (&[&payments, &canary, &first], "other", part, None),
        (&[&payments, &open, &app], "other", whole, None),
        (&[&payments, &app], "other", elsewhere, None),
        (&[&payments], "other", whole, None),
        (&[&app], "other", whole, None),
    ];
    for (entries, account, labels, expected) in cases {
        let all = claims(entries.iter().copied());
        let objection = all.rulings().objection(&workload(account, labels), None);
        match (objection, expected) {
            (None, None) => {}
            (Some(told), Some(part)) => assert!(told.contains(part), "{told}"),
            (told, expected) => panic!("{account} {labels:?}: {told:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_service_that_is_about_to_be_made_counts_and_what_is_gone_does_not() {
    let payments = group("payments", "payments", &json!({"app": "payments"}), &json!({}));
    let app = entry("", "services", "all", &json!({"selector": {"app": "payments"}}));
    let mut all = claims([&payments]);
    let own = RegisteredWorkload { service: "payments".into(), ..workload("other", &[]) };
    assert!(all.rulings_with("payments").objection(&own, None).is_some());
    assert!(all.rulings_with("web").objection(&own, None).is_none());
    assert!(all.rulings_with("").objection(&own, None).is_none());
    all.put(&app);
    let owner = workload("payments", &[("app", "payments")]);
    assert!(all.rulings().objection(&own, None).is_some());
    assert!(all.rulings().objection(&owner, None).is_none());
    all.remove(&app.key);
    assert!(all.rulings().objection(&own, None).is_none());
    all.put(&app);
    all.remove(&payments.key);
    assert_eq!(all.rulings(), Rulings::default());
}

#[test]
fn labels_that_the_group_of_a_workload_gives_it_count() {
    let payments = group("payments", "payments", &json!({"app": "payments"}), &json!({}));
    let app = entry("", "services", "all", &json!({"selector": {"app": "payments"}}));
    let given = group("mine", "other", &json!({"app": "payments", "x": "y"}), &json!({}));
    let given = board::read(&given).unwrap();
    let rulings = claims([&payments, &app]).rulings();
    assert!(rulings.objection(&workload("other", &[]), Some(&given)).is_some());
    let elsewhere = workload("other", &[("app", "web")]);
    assert!(rulings.objection(&elsewhere, Some(&given)).is_none());
}
