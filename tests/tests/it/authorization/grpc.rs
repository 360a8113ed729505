//! gRPC calls are requests whose path is service and method; a refusal is one that a gRPC client understands.

use meltemi_tests::calls::Ask;
use meltemi_tests::{GrpcApp, Mesh, client, free_port};
use serde_json::{Value, json};
use tonic::Code;

use super::{POLICIES, arrived};

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_refused_with_permission_denied() {
    let mesh = Mesh::start().await;
    let app = GrpcApp::start("calls-1").await;
    let sidecar = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let listen = free_port();
    let upstream = format!("calls:{}", app.port());
    let _client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let mut calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
    let ask = || Ask { text: "one".to_owned(), ..Ask::default() };
    calls.unary(ask()).await.unwrap();
    let object = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "unary"},
        "spec": {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["*/Unary"]}}]}]},
    });
    let (status, answer) = mesh.api().post(POLICIES, &object).await;
    assert_eq!(status, 201, "{answer}");
    arrived(&sidecar, &["default/unary".to_owned()]).await;
    // On the connection that stands.
    let refused = calls.unary(ask()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::PermissionDenied, "RBAC: access denied")
    );
    let asks = tokio_stream::iter([ask(), ask()]);
    assert_eq!(calls.client_stream(asks).await.unwrap().into_inner().asked, 2);

    // A service and a method by their names; the method of HTTP is POST of all calls.
    let service = "/meltemi.test.v1.Calls";
    for (number, (operation, may_unary, may_stream)) in [
        (json!({"paths": [format!("{service}/Unary")]}), true, false),
        (json!({"paths": [format!("{service}/*")]}), true, true),
        (json!({"paths": [format!("{service}/{{*}}")], "notPaths": ["*/Unary"]}), false, true),
        (json!({"paths": ["/meltemi.test.v2.Calls/*"]}), false, false),
        (json!({"methods": ["POST"]}), true, true),
        (json!({"methods": ["GET"]}), false, false),
    ]
    .into_iter()
    .enumerate()
    {
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": format!("allow-{number}")},
            "spec": {"rules": [{"to": [{"operation": operation}]}]},
        });
        mesh.apply(&object.to_string()).await;
        let before = if number == 0 { "unary".to_owned() } else { format!("allow-{}", number - 1) };
        let (status, answer) =
            mesh.api().call("DELETE", &format!("{POLICIES}/{before}"), "", &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        arrived(&sidecar, &[format!("default/allow-{number}")]).await;
        assert_eq!(calls.unary(ask()).await.is_ok(), may_unary, "{operation}");
        let asks = tokio_stream::iter([ask(), ask()]);
        assert_eq!(calls.client_stream(asks).await.is_ok(), may_stream, "{operation}");
    }
}
