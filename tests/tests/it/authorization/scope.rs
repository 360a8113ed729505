//! Which workloads a policy is for.

use meltemi_tests::Mesh;
use serde_json::{Value, json};

use super::arrived;
use crate::three_workloads::World;

const TARGETS: [&str; 3] = ["http://a.one/", "http://b.one/", "http://a.two/"];

impl World {
    /// Has one policy that denies everything of its workloads, and checks which of the three are meant.
    async fn denies(&self, namespace: &str, attached: Value, expected: [bool; 3]) {
        let api = self.mesh.api();
        let path =
            format!("/apis/security.istio.io/v1/namespaces/{namespace}/authorizationpolicies");
        let mut spec = attached;
        spec["action"] = "DENY".into();
        spec["rules"] = json!([{}]);
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "deny"}, "spec": spec,
        });
        let (status, answer) = api.post(&path, &object).await;
        assert_eq!(status, 201, "{answer}");
        let own = [format!("{namespace}/deny")];
        for ((workload, target), is_meant) in self.workloads.iter().zip(TARGETS).zip(expected) {
            let names: &[String] = if is_meant { &own } else { &[] };
            arrived(workload, names).await;
            let status = self.client.http().await.get(target).await.status;
            assert_eq!(status, if is_meant { 403 } else { 200 }, "{target} {object}");
        }
        let (status, _) = api.call("DELETE", &format!("{path}/deny"), "", &Value::Null).await;
        assert_eq!(status, 200);
        for workload in &self.workloads {
            arrived(workload, &[]).await;
        }
    }
}

/// Fields: AuthorizationPolicy spec.selector.matchLabels.*, spec.targetRef.group, spec.targetRef.kind,
/// spec.targetRef.name, spec.targetRefs[].group, spec.targetRefs[].kind, spec.targetRefs[].name
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_for_its_namespace_its_selection_or_from_the_root_for_all() {
    let world = World::start().await;
    for name in ["one", "two"] {
        for target in TARGETS.iter().filter(|it| it.contains(name)) {
            let what = format!("{target} may be called");
            world.client.until(&what, target, |it| it.status == 200).await;
        }
    }
    let select = |app: &str| json!({"selector": {"matchLabels": {"app": app}}});
    let service = |name: &str| json!({"targetRefs": [{"kind": "Service", "name": name}]});
    let old = |name: &str| json!({"targetRef": {"kind": "Service", "name": name}});
    let gateway = json!({"targetRefs": [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"},
    ]});
    world.denies("one", json!({}), [true, true, false]).await;
    world.denies("two", json!({}), [false, false, true]).await;
    world.denies("one", select("a"), [true, false, false]).await;
    world.denies("one", select("none"), [false, false, false]).await;
    world.denies("istio-system", json!({}), [true, true, true]).await;
    world.denies("istio-system", select("a"), [true, false, true]).await;
    world.denies("one", service("b"), [false, true, false]).await;
    world.denies("one", old("a"), [true, false, false]).await;
    world.denies("two", service("b"), [false, false, false]).await;
    world.denies("one", gateway, [false, false, false]).await;
    let strange = json!({"group": "example.com", "kind": "Service", "name": "a"});
    world.denies("one", json!({"targetRefs": [strange]}), [false, false, false]).await;
    world.denies("one", json!({"targetRef": strange}), [false, false, false]).await;
}

/// Fields: AuthorizationPolicy spec.targetRef.namespace, spec.targetRefs[].namespace
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_attached_within_its_namespace_alone() {
    let mesh = Mesh::start().await;
    let path = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies";
    let target = json!({"kind": "Service", "name": "a", "namespace": "two"});
    for (attached, field) in [
        (json!({"targetRef": target}), "spec.targetRef.namespace"),
        (json!({"targetRefs": [target]}), "spec.targetRefs[0].namespace"),
    ] {
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "deny"}, "spec": attached,
        });
        let (status, answer) = mesh.api().post(path, &object).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(field), "{answer}");
    }
}

/// Fields: AuthorizationPolicy spec.targetRefs[].group, spec.targetRefs[].kind, spec.targetRefs[].name
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_a_service_entry_is_for_what_arrives_for_its_hosts() {
    let world = World::start().await;
    let [_, app, _] = &world.apps;
    world
        .mesh
        .apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry,
              metadata: {{name: entry, namespace: one}},
              spec: {{hosts: [entry.example], location: MESH_INTERNAL, resolution: STATIC,
                ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}],
                workloadSelector: {{labels: {{app: b}}}}}}}}",
            app.port()
        ))
        .await;
    let calls = ["http://entry.example/", "http://b.one/", "http://a.one/"];
    for target in calls {
        world.client.until("it may be called", target, |it| it.status == 200).await;
    }
    let object = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "deny"},
        "spec": {
            "targetRefs": [{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "entry"}],
            "action": "DENY", "rules": [{}],
        },
    });
    let path = "/apis/security.istio.io/v1/namespaces/one/authorizationpolicies";
    let (status, answer) = world.mesh.api().post(path, &object).await;
    assert_eq!(status, 201, "{answer}");
    world.client.until("the entry is refused", calls[0], |it| it.status == 403).await;
    let mut statuses = Vec::new();
    for target in calls {
        statuses.push(world.client.http().await.get(target).await.status);
    }
    assert_eq!(statuses, [403, 200, 200]);
}
