//! What a DestinationRule says of TLS and of connections, over real sockets.

use std::path::Path;
use std::sync::Arc;

use meltemi_wire::proto::meltemi::v1::Protocol;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use server::{Authority, Server};
use world::{Proxy, World, full, soon};

mod ages;
mod direct;
mod limits;
use crate::outbound::captured::tests::world;
mod mesh;
mod server;

/// A proxy that calls `web`, served by this server, by this policy.
async fn proxy(server: &Server, protocol: Protocol, policy: Value) -> Proxy {
    let world = World::default().service("web", 80, protocol, server.port).called("web", policy);
    world.start(&[("web", 80)]).await
}

/// What came back for a request.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

/// Makes a request over a connection of its own.
async fn get(proxy: &Proxy) -> Answered {
    let mut stream = proxy.connect("web", 80).await;
    ask(&mut stream, "close").await;
    let mut text = String::new();
    soon("an answer", stream.read_to_string(&mut text)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head: head.to_owned(), body: body.to_owned() }
}

async fn ask(stream: &mut TcpStream, connection: &str) {
    let request = format!("GET / HTTP/1.1\r\nhost: web\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_is_checked_as_the_rule_says() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start(Some(authority.server(&[&full("web"), "alias.example"]))).await;
    let ca = path(&authority.ca());
    for (tls, expected) in [
        (json!({"caCertificates": ca}), Ok("HTTP/1.1 sni=web.default.svc.cluster.local cert=no")),
        (
            json!({"caCertificates": ca, "sni": "alias.example"}),
            Ok("HTTP/1.1 sni=alias.example cert=no"),
        ),
        (json!({"caCertificates": ca, "sni": "other.example"}), Err("not valid for name")),
        (
            json!({"caCertificates": ca, "sni": "other.example", "subjectAltNames": ["alias.example"]}),
            Ok("HTTP/1.1 sni=other.example cert=no"),
        ),
        (
            json!({"caCertificates": ca, "subjectAltNames": ["other.example"]}),
            Err("bears none of the names other.example"),
        ),
        (json!({"caCertificates": path(&other.ca())}), Err("UnknownIssuer")),
        // The system knows no such authority.
        (json!({}), Err("certificate")),
        (
            json!({"insecureSkipVerify": true}),
            Ok("HTTP/1.1 sni=web.default.svc.cluster.local cert=no"),
        ),
        (json!({"caCertificates": "/none/ca.pem"}), Err("/none/ca.pem")),
        (json!({"credentialName": "secret"}), Err("credentialName `secret`")),
    ] {
        let mut rule = json!({"mode": "SIMPLE"});
        rule.as_object_mut().unwrap().extend(tls.as_object().unwrap().clone());
        let proxy = proxy(&server, Protocol::Http, json!({"tls": rule})).await;
        let answered = get(&proxy).await;
        match expected {
            Ok(body) => assert_eq!((answered.status, &*answered.body), (200, body), "{tls}"),
            Err(reason) => {
                assert_eq!(answered.status, 503, "{tls}");
                assert!(answered.body.contains(reason), "{}: {reason}", answered.body);
            }
        }
    }
}

#[tokio::test]
async fn a_server_outside_of_the_mesh_is_never_called_in_plaintext_instead() {
    let server = Server::start(None).await;
    for tls in [
        json!({"mode": "SIMPLE", "insecureSkipVerify": true}),
        json!({"mode": "SIMPLE", "credentialName": "secret"}),
        json!({"mode": "MUTUAL"}),
        json!({"mode": "ISTIO_MUTUAL"}),
    ] {
        let proxy = proxy(&server, Protocol::Http, json!({"tls": tls})).await;
        assert_eq!(get(&proxy).await.status, 503, "{tls}");
    }
    let proxy = proxy(&server, Protocol::Http, json!({"tls": {"mode": "DISABLE"}})).await;
    assert_eq!(get(&proxy).await.body, "HTTP/1.1 sni= cert=no");
}

#[tokio::test]
async fn our_certificate_is_shown_and_read_from_its_files() {
    let authority = Authority::new();
    let required = authority.server_for_clients(&[&full("web")]);
    let server = Server::start(Some(required)).await;
    let (certificate, key) = (authority.path("client.pem"), authority.path("client.key"));
    let tls = json!({
        "mode": "MUTUAL",
        "caCertificates": path(&authority.ca()),
        "clientCertificate": path(&certificate),
        "privateKey": path(&key),
    });
    let proxy = proxy(&server, Protocol::Http, json!({"tls": tls})).await;
    let missing = get(&proxy).await;
    assert_eq!(missing.status, 503);
    assert!(missing.body.contains("client.pem"), "{}", missing.body);
    authority.write_leaf("client", &["client"]);
    // Once the files are there, calls succeed without any change of the configuration.
    let shown = get(&proxy).await;
    assert_eq!(
        (shown.status, &*shown.body),
        (200, "HTTP/1.1 sni=web.default.svc.cluster.local cert=yes")
    );
    Authority::new().write_leaf_to(&authority.path(""), "client", &["client"]);
    let world = json!({"tls": {
        "mode": "MUTUAL",
        "caCertificates": path(&authority.ca()),
        "clientCertificate": path(&certificate),
        "privateKey": path(&key),
    }});
    let foreign = self::proxy(&server, Protocol::Http, world).await;
    assert_eq!(get(&foreign).await.status, 503, "a certificate of another authority");
}

#[tokio::test]
async fn an_upgrade_to_http_2_is_made_and_the_callers_protocol_kept() {
    let authority = Authority::new();
    let secure = Server::start(Some(authority.server(&[&full("web")]))).await;
    let plain = Server::start(None).await;
    let tls = json!({"mode": "SIMPLE", "caCertificates": path(&authority.ca())});
    let upgrade = json!({"http": {"h2UpgradePolicy": "UPGRADE"}});
    let policy = json!({"tls": tls, "connectionPool": upgrade});
    let upgraded = proxy(&secure, Protocol::Http, policy).await;
    let body = get(&upgraded).await.body;
    assert_eq!(body, "HTTP/2.0 https sni=web.default.svc.cluster.local cert=no");
    let upgraded = proxy(&plain, Protocol::Http, json!({"connectionPool": upgrade})).await;
    assert_eq!(get(&upgraded).await.body, "HTTP/2.0 http sni= cert=no");
    let kept = json!({"connectionPool": {"http": {
        "h2UpgradePolicy": "UPGRADE", "useClientProtocol": true,
    }}});
    let kept = proxy(&plain, Protocol::Http2, kept).await;
    assert_eq!(get(&kept).await.body, "HTTP/1.1 sni= cert=no");
}

#[tokio::test]
async fn bytes_are_carried_over_a_rules_tls_too() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.server(&[&full("web")]))).await;
    let tls = json!({"mode": "SIMPLE", "caCertificates": path(&authority.ca())});
    let fine = proxy(&server, Protocol::Tcp, json!({"tls": tls})).await;
    assert_eq!(get(&fine).await.body, "HTTP/1.1 sni=web.default.svc.cluster.local cert=no");
    let tls = json!({"mode": "SIMPLE", "credentialName": "secret"});
    let refused = proxy(&server, Protocol::Tcp, json!({"tls": tls})).await;
    let mut stream = refused.connect("web", 80).await;
    let mut nothing = Vec::new();
    // A reset is an end too.
    drop(soon("the end", stream.read_to_end(&mut nothing)).await);
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn servers_that_know_tls_1_2_only_are_called() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.old_server(&[&full("web")]))).await;
    let tls = json!({"mode": "SIMPLE", "caCertificates": path(&authority.ca())});
    let proxy = proxy(&server, Protocol::Http, json!({"tls": tls})).await;
    assert_eq!(get(&proxy).await.body, "HTTP/1.1 sni=web.default.svc.cluster.local cert=no");
}

