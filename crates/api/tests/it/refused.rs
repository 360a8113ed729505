//! Wrong input is refused, each problem with its place.

mod kubernetes;
mod networking;
mod policies;
mod routes;
mod text;

use meltemi_api::parse::{Options, Source, parse};
use meltemi_api::{Finding, Resource};
use proptest::prelude::*;
use serde_json::json;

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

/// What is said of a text, a line each.
fn said(text: &str) -> Vec<String> {
    match parse(&[source("x", text)], &Options::default()) {
        Ok(accepted) => accepted.warnings.iter().map(Finding::to_string).collect(),
        Err(findings) => findings.iter().map(Finding::to_string).collect(),
    }
}

/// An object with this spec.
fn object(api: &str, kind: &str, spec: &str) -> String {
    format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n")
}

#[test]
fn every_problem_of_every_document_is_told_with_its_place() {
    let text = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - rout:
    - destination:
        host: reviews
  - route:
    - destination: {host: bad_host!, port: {number: 70000}}
      weigth: 5
    timeout: soon
---
apiVersion: networking.istio.io/v1
kind: DestinationRul
metadata: {name: x}
---
apiVersion: v1
kind: Service
metadata: {name: Hello, labels: {a b: c}}
spec:
  type: clusterip
  ports:
  - port: \"80\"
  - {name: http, port: 81}
  - {name: http, port: 82}
";
    assert_eq!(
        said(text),
        [
            "x:9:5: VirtualService default/reviews: spec.http[0].rout: unknown field; did you mean `route`?",
            "x:13:27: VirtualService default/reviews: spec.http[1].route[0].destination.host: `bad_host!` is not a host name: labels of letters, digits, `-` and `_` (at most 63 each, 253 in all) parted by dots, an optional leading `*.`",
            "x:13:53: VirtualService default/reviews: spec.http[1].route[0].destination.port.number: 70000 is not a port (1 to 65535)",
            "x:14:7: VirtualService default/reviews: spec.http[1].route[0].weigth: unknown field; did you mean `weight`?",
            "x:15:14: VirtualService default/reviews: spec.http[1].timeout: `soon` is not a duration: write it as `1.5s`, `200ms` or `1h30m`",
            "x:18:7: DestinationRul x: kind: unknown kind `DestinationRul` of `networking.istio.io/v1`; did you mean `DestinationRule`?",
            "x:23:18: Service default/Hello: metadata.name: `Hello` is not the name of a host's part: at most 63 lower-case letters, digits and `-`, no `-` at either end",
            "x:23:34: Service default/Hello: metadata.labels[a b]: `a b` is not a name for a label or annotation: `[DOMAIN/]NAME`, the name at most 63 letters, digits, `-`, `_` and `.`",
            "x:25:9: Service default/Hello: spec.type: `clusterip` is none of `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`; did you mean `ClusterIP`?",
            "x:27:11: Service default/Hello: spec.ports[0].port: must be a whole number, not the text \"80\"; write it without quotes: 80",
        ]
    );
}

#[test]
fn objects_that_are_none_are_told() {
    for (text, expected) in [
        (
            "a: 1",
            vec![
                "x:1:1: apiVersion: missing; it says what the object is",
                "x:1:1: kind: missing; it says what the object is",
            ],
        ),
        (
            "just text",
            vec!["x:1:1: not an object; a resource has `apiVersion`, `kind` and `metadata`"],
        ),
        (
            "apiVersion: 1\nkind: [a]",
            vec!["x:1:13: apiVersion: must be text", "x:2:7: kind: must be text"],
        ),
        (
            "apiVersion: networking.istio.io/v9\nkind: Sidecar",
            vec![
                "x:1:13: Sidecar: apiVersion: unknown version `v9` of Sidecar; known: networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3",
            ],
        ),
        (
            "apiVersion: v1\nkind: Gateway",
            vec![
                "x:1:13: Gateway: apiVersion: there is no Gateway in `v1`; did you mean `networking.istio.io/v1` or `gateway.networking.k8s.io/v1`?",
            ],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment",
            vec![
                "x:2:7: Deployment: kind: unknown kind `Deployment` of `apps/v1`; `meltemi api-resources` lists the kinds",
            ],
        ),
        (
            "apiVersion: v1\nkind: Service",
            vec!["x:1:1: Service: metadata: missing; it is required"],
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {}",
            vec!["x:1:1: DestinationRule: spec: missing; it is required"],
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn an_object_that_stands_twice_is_refused_with_both_places() {
    let object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let again = "---\n".to_owned() + object;
    let sources = [source("a.yaml", object), source("b.yaml", &again)];
    let findings = parse(&sources, &Options::default()).unwrap_err();
    assert_eq!(
        findings.iter().map(Finding::to_string).collect::<Vec<_>>(),
        ["b.yaml:2:1: Namespace shop: stands in a.yaml:1 already; one of the two must go"]
    );
    let elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: b}\n";
    assert_eq!(said(elsewhere), Vec::<String>::new());
}

#[test]
fn a_value_is_refused_without_places() {
    let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}});
    let findings = Resource::from_value(value).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "Service a: spec.ports[0].port: 70000 is not a port (1 to 65535)"
    );
    assert_eq!(findings[0].reason(), "70000 is not a port (1 to 65535)");
    assert_eq!((findings[0].line, findings[0].path.as_str()), (0, "spec.ports[0].port"));
}

#[test]
fn very_many_problems_are_told_shortly_and_soon() {
    let mut value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    for number in 0..5_000 {
        value[format!("unknown{number}")] = json!(1);
    }
    let text = value.to_string();
    let findings = Resource::from_value(value).unwrap_err();
    assert_eq!(findings.len(), 1001);
    assert_eq!(findings[1000].to_string(), "ConfigMap a: 4000 more problems");
    assert!(findings[1000].is_error());
    assert_eq!(said(&text).len(), 1001);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), "[-\\[\\]{}:&*!|>'\"%@#? \n\ta1]{0,60}"]) {
        let _ = parse(&[source("x", &text)], &Options::default());
    }

    #[test]
    fn no_change_of_a_rule_makes_the_checks_panic(at in 0..1000_usize, with in "[-\\[\\]{}:&*!|>'\", \n\ta1]{0,3}") {
        let mut text = include_str!("corpus/bookinfo/virtual-services.yaml").to_owned();
        let at = at * text.len() / 1000;
        if text.is_char_boundary(at) {
            text.replace_range(at..(at + 1).min(text.len()), &with);
        }
        if let Err(findings) = parse(&[source("x", &text)], &Options::default()) {
            prop_assert!(findings.iter().any(Finding::is_error));
        }
    }
}
