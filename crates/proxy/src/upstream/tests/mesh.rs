//! Which TLS is spoken with endpoints of the mesh.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::direct::{hello, hello_at, route, worker};
use super::soon;
use crate::config::fixture::endpoint;
use crate::listen::alpn::Inner;
use crate::listen::announced;
use crate::upstream::connect::connect;
use crate::upstream::secure::Beneath;

/// The name that is asked for.
const USUAL: &str = "outbound_.80_._.hello.default.svc.cluster.local";
const HELLO: &str = "spiffe://cluster.local/ns/default/sa/hello";
const OTHER: &str = "spiffe://cluster.local/ns/default/sa/other";

/// How an endpoint's proxy is reached: by the name asked for, or in plaintext.
async fn reached(policy: Option<Value>, names: &[&str]) -> Result<String, String> {
    reached_where(policy, names, false).await
}

/// The same where the endpoint may take no mutual TLS.
async fn reached_where(
    policy: Option<Value>,
    names: &[&str],
    is_plaintext: bool,
) -> Result<String, String> {
    let (worker, peer) = worker();
    let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = |listener: &TcpListener| u32::from(listener.local_addr().unwrap().port());
    let mut endpoint = endpoint("a");
    endpoint.ports[0].target_port = port(&own);
    endpoint.ports[0].plaintext = is_plaintext;
    endpoint.inbound_port = port(&proxy);
    let route = route(&hello_at(endpoint, policy, names), Inner::Http1);
    let acceptor = TlsAcceptor::from(peer.tls().server.clone());
    let answering = async {
        tokio::select! {
            accepted = own.accept() => {
                accepted.unwrap();
                "past the proxy".to_owned()
            }
            accepted = proxy.accept() => {
                let (mut stream, _) = accepted.unwrap();
                let mut first = [0];
                stream.peek(&mut first).await.unwrap();
                if first == [b'\r'] {
                    let mut said = announced::header(USUAL);
                    stream.read_exact(&mut said).await.unwrap();
                    assert_eq!(said, announced::header(USUAL));
                    return "plaintext".to_owned();
                }
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return "no handshake".to_owned();
                };
                let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                // The peer looks at us before it goes away.
                drop(stream.read_u8().await);
                name
            }
        }
    };
    let connecting = async {
        let connected = connect(&worker, &route).await;
        connected.map(drop).map_err(|error| error.to_string())
    };
    let (connected, answered) = soon("both", async { tokio::join!(connecting, answering) }).await;
    connected.map(|()| answered)
}

#[tokio::test]
async fn endpoints_with_a_proxy_are_called_as_the_mode_says() {
    for (tls, is_plaintext, expected) in [
        (None, false, USUAL),
        (None, true, "plaintext"),
        (Some(json!({"mode": "ISTIO_MUTUAL"})), false, USUAL),
        (Some(json!({"mode": "ISTIO_MUTUAL"})), true, USUAL),
        (Some(json!({"mode": "ISTIO_MUTUAL", "sni": "custom.example"})), false, "custom.example"),
        (Some(json!({"mode": "ISTIO_MUTUAL", "subjectAltNames": [OTHER, HELLO]})), false, USUAL),
        (Some(json!({"mode": "DISABLE"})), false, "plaintext"),
        (Some(json!({"mode": "DISABLE"})), true, "plaintext"),
    ] {
        let policy = tls.clone().map(|tls| json!({"tls": tls}));
        let reached = reached_where(policy, &[], is_plaintext).await;
        assert_eq!(reached.as_deref(), Ok(expected), "{tls:?} {is_plaintext}");
    }
}

