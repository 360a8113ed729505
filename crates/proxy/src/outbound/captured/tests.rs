use std::sync::Arc;

use meltemi_wire::proto::meltemi::v1::Protocol;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use world::{Proxy, World, app, full, soon};

pub(crate) mod world;

/// An application that says who it is, then sends back what comes.
async fn echo(name: &'static str) -> u16 {
    app(move |mut stream| async move {
        stream.write_all(name.as_bytes()).await?;
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.map(drop)
    })
    .await
}

/// Two services beside `web`, each of one application that says its name.
async fn world(protocol: Protocol) -> World {
    World::default()
        .service("web", 443, protocol, echo("web:").await)
        .service("one", 443, protocol, echo("one:").await)
        .service("two", 443, protocol, echo("two:").await)
}

fn to(name: &str) -> Value {
    json!([{"destination": {"host": full(name)}}])
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    soon("bytes", stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Who answers.
async fn who(stream: &mut TcpStream) -> String {
    String::from_utf8(read(stream, 4).await).unwrap()
}

/// Who answers at an address once these bytes are sent, which have to come back as they are.
async fn answers(proxy: &Proxy, host: &str, port: u16, bytes: &[u8]) -> String {
    let mut stream = proxy.connect(host, port).await;
    stream.write_all(bytes).await.unwrap();
    let who = who(&mut stream).await;
    assert_eq!(read(&mut stream, bytes.len()).await, bytes);
    who
}

/// Waits until the connection is closed from the other side; what came before.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(soon("the end", stream.read_to_end(&mut rest)).await);
    rest
}

/// The ClientHello of a client that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn tls_goes_by_the_name_that_it_asks_for() {
    let rules = json!({"tls": [
        {"match": [{"sniHosts": ["one.example.com"]}], "route": to("one")},
        {"match": [{"sniHosts": ["*.example.com"], "port": 443}], "route": to("two")},
    ]});
    for protocol in [Protocol::Tls, Protocol::Https, Protocol::Auto] {
        let world = world(protocol).await.routed("web", rules.clone());
        let proxy = world.start(&[("web", 443)]).await;
        for (name, expected) in [
            ("one.example.com", "one:"),
            ("ONE.example.com", "one:"),
            ("other.example.com", "two:"),
            ("example.org", "web:"),
            ("127.0.0.1", "web:"),
        ] {
            let who = answers(&proxy, "web", 443, &hello(name)).await;
            assert_eq!(who, expected, "{name} over {protocol:?}");
        }
        // The first bytes are no TLS.
        let who = answers(&proxy, "web", 443, b"\x00no hello at all, whatever the port says").await;
        assert_eq!(who, "web:", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_name_is_read_though_it_comes_in_parts() {
    let rules = json!({"tls": [
        {"match": [{"sniHosts": ["one.example.com"]}], "route": to("one")},
    ]});
    let world = world(Protocol::Tls).await.routed("web", rules);
    let proxy = world.start(&[("web", 443)]).await;
    let mut stream = proxy.connect("web", 443).await;
    stream.set_nodelay(true).unwrap();
    let bytes = hello("one.example.com");
    for part in bytes.chunks(200) {
        stream.write_all(part).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(who(&mut stream).await, "one:");
    assert_eq!(read(&mut stream, bytes.len()).await, bytes);
}

#[tokio::test]
async fn other_ports_do_not_look_for_a_name() {
    let rules = json!({"tls": [{"match": [{"sniHosts": ["*.example.com"]}], "route": to("one")}]});
    let world = world(Protocol::Tcp).await.routed("web", rules);
    let proxy = world.start(&[("web", 443)]).await;
    // The server speaks first: nothing is waited for.
    let mut stream = proxy.connect("web", 443).await;
    assert_eq!(who(&mut stream).await, "web:");
    assert_eq!(answers(&proxy, "web", 443, &hello("one.example.com")).await, "web:");
}

#[tokio::test]
async fn connections_go_by_port_and_weight() {
    let rules = json!({"tcp": [
        {"match": [{"port": 8443}], "route": to("one")},
        {"match": [{"port": 443}], "route": [
            {"destination": {"host": full("one")}, "weight": 50},
            {"destination": {"host": full("two"), "port": 443}, "weight": 50},
        ]},
    ]});
    for protocol in [Protocol::Tcp, Protocol::Auto] {
        let world = world(protocol).await.routed("web", rules.clone());
        let proxy = world.start(&[("web", 443)]).await;
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..40 {
            let mut stream = proxy.connect("web", 443).await;
            stream.write_all(b"\0").await.unwrap();
            *seen.entry(who(&mut stream).await).or_default() += 1;
        }
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["one:", "two:"], "{protocol:?}");
    }
    // Without a rule for the port it is the service itself; ports of TLS take no rules for TCP.
    let only_other = json!({"tcp": [{"match": [{"port": 8443}], "route": to("one")}]});
    for (protocol, rules) in [(Protocol::Tcp, only_other), (Protocol::Tls, rules)] {
        let proxy = world(protocol).await.routed("web", rules).start(&[("web", 443)]).await;
        assert_eq!(answers(&proxy, "web", 443, b"\0").await, "web:", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_host_without_a_service_goes_by_its_rules() {
    let host = "shop.example.com";
    let rules = json!({
        "tls": [{"match": [{"sniHosts": ["shop.example.com"], "port": 443}], "route": to("one")}],
        "tcp": [{"match": [{"port": 25}, {"port": 443}], "route": to("two")}],
    });
    let world = world(Protocol::Tcp).await.named(host).routed(host, rules);
    let proxy = world.start(&[(host, 25), (host, 443), (host, 80)]).await;
    assert_eq!(answers(&proxy, host, 443, &hello(host)).await, "one:");
    assert_eq!(answers(&proxy, host, 443, &hello("example.org")).await, "two:");
    // Bytes that look like HTTP are bytes, as there are no rules for requests.
    assert_eq!(answers(&proxy, host, 25, b"GET / HTTP/1.1\r\n\r\n").await, "two:");
    let mut tunnel = soon("a connection", TcpStream::connect(proxy.outbound)).await.unwrap();
    let request = format!("CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n");
    tunnel.write_all(request.as_bytes()).await.unwrap();
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(read(&mut tunnel, answer.len()).await, answer);
    let bytes = hello(host);
    tunnel.write_all(&bytes).await.unwrap();
    assert_eq!(who(&mut tunnel).await, "one:");
    assert_eq!(read(&mut tunnel, bytes.len()).await, bytes);
    // No rule, and no service.
    let mut stream = proxy.connect(host, 80).await;
    stream.write_all(b"\0").await.unwrap();
    assert_eq!(closed(stream).await, b"");
    assert_eq!(proxy.counted("NR"), (1, 1));
}

#[tokio::test]
async fn a_destination_that_is_not_there_closes_the_connection() {
    let gone = json!({"tcp": [{"route": to("gone")}]});
    let subset = json!([{"destination": {"host": full("one"), "subset": "v9"}}]);
    for rules in [gone, json!({"tcp": [{"route": subset}]})] {
        let world = world(Protocol::Tcp).await.routed("web", rules);
        let proxy = world.start(&[("web", 443), ("none", 443)]).await;
        assert_eq!(closed(proxy.connect("web", 443).await).await, b"");
        assert_eq!((proxy.counted("NC"), proxy.counted("NR")), ((1, 1), (0, 0)));
        assert_eq!(closed(proxy.connect("none", 443).await).await, b"");
        assert_eq!((proxy.counted("NC"), proxy.counted("NR")), ((1, 1), (1, 1)));
    }
}

async fn with_policy(policy: Value, app: u16) -> Proxy {
    let world = World::default().service("web", 443, Protocol::Tcp, app).called("web", policy);
    world.start(&[("web", 443)]).await
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let policy = json!({"connectionPool": {"tcp": {"maxConnections": 2}}});
    let proxy = with_policy(policy, echo("web:").await).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = proxy.connect("web", 443).await;
        assert_eq!(who(&mut stream).await, "web:");
        held.push(stream);
    }
    assert_eq!(closed(proxy.connect("web", 443).await).await, b"");
    assert_eq!(proxy.counted("UO"), (1, 1));
    let mut first = held.remove(0);
    first.shutdown().await.unwrap();
    assert_eq!(closed(first).await, b"");
    // Its place is free a moment after its caller has seen the end.
    let again = async {
        loop {
            let mut stream = proxy.connect("web", 443).await;
            let mut answer = [0; 4];
            if stream.read_exact(&mut answer).await.is_ok() {
                return answer;
            }
        }
    };
    assert_eq!(&soon("another connection", again).await, b"web:");
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_busy_one_is_not() {
    let policy = json!({"connectionPool": {"tcp": {"idleTimeoutMs": 1000}}});
    let proxy = with_policy(policy, echo("web:").await).await;
    let silent = proxy.connect("web", 443).await;
    let mut busy = proxy.connect("web", 443).await;
    assert_eq!(who(&mut busy).await, "web:");
    let busily = async {
        loop {
            busy.write_all(b"x").await.unwrap();
            assert_eq!(read(&mut busy, 1).await, b"x");
        }
    };
    tokio::select! {
        end = closed(silent) => assert_eq!(end, b"web:"),
        () = busily => {}
    }
    assert_eq!(proxy.counted("-"), (2, 1));
}

#[tokio::test]
async fn a_connection_is_closed_when_it_has_lived_long_enough() {
    let policy = json!({"connectionPool": {"tcp": {"maxConnectionDurationMs": 100}}});
    let proxy = with_policy(policy, echo("web:").await).await;
    let mut stream = proxy.connect("web", 443).await;
    assert_eq!(who(&mut stream).await, "web:");
    // Though it is never silent.
    let busily = async {
        let mut back = [0];
        while stream.write_all(b"x").await.is_ok() && stream.read_exact(&mut back).await.is_ok() {}
    };
    soon("the end", busily).await;
    assert_eq!((proxy.counted("-"), proxy.counted("DT")), ((1, 0), (0, 1)));
}

#[tokio::test]
async fn the_proxy_protocol_tells_who_called() {
    let sent_back = app(|mut stream: TcpStream| async move {
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.map(drop)
    })
    .await;
    let proxy = with_policy(json!({"proxyProtocol": "V1"}), sent_back).await;
    let mut stream = proxy.connect("web", 443).await;
    let (own, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nping", own.port(), there.port());
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut stream, line.len()).await, line.as_bytes());
    let proxy = with_policy(json!({"proxyProtocol": "V2"}), sent_back).await;
    let mut stream = proxy.connect("web", 443).await;
    let ports = [stream.local_addr().unwrap().port(), stream.peer_addr().unwrap().port()];
    let header = read(&mut stream, 28).await;
    assert_eq!(header[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(header[12..24], [0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1]);
    assert_eq!(header[24..], ports.map(u16::to_be_bytes).concat());
}

#[tokio::test]
async fn rules_hold_for_a_host_whose_own_address_is_called() {
    let app = echo("web:").await;
    let policy = json!({
        "proxyProtocol": "V1", "connectionPool": {"tcp": {"maxConnections": 1}},
    });
    let world = World::default().service("web", app.into(), Protocol::Tcp, app);
    let world = world.outside("web", "127.0.0.1").called("127.0.0.1", policy);
    let proxy = world.start(&[("127.0.0.1", app)]).await;
    let mut stream = proxy.connect("127.0.0.1", app).await;
    assert_eq!(read(&mut stream, 16).await, b"web:PROXY TCP4 1");
    assert_eq!(closed(proxy.connect("127.0.0.1", app).await).await, b"");
    assert_eq!((proxy.counted("-"), proxy.counted("UO")), ((1, 0), (1, 1)));
}

/// A proxy that answers a tunnel's request so, and tells its caller the request's head and what follows.
async fn far_proxy(answer: &'static str, chunked: bool) -> u16 {
    app(move |mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        stream.write_all(answer.as_bytes()).await?;
        let framed = match chunked {
            true => [format!("{:x}\r\n", head.len()).as_bytes(), &head, b"\r\n"].concat(),
            false => head,
        };
        stream.write_all(&framed).await?;
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_connect() {
    let far = far_proxy("HTTP/1.1 200 Connection established\r\ncontent-length: 3\r\n\r\n", false);
    let policy = json!({"tunnel": {"targetHost": "db.example.com", "targetPort": 5432}});
    let proxy = with_policy(policy, far.await).await;
    let mut stream = proxy.connect("web", 443).await;
    stream.write_all(b"bytes").await.unwrap();
    let told = "CONNECT db.example.com:5432 HTTP/1.1\r\nhost: db.example.com:5432\r\n\r\nbytes";
    assert_eq!(String::from_utf8(read(&mut stream, told.len()).await).unwrap(), told);
    stream.shutdown().await.unwrap();
    assert_eq!(closed(stream).await, b"");
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_post() {
    let far = far_proxy("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true).await;
    let policy = json!({"tunnel": {"usePost": true, "targetHost": "::1", "targetPort": 5432}});
    let proxy = with_policy(policy, far).await;
    let mut stream = proxy.connect("web", 443).await;
    stream.write_all(b"bytes").await.unwrap();
    stream.shutdown().await.unwrap();
    let told = "POST / HTTP/1.1\r\nhost: [::1]:5432\r\ntransfer-encoding: chunked\r\n\r\nbytes";
    // The far proxy sends the caller's chunks back, the last one included.
    assert_eq!(String::from_utf8(closed(stream).await).unwrap(), told);
}

#[tokio::test]
async fn a_tunnel_that_is_refused_closes_the_connection() {
    let far = far_proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", false).await;
    let policy = json!({"tunnel": {"targetHost": "db.example.com", "targetPort": 5432}});
    let proxy = with_policy(policy, far).await;
    assert_eq!(closed(proxy.connect("web", 443).await).await, b"");
    assert_eq!(proxy.counted("UF"), (1, 1));
}
