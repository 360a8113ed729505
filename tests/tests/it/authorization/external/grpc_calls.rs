//! Calls of gRPC that authorizers are asked about: what they deny is a status that a client understands.

use meltemi_tests::calls::Ask;
use meltemi_tests::{GrpcApp, client, free_port};
use serde_json::json;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use super::super::{POLICIES, arrived};
use super::Asking;

fn ask(word: &'static str, text: &str) -> Request<Ask> {
    let mut request = Request::new(Ask { text: text.to_owned(), ..Ask::default() });
    request.metadata_mut().insert("x-ask", MetadataValue::from_static(word));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_grpc_are_allowed_and_denied_as_their_clients_understand() {
    let asking = Asking::start().await;
    let mesh = &asking.world.mesh;
    let app = GrpcApp::start("calls-1").await;
    let calls_sidecar = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let listen = free_port();
    let upstream = format!("calls:{}", app.port());
    let _client = mesh.workload("caller").upstream(&upstream, listen).proxy().await;
    for (number, provider) in ["grpc", "part"].into_iter().enumerate() {
        let name = format!("calls{number}");
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": "calls"}},
                "action": "CUSTOM", "provider": {"name": provider}, "rules": [{}],
            },
        });
        let api = mesh.api();
        let (status, answer) = api.post(POLICIES, &object).await;
        assert_eq!(status, 201, "{answer}");
        if let Some(before) = number.checked_sub(1) {
            let path = format!("{POLICIES}/calls{before}");
            let (status, _) = api.call("DELETE", &path, "", &serde_json::Value::Null).await;
            assert_eq!(status, 200);
        }
        arrived(&calls_sidecar, &[format!("default/{name}")]).await;
        let mut calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
        // Longer than an authorizer is shown, so that the rest goes on after it was asked.
        for text in ["a", &"long".repeat(50_000)] {
            let answer = calls.unary(ask("bare", text)).await.unwrap().into_inner();
            assert_eq!((answer.text.as_str(), answer.served_by.as_str()), (text, "calls-1"));
            let denied = calls.unary(ask("deny", text)).await.unwrap_err();
            let expected = (Code::Unauthenticated, "who are you?");
            assert_eq!((denied.code(), denied.message()), expected, "{provider}");
            let failed = calls.unary(ask("fail", text)).await.unwrap_err();
            assert_eq!(failed.code(), Code::PermissionDenied, "{provider}");
        }
        let asked = asking.grpc.asked();
        assert_eq!(asked.len(), 6, "{provider}");
        let attributes = asked[0].attributes.clone().unwrap();
        let http = attributes.request.unwrap().http.unwrap();
        assert_eq!((http.method.as_str(), http.protocol.as_str()), ("POST", "HTTP/2"));
        let shown = if provider == "part" { 8 } else { 0 };
        assert!(http.body.len() <= shown && http.body.is_empty() == (shown == 0), "{http:?}");
    }
}
