//! Which authorizers travel to a workload: those that its policies have asked, and no others.

use meltemi_api::MeshConfig;
use serde_json::{Value, json};

use super::*;
use crate::read::{change, extension_providers};

const SETTINGS: &str = "
extensionProviders:
- name: one
  envoyExtAuthzGrpc: {service: one.example, port: 9000}
- name: two
  envoyExtAuthzGrpc: {service: two.example, port: 9000}
";

fn settings_of(text: &str) -> Settings {
    let config = MeshConfig::parse("-", text).unwrap();
    Settings { extension_providers: extension_providers(config), ..settings() }
}

fn policy(settings: &Settings, name: &str, app: &str, spec: Value) -> Change {
    let mut object = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "a"}, "spec": spec,
    });
    object["spec"]["selector"] = json!({"matchLabels": {"app": app}});
    if name == "dry" {
        object["metadata"]["annotations"] = json!({"istio.io/dry-run": "true"});
    }
    let named = Object::new(ObjectKind::AuthorizationPolicy, "a", name);
    change(named, &object, settings)
}

fn custom(provider: &str) -> Value {
    json!({"action": "CUSTOM", "provider": {"name": provider}, "rules": [{}]})
}

#[test]
fn an_authorizer_travels_to_those_whose_policies_name_it() {
    let settings = settings_of(SETTINGS);
    let workload = |name: &str, app: &str| {
        Change::Put(workload_object("a", name), Record::Workload(workload_record(app, 80)))
    };
    let mut model = Model::new(settings.clone());
    let changes = [
        workload("web-1", "web"),
        workload("db-1", "db"),
        workload("log-1", "log"),
        policy(&settings, "asks", "web", custom("two")),
        policy(&settings, "again", "web", custom("two")),
        policy(&settings, "dry", "web", custom("one")),
        policy(&settings, "unknown", "db", custom("three")),
        policy(&settings, "denies", "log", json!({"action": "DENY", "rules": [{}]})),
    ];
    let (snapshot, _) = model.apply(1, changes);
    for (name, expected) in [("web-1", &["two"][..]), ("db-1", &[]), ("log-1", &[])] {
        let workload = snapshot.workload("a", name).unwrap();
        let names: Vec<&str> =
            workload.extension_providers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, expected, "{name}");
    }
}

#[test]
fn who_cannot_be_asked_is_told_with_those_who_can() {
    for (text, provider, expected) in [
        (SETTINGS, "one", None),
        (SETTINGS, "three", Some("the mesh has one, two")),
        ("", "one", Some("the mesh has none (`meltemi control --mesh-config`)")),
    ] {
        let read = policy(&settings_of(text), "asks", "web", custom(provider));
        let Change::Put(_, Record::AuthorizationPolicy(record)) = read else { panic!("{read:?}") };
        match expected {
            None => assert_eq!(record.flaw, None),
            Some(part) => assert!(record.flaw.as_ref().unwrap().ends_with(part), "{record:?}"),
        }
    }
}
