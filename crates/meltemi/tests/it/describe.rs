//! `meltemi describe`.

use crate::mesh::{Mesh, route, service};

const WORKLOADS: &str = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: hello-1, labels: {app: hello}}
spec:
  address: 10.0.0.1
  ports: {main: 8001}
  labels: {version: v1}
  serviceAccount: hello
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: hello-2}
spec:
  address: 10.0.0.2
  labels: {app: hello, version: v2}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: other-1}
spec:
  address: 10.0.0.3
  labels: {app: other}
";

#[tokio::test]
async fn a_service_is_told_with_its_endpoints() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("hello", 80) + &service("lonely", 80) + WORKLOADS)).await;
    let text = mesh.run("describe service hello").await.succeeds();
    for part in [
        "Name:         hello\n",
        "Namespace:    default\n",
        "Kind:         Service\n",
        "Labels:       <none>\n",
        "Annotations:  <none>\n",
        "Spec:\n  ports:\n  - name: http\n    port: 80\n",
        "Endpoints:    2 of 2 ready\n",
        "hello-1   10.0.0.1   main:8001   yes     v1        hello\n",
        "hello-2   10.0.0.2   <none>      yes     v2        <none>\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("other-1"), "{text}");
    let text = mesh.run("describe svc/lonely").await.succeeds();
    assert!(text.contains("Endpoints:    none: no WorkloadEntry"), "{text}");
}

#[tokio::test]
async fn conditions_are_told_as_rows() {
    let mesh = Mesh::start().await;
    mesh.apply(WORKLOADS).await;
    let mut entry = mesh.stored("networking.istio.io", "workloadentries", "hello-1").await.unwrap();
    entry["status"] = serde_json::json!({"conditions": [
        {"type": "Healthy", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "probe failed"},
    ]});
    let key = meltemi_store::Key::new(
        "networking.istio.io",
        "workloadentries",
        Some("default"),
        "hello-1",
    );
    mesh.store.put(key, entry.to_string().into(), meltemi_store::Expect::Any).await.unwrap();
    let text = mesh.run("describe we hello-1").await.succeeds();
    assert!(text.contains("Conditions:\n  TYPE "), "{text}");
    assert!(
        text.contains("Healthy   False    2026-01-01T00:00:00Z            probe failed"),
        "{text}"
    );
}

#[tokio::test]
async fn secrets_stay_secret() {
    let mesh = Mesh::start().await;
    mesh.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}\n",
    )
    .await;
    let text = mesh.run("describe secret s").await.succeeds();
    assert!(text.contains("password: 7 bytes"), "{text}");
    assert!(!text.contains("aHVudGVyMg"), "{text}");
}

#[tokio::test]
async fn several_objects_and_missing_ones() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("a", 80) + &service("b", 80) + &route("a"))).await;
    let all = mesh.run("describe svc").await.succeeds();
    assert_eq!(all.matches("Kind:         Service").count(), 2, "{all}");
    let pairs = mesh.run("describe svc/a vs/a").await.succeeds();
    assert!(pairs.contains("API version:  networking.istio.io/v1"), "{pairs}");
    let run = mesh.run("describe svc a missing").await;
    assert!(run.out.contains("Name:         a"));
    assert!(run.fails(1).contains("\"missing\" not found"));
    let none = mesh.run("describe dr").await;
    assert_eq!(
        (none.code, none.err.as_str()),
        (Some(0), "No resources found in default namespace.\n")
    );
}
