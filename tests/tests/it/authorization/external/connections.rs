//! Connections of bytes: authorizers by gRPC are asked about them, with Istio those by HTTP are not.

use meltemi_tests::{TcpApp, free_port, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{POLICIES, arrived};
use super::Asking;

/// Whether a connection carries bytes; else it is closed without any.
async fn passes(port: u16) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // It may be closed already.
    let written = stream.write_all(b"ping").await;
    let mut back = [0; 4];
    let read = within("an echo or the end", stream.read_exact(&mut back)).await;
    written.is_ok() && read.is_ok() && back == *b"ping"
}

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_by_grpc_is_asked_about_connections_of_bytes() {
    let asking = Asking::start().await;
    let mesh = &asking.world.mesh;
    let echo = TcpApp::echo().await;
    let raw = mesh.workload("raw").port(echo.port(), "tcp").proxy().await;
    let listen = free_port();
    let upstream = format!("raw:{}", echo.port());
    let client = mesh.workload("other").flag("--service-account", "client");
    let _client = client.upstream(&upstream, listen).proxy().await;
    let api = mesh.api();
    for (number, (provider, is_open, expected, asked)) in [
        ("grpc", true, true, 1),
        ("grpc", false, false, 1),
        ("http", false, true, 0),
        ("unknown", true, false, 0),
        ("nowhere", true, false, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("raw{number}");
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": "raw"}},
                "action": "CUSTOM", "provider": {"name": provider}, "rules": [{}],
            },
        });
        let (status, answer) = api.post(POLICIES, &object).await;
        assert_eq!(status, 201, "{answer}");
        if let Some(before) = number.checked_sub(1) {
            let path = format!("{POLICIES}/raw{before}");
            let (status, _) = api.call("DELETE", &path, "", &serde_json::Value::Null).await;
            assert_eq!(status, 200);
        }
        arrived(&raw, &[format!("default/{name}")]).await;
        asking.grpc.open(is_open);
        assert_eq!(passes(listen).await, expected, "{provider} {is_open}");
        let questions = asking.grpc.asked();
        assert_eq!(questions.len(), asked, "{provider}");
        for question in questions {
            let attributes = question.attributes.unwrap();
            assert_eq!(attributes.request, None);
            let principal = attributes.source.unwrap().principal;
            assert_eq!(principal, "spiffe://cluster.local/ns/default/sa/client");
        }
    }
}
