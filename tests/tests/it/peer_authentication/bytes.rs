//! Connections of bytes: ports for TCP, and servers that speak first.

use std::cell::Cell;
use std::sync::Arc;

use meltemi_tests::{Mesh, Sidecar, TcpApp, eventually, free_port, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::{Policies, selecting};

const BANNER: &[u8] = b"220 ready\r\n";

/// What comes back for these bytes; nothing if the connection is closed.
async fn echoed(address: impl ToSocketAddrs, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed already.
    let written = stream.write_all(bytes).await;
    let mut back = vec![0; bytes.len()];
    let read = within("an echo or the end", stream.read_exact(&mut back)).await;
    (written.is_ok() && read.is_ok()).then_some(back)
}

/// The first bytes of a client's own TLS.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "db.example.com".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Connections that the called sidecar counted, by how they were secured.
async fn opened(sidecar: &Sidecar, security: &str) -> f64 {
    let filter = [("reporter", "destination"), ("connection_security_policy", security)];
    sidecar.scrape().await.sum("istio_tcp_connections_opened_total", &filter)
}

/// Fields: PeerAuthentication spec.mtls.mode
#[tokio::test(flavor = "multi_thread")]
async fn a_port_for_bytes_takes_what_its_mode_says() {
    let mesh = Mesh::start().await;
    let echo = TcpApp::echo().await;
    let raw = mesh.workload("raw").port(echo.port(), "tcp").proxy().await;
    let listen = free_port();
    let upstream = format!("raw:{}", echo.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let policies = Policies::of(&mesh);
    let message = b"* hello\r\n";
    for (said, plain_passes, security) in [
        ("STRICT", false, "mutual_tls"),
        ("PERMISSIVE", true, "mutual_tls"),
        ("DISABLE", true, "none"),
        ("STRICT", false, "mutual_tls"),
    ] {
        policies.set(&[("default", "raw", selecting("raw", said))], &[&raw]).await;
        let expected = plain_passes.then(|| message.to_vec());
        assert_eq!(echoed(raw.inbound, message).await, expected, "{said}");
        // TLS that is not the mesh's is the application's.
        let hello = client_hello();
        let back = echoed(raw.inbound, &hello).await;
        assert_eq!(back.as_ref() == Some(&hello), plain_passes, "{said}: {back:?}");
        eventually(&format!("{said}: the sidecar calls by {security}"), async || {
            let before = opened(&raw, security).await;
            let Some(back) = echoed(("127.0.0.1", listen), message).await else {
                return Err("closed".to_owned());
            };
            assert_eq!(back, message);
            let after = opened(&raw, security).await;
            if after > before { Ok(()) } else { Err(format!("{before} {after}")) }
        })
        .await;
    }
    let allow = json!({"rules": [{"from": [{"source": {"principals": ["*"]}}]}]});
    policies.set(&[("default", "raw", selecting("raw", "PERMISSIVE"))], &[&raw]).await;
    assert!(echoed(raw.inbound, message).await.is_some());
    policies.create("AuthorizationPolicy", "default", "known", &allow).await;
    eventually("a caller in plaintext has no principal", async || {
        match echoed(raw.inbound, message).await {
            None => Ok(()),
            Some(back) => Err(format!("{back:?}")),
        }
    })
    .await;
    assert!(echoed(("127.0.0.1", listen), message).await.is_some());
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_first_is_heard_by_all_who_may_call() {
    let mesh = Mesh::start().await;
    let app = TcpApp::banner(BANNER).await;
    let mail = mesh.workload("mail").port(app.port(), "tcp").proxy().await;
    let listen = free_port();
    let upstream = format!("mail:{}", app.port());
    let _client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let policies = Policies::of(&mesh);
    for said in ["PERMISSIVE", "DISABLE"] {
        policies.set(&[("default", "mail", selecting("mail", said))], &[&mail]).await;
        for address in [mail.inbound, ([127, 0, 0, 1], listen).into()] {
            // A caller learns of the mode a moment later than the called one.
            eventually(&format!("{said}: {address}"), async || {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let mut banner = [0; BANNER.len()];
                let heard = stream.read_exact(&mut banner).await;
                heard.map_err(|error| error.to_string())?;
                assert_eq!(banner, BANNER);
                Ok(())
            })
            .await;
        }
    }
}

/// Each call is a connection of its own, and so is judged by what is in effect just then.
#[tokio::test(flavor = "multi_thread")]
async fn no_connection_of_a_sidecar_fails_while_a_port_is_opened_and_closed() {
    let mesh = Mesh::start().await;
    let echo = TcpApp::echo().await;
    let raw = mesh.workload("raw").port(echo.port(), "tcp").proxy().await;
    let listen = free_port();
    let upstream = format!("raw:{}", echo.port());
    let _client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let policies = Policies::of(&mesh);
    let (made, needed) = (Cell::new(0), Cell::new(0));
    let calls = async {
        loop {
            assert!(echoed(("127.0.0.1", listen), b"hello").await.is_some(), "{made:?}");
            made.set(made.get() + 1);
        }
    };
    let changes = async {
        for said in ["PERMISSIVE", "STRICT"].repeat(4) {
            policies.set(&[("default", "raw", selecting("raw", said))], &[&raw]).await;
            needed.set(made.get() + 5);
            eventually("some calls by each", async || match made.get() >= needed.get() {
                true => Ok(()),
                false => Err(made.get().to_string()),
            })
            .await;
        }
    };
    tokio::select! {
        () = changes => {}
        () = calls => {}
    }
    assert!(made.get() >= 40);
    assert_eq!(opened(&raw, "none").await, 0.0);
}

/// Nobody but a sidecar says which of several ports it means.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_ports_a_caller_in_plaintext_reaches_the_one_that_it_names() {
    let mesh = Mesh::start().await;
    let (echo, other) = (TcpApp::echo().await, TcpApp::answers(b"other").await);
    let raw = mesh.workload("raw").port(echo.port(), "tcp").port(other.port(), "tcp");
    let raw = raw.proxy().await;
    let listen = [free_port(), free_port()];
    let client = mesh
        .workload("client")
        .upstream(&format!("raw:{}", echo.port()), listen[0])
        .upstream(&format!("raw:{}", other.port()), listen[1])
        .proxy()
        .await;
    let policies = Policies::of(&mesh);
    policies.set(&[("default", "raw", selecting("raw", "DISABLE"))], &[&raw]).await;
    for (listen, expected) in listen.into_iter().zip([b"hello", b"other"]) {
        eventually("the port that is meant is reached", async || {
            let back = echoed(("127.0.0.1", listen), b"hello").await;
            if back.as_deref() == Some(expected) { Ok(()) } else { Err(format!("{back:?}")) }
        })
        .await;
    }
    assert_eq!(echoed(raw.inbound, b"hello").await, None);
    assert_eq!(opened(&raw, "mutual_tls").await, 0.0);
    drop(client);
}
