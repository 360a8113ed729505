//! Connections of bytes: what asks for a request, and who is let in.

use meltemi_tests::{Mesh, Sidecar, TcpApp, eventually, free_port, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

use super::{POLICIES, arrived};

/// A connection that stands.
struct Standing(TcpStream);

impl Standing {
    async fn open(address: impl ToSocketAddrs) -> Self {
        let mut standing = Standing(TcpStream::connect(address).await.unwrap());
        standing.echoes().await;
        standing
    }

    async fn echoes(&mut self) {
        self.0.write_all(b"ping").await.unwrap();
        let mut back = [0; 4];
        within("an echo", self.0.read_exact(&mut back)).await.unwrap();
        assert_eq!(back, *b"ping");
    }

    /// Waits until it is closed, without a byte of it.
    async fn is_closed(&mut self) {
        let read = within("the end", self.0.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

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
        // A caller cannot choose to be judged as one that asks. Where it passes, what echoes is no server of HTTP.
        let target = format!("http://raw:{port}/x");
        let status = world.client.http().await.get(&target).await.status;
        assert_eq!(status, if passes { 503 } else { 403 }, "{action} {rule}");
    }
    let filter = [("protocol", "tcp"), ("result", "denied")];
    eventually("the refused connections are counted", async || {
        let denied = world.raw.scrape().await.sum("meltemi_authorization_decisions_total", &filter);
        if denied == 7.0 { Ok(()) } else { Err(denied.to_string()) }
    })
    .await;
    drop(world.client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stands_is_closed_once_a_policy_refuses_it_and_no_sooner() {
    let world = World::start().await;
    let mut standing = Standing::open(("127.0.0.1", world.listen)).await;
    let port = world.echo.port().to_string();
    for (number, (action, rule)) in [
        ("DENY", json!({"from": [{"source": {"namespaces": ["other"]}}]})),
        ("ALLOW", json!({"from": [{"source": {"principals": ["*/sa/client"]}}]})),
        ("ALLOW", json!({"to": [{"operation": {"ports": [port]}}]})),
    ]
    .into_iter()
    .enumerate()
    {
        world.policy(number, action, &rule).await;
        standing.echoes().await;
    }
    world.policy(3, "DENY", &json!({"from": [{"source": {"namespaces": ["default"]}}]})).await;
    standing.is_closed().await;
    assert!(!world.passes().await);
    assert!(world.raw.process.log().contains("a connection of bytes that stood is closed"));

    world.policy(4, "DENY", &json!({"from": [{"source": {"namespaces": ["other"]}}]})).await;
    let mut standing = Standing::open(("127.0.0.1", world.listen)).await;
    // Between the policies, of which none is left, it goes on.
    let gone = format!("{POLICIES}/p4");
    let (status, _) = world.mesh.api().call("DELETE", &gone, "", &Value::Null).await;
    assert_eq!(status, 200);
    arrived(&world.raw, &[]).await;
    standing.echoes().await;
    let revoke = ["ca", "revoke", "--principal", "cluster.local/ns/default/sa/client"];
    let outcome = world.mesh.command(&revoke, "").await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    standing.is_closed().await;
}

/// Fields: PeerAuthentication spec.mtls.mode
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_plaintext_is_closed_once_mutual_tls_is_wanted() {
    let world = World::start().await;
    let mode = |mode: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication,
              metadata: {{name: raw, namespace: default}},
              spec: {{selector: {{matchLabels: {{app: raw}}}}, mtls: {{mode: {mode}}}}}}}"
        )
    };
    world.mesh.apply(&mode("PERMISSIVE")).await;
    eventually("plaintext is taken", async || {
        let mut stream = TcpStream::connect(world.raw.inbound).await.unwrap();
        let written = stream.write_all(b"ping").await;
        let mut back = [0; 4];
        let read = within("an echo or the end", stream.read_exact(&mut back)).await;
        let is_echo = written.is_ok() && read.is_ok() && back == *b"ping";
        is_echo.then_some(()).ok_or(format!("{read:?} {back:?}"))
    })
    .await;
    let mut plain = Standing::open(world.raw.inbound).await;
    let mut secured = Standing::open(("127.0.0.1", world.listen)).await;
    world.mesh.apply(&mode("STRICT")).await;
    plain.is_closed().await;
    secured.echoes().await;
}
