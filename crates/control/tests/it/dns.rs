//! Names follow the registry.

use std::net::{Ipv4Addr, SocketAddr};

use http::{Method, StatusCode};
use meltemi_wire::type_url::SERVICE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::mesh::{HELLO, Mesh, registered, soon};

const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/serviceentries";
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

/// A question for the IPv4 addresses of a name.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Code and addresses of an answer. Names in it are compressed.
fn read(asked: &[u8], answer: &[u8]) -> (u8, Vec<Ipv4Addr>) {
    assert_eq!(answer[..2], asked[..2]);
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    let mut at = asked.len();
    let mut addresses = Vec::new();
    for _ in 0..count {
        while answer[at] != 0 && answer[at] & 0xc0 != 0xc0 {
            at += 1 + usize::from(answer[at]);
        }
        at += if answer[at] == 0 { 1 } else { 2 };
        let length = usize::from(u16::from_be_bytes([answer[at + 8], answer[at + 9]]));
        let data = &answer[at + 10..at + 10 + length];
        addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()));
        at += 10 + length;
    }
    addresses.sort();
    (answer[3] & 0x0f, addresses)
}

async fn ask(server: SocketAddr, name: &str) -> (u8, Vec<Ipv4Addr>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let asked = question(name);
    socket.send_to(&asked, server).await.unwrap();
    let mut answer = [0; 1500];
    let length = soon("an answer", socket.recv(&mut answer)).await.unwrap();
    read(&asked, &answer[..length])
}

async fn ask_tcp(server: SocketAddr, name: &str) -> (u8, Vec<Ipv4Addr>) {
    let asked = question(name);
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_u16(u16::try_from(asked.len()).unwrap()).await.unwrap();
    stream.write_all(&asked).await.unwrap();
    let mut answer = vec![0; usize::from(soon("an answer", stream.read_u16()).await.unwrap())];
    soon("an answer", stream.read_exact(&mut answer)).await.unwrap();
    read(&asked, &answer)
}

#[tokio::test]
async fn answers_follow_the_registry() {
    let mesh = Mesh::start().await;
    let server = mesh.plane.addresses().dns.unwrap();
    let mut web = mesh.member("web").await.subscribe("web");
    assert_eq!(ask(server, HELLO).await, (NO_SUCH_NAME, vec![]));

    let provider = mesh.member("hello").await;
    let first = provider.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    let second = provider.register("hello-2", "127.0.0.2");
    web.sees("hello-2").await;
    registered(&second).await;
    let both = vec![Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    for name in [HELLO, "hello", "hello.default", "hello.default.svc"] {
        assert_eq!(ask(server, name).await, (NO_ERROR, both.clone()), "{name}");
    }
    assert_eq!(ask_tcp(server, HELLO).await, (NO_ERROR, both.clone()));
    let nothing = ask(server, "nothing.default.svc.cluster.local").await;
    assert_eq!(nothing, (NO_SUCH_NAME, vec![]));
    assert_eq!(ask(server, "default.svc.cluster.local").await, (NO_ERROR, vec![]));

    drop(first);
    web.loses("hello-1").await;
    assert_eq!(ask(server, HELLO).await, (NO_ERROR, vec![both[1]]));
}

#[tokio::test]
async fn a_host_has_the_addresses_that_stand_for_it() {
    let mesh = Mesh::start().await;
    let server = mesh.plane.addresses().dns.unwrap();
    let entry = |name: &str, labels: Value, addresses: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "hosts": [format!("{name}.example.com")], "addresses": addresses, "resolution": "STATIC",
                "endpoints": [{"address": "127.0.0.7"}],
                "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
            },
        })
    };
    let label = "networking.istio.io/enable-autoallocate-ip";
    let entries = [
        entry("own", json!({}), json!(["127.0.0.8", "10.0.0.0/8"])),
        entry("plain", json!({}), json!([])),
        entry("given", json!({label: "true"}), json!([])),
    ];
    let mut web = mesh.member("web").await.subscribe("web");
    for entry in entries {
        let host = format!("{}.example.com", entry["metadata"]["name"].as_str().unwrap());
        web.handle.subscribe(SERVICE, &host);
        let (status, told) = mesh.api(Method::POST, ENTRIES, &entry).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
        while !web.next().await.added.iter().any(|added| added.name == host) {}
    }
    let own = (NO_ERROR, vec![Ipv4Addr::new(127, 0, 0, 8)]);
    assert_eq!(ask(server, "own.example.com").await, own);
    let endpoint = (NO_ERROR, vec![Ipv4Addr::new(127, 0, 0, 7)]);
    assert_eq!(
        ask(server, "plain.example.com").await,
        endpoint,
        "who is not captured must reach it"
    );
    let (code, given) = ask(server, "given.example.com").await;
    assert_eq!((code, given.len(), &given[0].octets()[..2]), (NO_ERROR, 1, &[240, 240][..]));
}