#[tokio::test]
async fn a_rules_tls_holds_where_the_callers_own_destination_is_called() {
    let (authority, host) = (Authority::new(), "127.0.0.1");
    let server = Server::start(Some(authority.server(&[host]))).await;
    for (tls, expected) in [
        (json!({"caCertificates": path(&authority.ca())}), "HTTP/1.1 sni= cert=no"),
        (json!({"caCertificates": path(&Authority::new().ca())}), ""),
        (json!({"credentialName": "secret"}), ""),
    ] {
        let mut rule = json!({"mode": "SIMPLE"});
        rule.as_object_mut().unwrap().extend(tls.as_object().unwrap().clone());
        let policy = json!({"loadBalancer": {"simple": "PASSTHROUGH"}, "tls": rule});
        // The endpoint that the control plane knows is none.
        let world = World::default().service(host, server.port.into(), Protocol::Http, 1);
        let proxy = world.called(host, policy).start(&[(host, server.port)]).await;
        let mut stream = proxy.connect(host, server.port).await;
        ask(&mut stream, "close").await;
        let mut text = String::new();
        // A reset is an end too.
        drop(soon("the end", stream.read_to_string(&mut text)).await);
        assert_eq!(text.rsplit("\r\n\r\n").next(), Some(expected), "{tls}");
    }
}

/// Several at once.
async fn together(proxy: &Arc<Proxy>, count: usize) -> tokio::task::JoinSet<Answered> {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..count {
        let proxy = proxy.clone();
        all.spawn(async move { get(&proxy).await });
    }
    all
}
