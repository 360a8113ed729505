//! Which workloads an `AuthorizationPolicy` is for that is attached to service entries.

use serde_json::json;

use super::*;
use crate::read::change;

fn policy(namespace: &str, targets: &[(&str, &str, &str)]) -> Change {
    let targets: Vec<_> = targets
        .iter()
        .map(|(group, kind, name)| json!({"group": group, "kind": kind, "name": name}))
        .collect();
    let object = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "it", "namespace": namespace},
        "spec": {"action": "DENY", "rules": [{}], "targetRefs": targets},
    });
    let named = Object::new(ObjectKind::AuthorizationPolicy, namespace, "it");
    change(named, &object, &settings())
}

#[test]
fn a_policy_of_an_entry_is_for_its_hosts_at_those_whom_it_selects() {
    let entry = |namespace: &str, app: &str, host: &str| {
        let object = Object::new(ObjectKind::ServiceEntry, namespace, "entry");
        Change::Put(object, Record::Service(service_record(&[host], Some(app))))
    };
    let workload = |name: &str, app: &str| {
        Change::Put(workload_object("a", name), Record::Workload(workload_record(app, 80)))
    };
    let mut model = model();
    let changes = [
        workload("web-1", "web"),
        workload("db-1", "db"),
        service("a", "db"),
        entry("a", "web", "entry.example"),
        entry("b", "db", "other.example"),
    ];
    model.apply(1, changes);
    const ENTRY: (&str, &str, &str) = ("networking.istio.io", "ServiceEntry", "entry");
    let mut version = 1;
    for (targets, web, db) in [
        (&[ENTRY][..], Some(vec!["entry.example"]), None),
        (
            &[ENTRY, ("", "Service", "db")],
            Some(vec!["db.a.svc.cluster.local", "entry.example"]),
            Some(vec!["db.a.svc.cluster.local"]),
        ),
        (&[("networking.istio.io", "ServiceEntry", "none")], None, None),
        (
            &[("gateway.networking.k8s.io", "Gateway", "entry"), ENTRY],
            Some(vec!["entry.example"]),
            None,
        ),
        (&[("example.com", "ServiceEntry", "entry")], None, None),
    ] {
        version += 1;
        let (snapshot, _) = model.apply(version, [policy("a", targets)]);
        for (name, expected) in [("web-1", web), ("db-1", db)] {
            let workload = snapshot.workload("a", name).unwrap();
            let services = workload.authorization_policies.first().map(|it| it.services.clone());
            let expected = expected.map(|it| it.into_iter().map(str::to_owned).collect());
            assert_eq!(services, expected, "{name} {targets:?}");
        }
    }
    // Another host of the entry is another host of the policy.
    let (snapshot, _) =
        model.apply(version + 1, [policy("a", &[ENTRY]), entry("a", "web", "renamed.example")]);
    let workload = snapshot.workload("a", "web-1").unwrap();
    assert_eq!(workload.authorization_policies[0].services, ["renamed.example"]);
}
