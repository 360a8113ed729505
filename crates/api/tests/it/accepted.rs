//! Realistic input of every kind is taken without a word.

use std::collections::BTreeSet;
use std::path::Path;

use meltemi_api::parse::{Accepted, Options, Source, parse};
use meltemi_api::{Finding, Kind, Resource, files, yaml};
use serde_json::{Value, json};

fn corpus() -> Vec<Source> {
    files::read(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus")]).unwrap()
}

fn told(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn accept(sources: &[Source]) -> Accepted {
    parse(sources, &Options::default()).unwrap_or_else(|findings| panic!("{}", told(&findings)))
}

#[test]
fn every_kind_is_taken() {
    let accepted = accept(&corpus());
    assert_eq!(told(&accepted.warnings), "");
    let kinds: BTreeSet<_> = accepted.objects.iter().map(|object| object.kind()).collect();
    let missing: Vec<_> = Kind::all().iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "the corpus lacks {missing:?}");
}

#[test]
fn what_was_taken_is_taken_again() {
    for object in accept(&corpus()).objects {
        let value = Resource::from_value(object.value.clone());
        assert_eq!(value.as_ref(), Ok(&object.resource));
        let text = yaml::write(&object.value);
        let again = accept(&[Source { file: "-".to_owned(), text: text.clone() }]);
        assert_eq!(again.objects[0].value, object.value, "{text}");
        let json = Source { file: "-".to_owned(), text: object.value.to_string() };
        assert_eq!(accept(&[json]).objects[0].value, object.value);
    }
}

#[test]
fn defaults_keep_objects_right() {
    for object in accept(&corpus()).objects {
        let mut value = object.value.clone();
        meltemi_api::defaults::fill(object.kind(), &mut value);
        let read = Resource::from_value(value.clone());
        assert!(read.is_ok(), "{value}: {}", told(&read.unwrap_err()));
    }
}

#[test]
fn objects_have_their_namespace_and_version() {
    let text = "\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";
    let source = Source { file: "x".to_owned(), text: text.to_owned() };
    let options = Options { namespace: "shop".to_owned() };
    let objects = parse(&[source], &options).unwrap().objects;
    let (route, namespace) = (&objects[0], &objects[1]);
    assert_eq!((route.namespace(), route.name(), route.line), (Some("shop"), "a", 1));
    assert_eq!(route.value["apiVersion"], "networking.istio.io/v1");
    assert_eq!(route.value["metadata"], json!({"name": "a", "namespace": "shop"}));
    assert_eq!((namespace.namespace(), namespace.line), (None, 6));
    assert_eq!(namespace.value["metadata"], json!({"name": "shop"}));
}

#[test]
fn lists_aliases_merges_and_empty_documents_are_read() {
    let text = "\
---
# nothing here
---
apiVersion: v1
kind: List
items:
- &one
  apiVersion: v1
  kind: ConfigMap
  metadata: &meta {name: a, labels: {app: x}, creationTimestamp: null}
  data: &data {k: v}
- <<: *one
  metadata: {<<: *meta, name: b}
  data: {<<: [*data, {z: \"1\"}], k: w}
---
{\"apiVersion\": \"v1\", \"kind\": \"ConfigMapList\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"c\"}}]}
---
apiVersion: v1
kind: ServiceList
items:
...
";
    let accepted = accept(&[Source { file: "x".to_owned(), text: text.to_owned() }]);
    let values: Vec<&Value> = accepted.objects.iter().map(|object| &object.value).collect();
    assert_eq!(values.len(), 3);
    assert_eq!(
        values[1]["metadata"],
        json!({"name": "b", "labels": {"app": "x"}, "creationTimestamp": null, "namespace": "default"})
    );
    assert_eq!(values[1]["data"], json!({"k": "w", "z": "1"}));
    assert_eq!(values[2]["metadata"]["name"], "c");
}

#[test]
fn json_with_its_own_escapes_is_read() {
    let text = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"face": "\ud83d\ude00\/"}}
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}"#;
    let accepted = accept(&[Source { file: "x.json".to_owned(), text: text.to_owned() }]);
    assert_eq!(accepted.objects[0].value["data"]["face"], "\u{1f600}/");
    assert_eq!(accepted.objects.len(), 2);
}

#[test]
fn what_registrations_write_is_right() {
    for value in [
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
            "metadata": {"name": "hello-1", "namespace": "default", "uid": "x", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1,
                "labels": {"app": "hello", "security.istio.io/tlsMode": "istio"},
                "annotations": {"meltemi.io/inbound-port": "4001", "meltemi.io/registered-by": "proxy"}},
            "spec": {"address": "127.0.0.1", "ports": {"main": 8001, "port-9090": 9090}, "serviceAccount": "",
                "labels": {"app": "hello", "security.istio.io/tlsMode": "istio"}, "weight": 1, "locality": "eu/a"},
            "status": {"conditions": [{"type": "Healthy", "status": "False", "lastTransitionTime": "now", "message": "starting"}]},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "hello", "namespace": "default", "labels": {"meltemi.io/managed-by": "registration", "app": "hello"}},
            "spec": {"ports": [{"name": "main", "port": 80, "targetPort": "main"}, {"name": "main-8001", "port": 8001, "targetPort": "main"}],
                "selector": {"app": "hello"}},
        }),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello", "namespace": "default"}, "spec": {"ports": [], "selector": {"app": "hello"}}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}}),
    ] {
        let read = Resource::from_value(value.clone());
        assert!(read.is_ok(), "{value}: {}", told(&read.unwrap_err()));
    }
}
