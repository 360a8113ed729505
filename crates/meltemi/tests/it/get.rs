//! `meltemi get`: rows, lists, names, and what is not there.

use serde_json::Value;

use crate::mesh::{Mesh, Run, route, service};

/// The words of a table, a row a line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

const GATEWAYS: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*']
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners:
  - {name: http, port: 80, protocol: HTTP}
---
";

#[tokio::test]
async fn rows_are_those_of_kubectl() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("hello", 80) + &service("a-longer-name", 8080))).await;
    let table = mesh.run("get services").await.succeeds();
    let rows = words(&table);
    assert_eq!(rows[0], ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
    assert_eq!(rows[1][..5], ["a-longer-name", "ClusterIP", "None", "<none>", "8080/TCP"]);
    assert_eq!(rows[2][..5], ["hello", "ClusterIP", "None", "<none>", "80/TCP"]);
    let column = |line: &str| line.find("ClusterIP");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(column(lines[1]), column(lines[2]));

    let wide = mesh.run("get svc hello -o wide --no-headers").await.succeeds();
    assert!(words(&wide)[0].contains(&"app=hello"), "{wide}");
    let labels = mesh.run("get svc hello --show-labels").await.succeeds();
    assert_eq!(words(&labels)[0].last(), Some(&"LABELS"));
    let all = mesh.run("get ns,svc -A").await.succeeds();
    assert!(all.contains("namespace/default") && all.contains("service/hello"), "{all}");
}

#[tokio::test]
async fn namespaces_and_selectors_choose() {
    let mesh = Mesh::start().await;
    mesh.apply(
        &(service("here", 80)
            + &service("there", 80).replace("metadata:", "metadata:\n  namespace: istio-system")),
    )
    .await;
    assert_eq!(mesh.run("get svc -o name").await.succeeds(), "service/here\n");
    assert_eq!(mesh.run("get svc -n istio-system -o name").await.succeeds(), "service/there\n");
    let all = mesh.run("get svc -A").await.succeeds();
    assert_eq!(words(&all)[0][0], "NAMESPACE");
    assert_eq!(words(&all)[2][..2], ["istio-system", "there"]);
    let named =
        mesh.run("get svc -A --field-selector metadata.name=there -o name").await.succeeds();
    assert_eq!(named, "service/there\n");

    mesh.apply(
        &service("marked", 80).replace("  name: marked", "  name: marked\n  labels: {team: a}"),
    )
    .await;
    assert_eq!(mesh.run("get svc -l team=a -o name").await.succeeds(), "service/marked\n");
    assert_eq!(mesh.run("get svc -l !team -o name").await.succeeds(), "service/here\n");
    let error = mesh.run("get svc -l =x").await.fails(1);
    assert!(error.contains("BadRequest"), "{error}");
}

#[tokio::test]
async fn programs_get_objects() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("a", 80) + &service("b", 80) + &route("a"))).await;
    let read = |run: Run| serde_json::from_str::<Value>(&run.succeeds()).unwrap();
    let one = read(mesh.run("get svc a -o json").await);
    assert_eq!((&one["kind"], &one["metadata"]["name"]), (&"Service".into(), &"a".into()));
    let list = read(mesh.run("get svc,vs -o json").await);
    assert_eq!(list["kind"], "List");
    let kinds: Vec<_> = list["items"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["Service", "Service", "VirtualService"]);
    let pairs = mesh.run("get svc/b vs/a -o name").await.succeeds();
    assert_eq!(pairs, "service/b\nvirtualservice.networking.istio.io/a\n");
    let yaml = mesh.run("get vs a -o yaml").await.succeeds();
    assert!(
        yaml.starts_with("apiVersion: networking.istio.io/v1\nkind: VirtualService\n"),
        "{yaml}"
    );
    let empty = read(mesh.run("get dr -o json").await);
    assert_eq!(empty["items"], serde_json::json!([]));
    let notes = mesh.run("get svc a -o yaml --show-managed-fields").await.succeeds();
    assert!(notes.contains("meltemi.io/applied"), "{notes}");
}

#[tokio::test]
async fn what_is_not_there_is_said_on_standard_error() {
    let mesh = Mesh::start().await;
    for (line, expected) in [
        ("get svc", "No resources found in default namespace.\n"),
        ("get svc -n istio-system", "No resources found in istio-system namespace.\n"),
        ("get svc,vs -A", "No resources found.\n"),
        ("get all", "No resources found in default namespace.\n"),
        ("get gatewayclasses", "No resources found.\n"),
    ] {
        let run = mesh.run(line).await;
        assert_eq!(
            (run.code, run.out.as_str(), run.err.as_str()),
            (Some(0), "", expected),
            "{line}"
        );
    }
    mesh.apply(&service("a", 80)).await;
    let run = mesh.run("get svc a b").await;
    assert!(run.out.contains("\na "), "{run:#?}");
    assert!(run.fails(1).contains("services \"b\" not found"));
    assert_eq!(mesh.run("get svc b --ignore-not-found").await.succeeds(), "");
}

#[tokio::test]
async fn several_kinds_are_told_apart() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("a", 80) + &route("a") + GATEWAYS)).await;
    let all = mesh.run("get all").await.succeeds();
    let blocks: Vec<_> = all.split("\n\n").collect();
    assert_eq!(blocks.len(), 4, "{all}");
    assert!(blocks[0].contains("\nservice/a "), "{all}");
    assert!(blocks[1].contains("\nvirtualservice.networking.istio.io/a "), "{all}");
    assert!(blocks[3].contains("\ngateway.gateway.networking.k8s.io/edge "), "{all}");

    let run = mesh.run("get gateways -o name").await;
    assert_eq!(run.out, "gateway.networking.istio.io/edge\n");
    assert!(
        run.err.contains("for the other kind say gateways.gateway.networking.k8s.io"),
        "{run:#?}"
    );
    let other = mesh.run("get gateways.gateway.networking.k8s.io -o name").await.succeeds();
    assert_eq!(other, "gateway.gateway.networking.k8s.io/edge\n");
}

#[tokio::test]
async fn a_wrong_command_line_is_told_so() {
    let mesh = Mesh::start().await;
    for (line, code, part) in [
        ("get", 2, "KIND"),
        ("get servces", 1, "did you mean \"services\""),
        ("get bananas", 1, "use one of"),
        ("get svc/a b", 2, "KIND/NAME"),
        ("get svc a -l x=y", 2, "--selector"),
        ("get svc a -A", 2, "--all-namespaces"),
        ("get svc -A -n x", 2, "--all-namespaces"),
        ("get svc -o xml", 2, "yaml"),
        ("get svc -n ../x", 2, "--namespace"),
        ("get svc,vs --watch", 2, "--watch"),
        ("get svc --api ftp://x", 2, "http"),
        ("nonsense", 2, "nonsense"),
    ] {
        let error = mesh.run(line).await.fails(code);
        assert!(error.contains(part), "{line}: {error}");
    }
}
