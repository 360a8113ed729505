//! `meltemi analyze`: what is said of all configuration together.

use serde_json::Value;

use crate::mesh::{Mesh, service};

const ROUTE: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: [hello]
  http: [{route: [{destination: {host: hello, subset: v2}}]}]
";

const RULE: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello}
spec:
  host: hello
  subsets: [{name: v2, labels: {version: v2}}]
";

const WORKLOAD: &str = "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: hello-2}
spec: {address: 127.0.0.1, labels: {app: hello, version: v2}}
";

async fn findings(mesh: &Mesh, line: &str) -> (Option<i32>, Vec<String>) {
    let run = mesh.run(line).await;
    let report: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:#?}"));
    let said = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("severity"), text("code"), text("path"))
    };
    (run.code, report["findings"].as_array().unwrap().iter().map(said).collect())
}

#[tokio::test]
async fn what_is_missing_is_told_until_it_is_there() {
    let mesh = Mesh::start().await;
    mesh.run_with("apply -f -", &(service("hello", 80) + ROUTE)).await;
    let subset = "error ReferencedResourceNotFound spec.http[0].route[0].destination.subset";
    let json = "analyze --output json";
    assert_eq!(findings(&mesh, json).await, (Some(1), vec![subset.to_owned()]));
    let run = mesh.run("analyze").await;
    let told = "error: VirtualService default/hello: spec.http[0].route[0].destination.subset: \
        there is no destination rule with subset `v2` of `hello` [ReferencedResourceNotFound]\n";
    assert_eq!(run.out, told);
    assert_eq!(
        run.fails(1),
        "error: 1 error and 0 warnings in namespace default: correct what is listed above\n"
    );

    mesh.run_with("apply -f -", RULE).await;
    let without = "warning SubsetWithoutEndpoints spec.subsets[0]".to_owned();
    assert_eq!(findings(&mesh, json).await, (Some(0), vec![without]));

    mesh.run_with("apply -f -", WORKLOAD).await;
    assert_eq!(mesh.run("analyze").await.succeeds(), "nothing found in namespace default\n");
}

#[tokio::test]
async fn other_namespaces_are_looked_at_and_told_of_when_asked_for() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("hello", 80)).await;
    mesh.run_with("apply -n istio-system -f -", ROUTE.trim_start_matches("---\n")).await;
    let in_default = mesh.run("analyze").await.succeeds();
    assert_eq!(in_default, "nothing found in namespace default\n");
    for line in ["analyze -A --output json", "analyze -n istio-system --output json"] {
        let (code, found) = findings(&mesh, line).await;
        assert_eq!((code, found.len()), (Some(1), 2), "{line}: {found:?}");
    }
    assert!(mesh.run("analyze -A -n default").await.fails(2).contains("--namespace"));
}

#[tokio::test]
async fn policies_for_nobody_and_rules_for_no_bytes_are_told() {
    let mesh = Mesh::start().await;
    let database = "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: db-1}
spec: {address: 127.0.0.1, labels: {app: db}, ports: {tcp: 5432}}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
";
    let policy = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    mesh.apply(&(service("hello", 80) + WORKLOAD + database)).await;
    let json = "analyze --output json";
    assert_eq!(findings(&mesh, json).await, (Some(0), vec![]));
    for (spec, told) in [
        ("{selector: {matchLabels: {app: none}}}", Some("NoMatchingWorkloadsFound spec.selector")),
        ("{selector: {matchLabels: {app: hello}}}", None),
        (
            "{rules: [{to: [{operation: {methods: [GET]}}]}]}",
            Some("HttpFieldsOnTcpPort spec.rules[0]"),
        ),
        (
            "{action: DENY, rules: [{}, {to: [{operation: {paths: [/a]}}]}]}",
            Some("HttpFieldsOnTcpPort spec.rules[1]"),
        ),
        ("{rules: [{to: [{operation: {methods: [GET], ports: ['80']}}]}]}", None),
        ("{rules: [{from: [{source: {namespaces: [a]}}]}]}", None),
        (
            "{selector: {matchLabels: {app: hello}}, rules: [{to: [{operation: {methods: [GET]}}]}]}",
            None,
        ),
    ] {
        mesh.apply(&policy("one", spec)).await;
        let expected: Vec<String> = told.iter().map(|it| format!("warning {it}")).collect();
        assert_eq!(findings(&mesh, json).await, (Some(0), expected), "{spec}");
    }
}
