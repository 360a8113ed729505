//! `meltemi authz check`: the decision, and what led to it.

use serde_json::Value;

use crate::mesh::{Mesh, service};

const WORKLOADS: &str = "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: hello-1}
spec: {address: 127.0.0.1, labels: {app: hello}, serviceAccount: hello, ports: {http: 8001}}
---
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

const POLICIES: &str = "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  selector: {matchLabels: {app: hello}}
  rules:
  - from: [{source: {serviceAccounts: [reader]}}]
    to: [{operation: {methods: [GET], ports: ['8001']}}]
  - from: [{source: {requestPrincipals: ['https://issuer/*']}}]
    when: [{key: 'request.auth.claims[groups]', values: [staff]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: ['/admin*']}}]
    when: [{key: 'request.headers[x-team]', notValues: [operations]}]
";

async fn mesh() -> Mesh {
    let mesh = Mesh::start().await;
    mesh.run_with("apply -f -", &(service("hello", 80) + WORKLOADS + POLICIES)).await.succeeds();
    mesh
}

#[tokio::test]
async fn a_call_is_judged_as_the_called_sidecar_would() {
    let mesh = mesh().await;
    for (line, code, told) in [
        (
            "reader hello",
            0,
            "allowed: GET / by cluster.local/ns/default/sa/reader to default/hello-1",
        ),
        ("default/reader hello.default:80 --path /x", 0, "allowed: GET /x by"),
        ("spiffe://cluster.local/ns/default/sa/reader default/hello-1", 0, "allowed: "),
        ("reader hello --method PUT", 1, "no rule of its ALLOW policies matches"),
        (
            "other/reader hello",
            1,
            "rule 0 does not match: from[0].source.serviceAccounts [reader]: it is other/reader",
        ),
        ("- hello", 1, "from[0].source.serviceAccounts [reader]: it is none"),
        ("reader hello --path /admin", 1, "by the DENY rule ns[default]-policy[no-admin]-rule[0]"),
        // As the proxy sees it.
        ("reader hello --path /x/..//%61dmin", 1, "DENIED: GET /admin by"),
        (
            "reader hello --path /admin --header x-team:operations",
            0,
            "when[0].notValues of request.headers[x-team] [operations]: it is operations",
        ),
        ("- hello --request-principal https://issuer/a --claim groups=staff", 0, "rule 1 matches:"),
        (
            "- hello --request-principal https://issuer/a",
            1,
            "when[0].values of request.auth.claims[groups] [staff]: it is none",
        ),
        ("reader db", 1, "DENIED: a connection of bytes by"),
        ("reader db", 1, "to[0].operation.paths [/admin*]: asks for what is not there to ask"),
    ] {
        let run = mesh.run(&format!("authz check {line}")).await;
        assert_eq!(run.code, Some(code), "{line}: {run:#?}");
        assert!(run.out.contains(told), "{line}: {}", run.out);
    }
}

#[tokio::test]
async fn programs_read_the_same() {
    let mesh = mesh().await;
    let run = mesh.run("authz check reader hello --path /admin/x -o json").await;
    assert_eq!(run.code, Some(1), "{run:#?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["allowed"], &report["path"]), (&false.into(), &"/admin/x".into()));
    let workload = &report["workloads"][0];
    assert_eq!(workload["workload"], "default/hello-1");
    assert_eq!(
        workload["details"],
        "rbac_access_denied_matched_policy[ns[default]-policy[no-admin]-rule[0]]"
    );
    let rule = &workload["policies"][0]["rules"][0];
    assert_eq!(
        (&rule["matches"], &rule["fields"][0]["path"]),
        (&true.into(), &"to[0].operation.paths".into())
    );
}

#[tokio::test]
async fn what_is_not_there_or_not_clear_is_told() {
    let mesh = mesh().await;
    for (line, code, told) in [
        ("reader nobody", 1, "no workload of the mesh stands for that service"),
        ("reader default/none", 1, "there is no workload default/none"),
        ("reader hello:81", 1, "serves no such port (81)"),
        ("a/b/c hello", 2, "it is no service account"),
        ("reader hello --path /a#b", 2, "--path: the path has a fragment"),
        ("reader hello --claim a=b", 2, "--request-principal"),
    ] {
        let run = mesh.run(&format!("authz check {line}")).await;
        assert_eq!(run.code, Some(code), "{line}: {run:#?}");
        assert!(run.err.contains(told), "{line}: {}", run.err);
    }
}

#[tokio::test]
async fn the_called_address_is_the_workloads_own() {
    let mesh = Mesh::start().await;
    for (block, code) in [("127.0.0.0/8", 0), ("10.0.0.0/8", 1)] {
        let policy = format!(
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: here}}\n\
             spec: {{rules: [{{when: [{{key: destination.ip, values: [{block}]}}]}}]}}\n"
        );
        mesh.run_with("apply -f -", &(service("hello", 80) + WORKLOADS + &policy)).await.succeeds();
        let told = mesh.run("authz check reader hello").await;
        assert_eq!(told.code, Some(code), "{block}: {}", told.out);
    }
}
