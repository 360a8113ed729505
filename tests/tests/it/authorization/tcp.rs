//! Connections of bytes: what asks for a request, and who is let in.

use meltemi_tests::{Mesh, Sidecar, TcpApp, eventually, free_port, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{POLICIES, arrived};

struct World {
    mesh: Mesh,
    echo: TcpApp,
    raw: Sidecar,
    client: Sidecar,
    listen: u16,
}

impl World {
    async fn start() -> Self {
        let mesh = Mesh::start().await;
        let echo = TcpApp::echo().await;
        let raw = mesh.workload("raw").port(echo.port(), "tcp").proxy().await;
        let listen = free_port();
        let upstream = format!("raw:{}", echo.port());
        let client = mesh.workload("client").flag("--service-account", "client");
        let client = client.upstream(&upstream, listen).proxy().await;
        World { mesh, echo, raw, client, listen }
    }

    /// Goes by one policy, in place of the one before.
    async fn policy(&self, number: usize, action: &str, rule: &Value) {
        let api = self.mesh.api();
        let name = format!("p{number}");
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name}, "spec": {"action": action, "rules": [rule]},
        });
        let (status, answer) = api.post(POLICIES, &object).await;
        assert_eq!(status, 201, "{answer}");
        if let Some(before) = number.checked_sub(1) {
            let (status, _) =
                api.call("DELETE", &format!("{POLICIES}/p{before}"), "", &Value::Null).await;
            assert_eq!(status, 200);
        }
        arrived(&self.raw, &[format!("default/{name}")]).await;
    }

    /// Whether a connection carries bytes; else it is closed without any.
    async fn passes(&self) -> bool {
        let mut stream = TcpStream::connect(("127.0.0.1", self.listen)).await.unwrap();
        // It may be closed already.
        let written = stream.write_all(b"ping").await;
        let mut back = [0; 4];
        let read = within("an echo or the end", stream.read_exact(&mut back)).await;
        written.is_ok() && read.is_ok() && back == *b"ping"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_a_request_lets_no_bytes_pass_and_refuses_without_it() {
    let world = World::start().await;
    let port = world.echo.port().to_string();
    assert!(world.passes().await);
    for (number, (action, rule, passes)) in [
        ("ALLOW", json!({"to": [{"operation": {"ports": [port]}}]}), true),
        ("ALLOW", json!({"to": [{"operation": {"ports": ["1"]}}]}), false),
        ("ALLOW", json!({"to": [{"operation": {"ports": [port], "methods": ["GET"]}}]}), false),
        ("ALLOW", json!({"from": [{"source": {"principals": ["*/sa/client"]}}]}), true),
        ("ALLOW", json!({"from": [{"source": {"principals": ["*/sa/other"]}}]}), false),
        ("ALLOW", json!({"from": [{"source": {"requestPrincipals": ["*"]}}]}), false),
        ("DENY", json!({"to": [{"operation": {"ports": [port], "methods": ["GET"]}}]}), false),
        ("DENY", json!({"to": [{"operation": {"ports": ["1"], "methods": ["GET"]}}]}), true),
        ("DENY", json!({"to": [{"operation": {"paths": ["/admin"]}}]}), false),
        ("DENY", json!({"from": [{"source": {"namespaces": ["default"]}}]}), false),
        ("DENY", json!({"from": [{"source": {"namespaces": ["other"]}}]}), true),
        ("DENY", json!({"when": [{"key": "source.ip", "values": ["10.0.0.0/8"]}]}), true),
    ]
    .into_iter()
    .enumerate()
    {
        world.policy(number, action, &rule).await;
        assert_eq!(world.passes().await, passes, "{action} {rule}");
    }
    let filter = [("protocol", "tcp"), ("result", "denied")];
    eventually("the refused connections are counted", async || {
        let denied = world.raw.scrape().await.sum("meltemi_authorization_decisions_total", &filter);
        if denied == 7.0 { Ok(()) } else { Err(denied.to_string()) }
    })
    .await;
    drop(world.client);
}
