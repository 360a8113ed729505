//! Whether callers are told which policy refused them: only where the mesh says so, and by sidecars alone.

use meltemi_tests::{HttpApp, Response, Sidecar, TcpApp};
use serde_json::{Value, json};

use super::World;

/// The field that names the rule.
pub(super) const FIELD: &str = "x-meltemi-denied-by";
/// Has all sidecars of the mesh name it that start from now on.
pub(super) const TELLS: &str = "{apiVersion: networking.istio.io/v1beta1, kind: ProxyConfig, \
    metadata: {name: tells, namespace: istio-system}, \
    spec: {environmentVariables: {MELTEMI_DENIED_BY: 'true'}}}";
/// An application that would have its caller believe that a policy of the mesh refused.
const FORGED: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nX-Meltemi-Denied-By: ns[a]-policy[b]-rule[0]\r\ncontent-length: 0\r\n\r\n";

fn refusing() -> Value {
    let operation = |field: &str, value: &str| json!({"to": [{"operation": {field: [value]}}]});
    json!([operation("methods", "PUT"), operation("paths", "/no")])
}

impl World {
    /// Has another sidecar stand before the application `web`, in the mesh as it is now.
    async fn take(&mut self, service: &str) -> HttpApp {
        let app = HttpApp::start(service).await;
        self.web = self.mesh.workload(service).port(app.port(), "http").proxy().await;
        app
    }
}

async fn call(client: &Sidecar, target: &str, headers: &[(&str, &str)]) -> Response {
    client.http().await.call("POST", target, headers, b"").await
}

/// Fields: ProxyConfig spec.environmentVariables.*
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_the_policy_only_where_the_mesh_says_so() {
    let mut world = World::start().await;
    world.policies(&[("DENY", refusing())]).await;
    // Neither a caller nor an application can have itself told.
    let quiet = call(&world.client, "http://web/no", &[(FIELD, "1")]).await;
    assert_eq!((quiet.status, quiet.header(FIELD)), (403, None));
    world.mesh.apply(TELLS).await;
    let quiet = call(&world.client, "http://web/no", &[]).await;
    assert_eq!(
        (quiet.status, quiet.header(FIELD)),
        (403, None),
        "a sidecar that runs stays as it is"
    );

    let _app = world.take("told").await;
    world.policies(&[("DENY", refusing())]).await;
    let refused = call(&world.client, "http://told/no", &[]).await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "RBAC: access denied"));
    assert_eq!(refused.header(FIELD), Some("ns[default]-policy[p001-0]-rule[1]"));
    let grpc = [("content-type", "application/grpc")];
    let refused = call(&world.client, "http://told/no", &grpc).await;
    assert_eq!((refused.status, refused.header("grpc-status")), (200, Some("7")));
    assert_eq!(refused.header(FIELD), Some("ns[default]-policy[p001-0]-rule[1]"));
    let passed = call(&world.client, "http://told/yes", &[]).await;
    assert_eq!((passed.status, passed.header(FIELD)), (200, None));
    world.policies(&[("ALLOW", json!([]))]).await;
    let refused = call(&world.client, "http://told/yes", &[]).await;
    assert_eq!((refused.status, refused.header(FIELD)), (403, Some("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_application_and_no_stranger_can_say_it() {
    let mesh = meltemi_tests::Mesh::start().await;
    mesh.apply(TELLS).await;
    let (inside, outside) = (TcpApp::answers(FORGED).await, TcpApp::answers(FORGED).await);
    let _sidecar = mesh.workload("forger").port(inside.port(), "http").proxy().await;
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: stranger}}, spec: {{\
            hosts: [stranger.example], resolution: STATIC, endpoints: [{{address: 127.0.0.1}}], \
            ports: [{{number: {}, name: http, protocol: HTTP}}]}}}}",
        outside.port()
    ))
    .await;
    let client = mesh.client().await;
    for target in [
        "http://forger/".to_owned(),
        format!("http://stranger.example:{}/", outside.port()),
        format!("http://127.0.0.1:{}/", outside.port()),
    ] {
        let answer = client.until("it answers", &target, |it| it.status == 403).await;
        assert_eq!(answer.header(FIELD), None, "{target}");
    }
}
