//! Which workloads a policy is for, and several policies of one workload.

use super::*;

/// Fields: RequestAuthentication spec.selector.matchLabels.*
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_for_what_it_selects() {
    let world = World::start(&[]).await;
    let other = world.mesh.http_service("other", 1).await;
    let rules = format!("jwtRules: [{{{}}}]", world.inline());
    let selecting = format!("selector: {{matchLabels: {{app: hello}}}}, {rules}");
    world.mesh.apply(&policy("hello", "default", &selecting)).await;
    world.is_looked_at().await;
    let status = async |target: &str| {
        let headers = [("authorization", "Bearer x")];
        world.client.http().await.call("GET", target, &headers, b"").await.status
    };
    assert_eq!(status("http://other/").await, 200);

    // Of another namespace: for nobody here. Attached to a gateway: for no sidecar.
    let gateway = "{group: gateway.networking.k8s.io, kind: Gateway, name: other}";
    let attached = format!("targetRefs: [{gateway}], {rules}");
    world.mesh.apply(&policy("attached", "default", &attached)).await;
    world.mesh.apply("{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere}}").await;
    world.mesh.apply(&policy("all", "elsewhere", &rules)).await;
    let changed = format!("selector: {{matchLabels: {{app: nobody}}}}, {rules}");
    world.mesh.apply(&policy("hello", "default", &changed)).await;
    eventually("the selector is followed", async || {
        let status = status("http://hello/").await;
        if status == 200 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(status("http://other/").await, 200);

    // Of the root namespace: for all of the mesh.
    world.mesh.apply(&policy("mesh", "istio-system", &rules)).await;
    for target in ["http://hello/", "http://other/"] {
        eventually(&format!("{target} has the mesh's policy"), async || {
            let status = status(target).await;
            if status == 401 { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
    assert!(other.requests()[0] >= 2);
}

/// Fields: RequestAuthentication spec.targetRef.group, spec.targetRef.kind, spec.targetRef.name,
/// spec.targetRefs[].group, spec.targetRefs[].kind, spec.targetRefs[].name
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_for_the_services_that_it_is_attached_to() {
    let world = crate::three_workloads::World::start().await;
    let (mesh, issuer) = (&world.mesh, Issuer::start().await);
    let entry = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry,
          metadata: {{name: entry, namespace: one}},
          spec: {{hosts: [entry.example], location: MESH_INTERNAL, resolution: STATIC,
            ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}],
            workloadSelector: {{labels: {{app: b}}}}}}}}",
        world.apps[1].port()
    );
    mesh.apply(&entry).await;
    let targets = ["http://a.one/", "http://b.one/", "http://a.two/", "http://entry.example/"];
    for target in targets {
        world.client.until("it may be called", target, |it| it.status == 200).await;
    }
    let status = async |target: &str| {
        let headers = [("authorization", "Bearer x")];
        world.client.http().await.call("GET", target, &headers, b"").await.status
    };
    let rules = format!("jwtRules: [{{issuer: '{}', jwks: '{}'}}]", issuer.url(), issuer.key_set());
    let of_entry = "{group: networking.istio.io, kind: ServiceEntry, name: entry}";
    let of_gateway = "{group: gateway.networking.k8s.io, kind: Gateway, name: b}";
    for (attached, expected) in [
        ("targetRefs: [{kind: Service, name: b}]".to_owned(), [200, 401, 200, 200]),
        ("targetRef: {kind: Service, name: a}".to_owned(), [401, 200, 200, 200]),
        (format!("targetRefs: [{of_entry}]"), [200, 200, 200, 401]),
        (format!("targetRef: {of_gateway}"), [200; 4]),
        (format!("targetRefs: [{of_entry}, {{kind: Service, name: b}}]"), [200, 401, 200, 401]),
        ("targetRefs: [{group: example.com, kind: Service, name: a}]".to_owned(), [200; 4]),
    ] {
        mesh.apply(&policy("attached", "one", &format!("{attached}, {rules}"))).await;
        eventually(&attached, async || {
            let mut found = Vec::new();
            for target in targets {
                found.push(status(target).await);
            }
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
    let analyzed = mesh.command(&["analyze", "--namespace", "one"], "").await;
    assert!(analyzed.stdout.contains("has no effect on sidecars"), "{analyzed}");
}

/// Fields: RequestAuthentication spec.targetRef.namespace, spec.targetRefs[].namespace
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_attached_within_its_namespace_alone() {
    let mesh = Mesh::start().await;
    let path = "/apis/security.istio.io/v1/namespaces/default/requestauthentications";
    let target = json!({"kind": "Service", "name": "a", "namespace": "two"});
    for (attached, field) in [
        (json!({"targetRef": target}), "spec.targetRef.namespace"),
        (json!({"targetRefs": [target]}), "spec.targetRefs[0].namespace"),
    ] {
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
            "metadata": {"name": "tokens"}, "spec": attached,
        });
        let (status, answer) = mesh.api().post(path, &object).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(field), "{answer}");
    }
}

/// Fields: RequestAuthentication spec.jwtRules[].issuer
#[tokio::test(flavor = "multi_thread")]
async fn policies_of_one_workload_add_up() {
    let world = World::start(&[]).await;
    let (second, third) = (Issuer::start().await, Issuer::start().await);
    let rule = |issuer: &Issuer| {
        format!(
            "{{issuer: '{}', jwks: '{}', outputClaimToHeaders: [{{header: x-iss, claim: iss}}]}}",
            issuer.url(),
            issuer.key_set()
        )
    };
    let both = format!("jwtRules: [{}, {}]", rule(&world.issuer), rule(&second));
    world.mesh.apply(&policy("two", "default", &both)).await;
    world.mesh.apply(&policy("one", "default", &format!("jwtRules: [{}]", rule(&third)))).await;
    world.until("both policies are there", &third.token(&json!({})), 200, "").await;
    for issuer in [&world.issuer, &second, &third] {
        let response = world.bearer("/echo", &issuer.token(&json!({}))).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(values(&response.json(), "x-iss"), [issuer.url()]);
        // No issuer signs for another one.
        let forged = issuer.token(&json!({"iss": second.url()}));
        let expected = if issuer.url() == second.url() { 200 } else { 401 };
        assert_eq!(world.bearer("/", &forged).await.status, expected);
    }
    assert_eq!(
        world.mesh.command(&["delete", "requestauthentication", "one"], "").await.code,
        Some(0)
    );
    let gone = third.token(&json!({}));
    world.until("its tokens are a stranger's", &gone, 401, "Jwt issuer is not configured").await;
    assert_eq!(world.bearer("/", &second.token(&json!({}))).await.status, 200);
}