#[tokio::test]
async fn who_answers_must_be_one_of_those_named() {
    let rule =
        |names: &[&str]| Some(json!({"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}}));
    for (policy, names, is_fine) in [
        (rule(&[OTHER]), &[][..], false),
        (None, &[OTHER][..], false),
        (None, &[HELLO][..], true),
        // The rule's own names go before the service's.
        (rule(&[HELLO]), &[OTHER][..], true),
    ] {
        let reached = reached(policy.clone(), names).await;
        match is_fine {
            true => assert!(reached.is_ok(), "{policy:?} {names:?}: {reached:?}"),
            false => {
                let error = reached.unwrap_err();
                let expected = format!("{HELLO} answered, which is none of the subjectAltNames");
                assert!(error.contains(&expected), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_without_a_proxy_must_be_of_the_mesh_where_the_rule_says_so() {
    let (worker, peer) = worker();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let policy = json!({"tls": {"mode": "ISTIO_MUTUAL"}});
    let port = listener.local_addr().unwrap().port();
    let route = route(&hello(port, None, Some(policy), &[]), Inner::Http2);
    let acceptor = TlsAcceptor::from(peer.tls().server.clone());
    let answering = async {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let session = stream.get_ref().1;
        let alpn = session.alpn_protocol().unwrap().to_vec();
        (session.peer_certificates().is_some(), alpn)
    };
    let both = async { tokio::join!(connect(&worker, &route), answering) };
    let (connected, answered) = soon("both", both).await;
    assert_eq!(connected.unwrap().preface, &*worker.preface);
    assert_eq!(answered, (true, b"meltemi-h2".to_vec()));
}

#[tokio::test]
async fn a_host_whose_own_address_is_called_is_not_called_in_plaintext_instead() {
    let beneath = |policy: Option<Value>| {
        let service = hello(80, None, policy, &[]);
        let cluster = service.cluster(80).unwrap();
        match Beneath::of_host(cluster, "www.example.com", Inner::Http1) {
            Ok(Beneath::Plain) => "plaintext".to_owned(),
            Ok(Beneath::Mesh { .. }) => "mesh".to_owned(),
            Ok(Beneath::Outside { name, .. }) => name.to_str().into_owned(),
            Err(error) => error.to_string(),
        }
    };
    let tls = |tls: Value| beneath(Some(json!({"tls": tls})));
    assert_eq!(beneath(None), "plaintext");
    assert_eq!(tls(json!({"mode": "DISABLE"})), "plaintext");
    assert_eq!(tls(json!({"mode": "ISTIO_MUTUAL"})), "mesh");
    let skip = json!({"mode": "SIMPLE", "insecureSkipVerify": true});
    assert_eq!(tls(skip), "hello.default.svc.cluster.local");
    let secret = tls(json!({"mode": "SIMPLE", "credentialName": "secret"}));
    assert!(secret.contains("credentialName `secret`"), "{secret}");
}

#[tokio::test]
async fn the_kernel_looks_after_connections_as_the_rule_says() {
    let (worker, _) = worker();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let keepalive = json!({"connectionPool": {"tcp": {"tcpKeepalive": {"timeMs": 500_000}}}});
    for (policy, is_set) in [(None, false), (Some(keepalive), true)] {
        let route = route(&hello(port, None, policy, &[]), Inner::Http1);
        let connected = connect(&worker, &route).await.unwrap();
        let (_, local) = connected.io.addresses().unwrap();
        let timer = keepalive_timer(local.port(), port);
        assert_eq!(timer.is_some_and(|it| (300..=500).contains(&it)), is_set, "{timer:?}");
        assert_eq!(timer.is_some(), is_set);
    }
}

/// In how many seconds, rounded up, the kernel asks whether the peer of a connection is there (`proc(5)`).
fn keepalive_timer(local: u16, remote: u16) -> Option<u64> {
    let (local, remote) = (format!(":{local:04X}"), format!(":{remote:04X}"));
    let look = || {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let mut sockets = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = sockets.find(|it| it[1].ends_with(&local) && it[2].ends_with(&remote));
        found.map(|it| it[5].to_owned())
    };
    // A table that is written while sockets come and go may leave out one that is there.
    let timer = std::iter::repeat_with(look).take(1000).flatten().next().expect("its socket");
    let (kind, ticks) = timer.split_once(':')?;
    // The kernel's clock ticks 100 times a second towards programs.
    (kind == "02").then(|| u64::from_str_radix(ticks, 16).unwrap().div_ceil(100))
}
