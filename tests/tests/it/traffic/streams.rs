//! Rules for connections of bytes and for TLS that passes: which one counts, and where it leads.

use std::sync::Arc;

use meltemi_tests::{Mesh, Sidecar, TcpApp, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::has_share;

const HOST: &str = "db.example.com";
/// What the servers say, and the ports of the service that lead to them.
const SERVERS: [(&[u8], u16); 4] =
    [(b"own", 9000), (b"right", 9010), (b"wrong", 9020), (b"other", 9030)];

/// The first message of a client of TLS that asks for a name.
pub(super) fn hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).expect("a vector takes bytes");
    bytes
}

/// What a server says to these bytes of a connection to a host and port.
async fn ask(client: &Sidecar, target: &str, bytes: &[u8]) -> Result<String, String> {
    let mut calls = client.http().await;
    let response = calls.call("CONNECT", target, &[("host", target)], b"").await;
    if response.status != 200 {
        return Err(format!("{target}: {}", response.status));
    }
    let mut stream = calls.into_stream();
    stream.get_mut().write_all(bytes).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = within("an answer", stream.read_to_string(&mut text)).await;
    read.map_err(|error| error.to_string()).map(|_| text)
}

/// A service of bytes outside of the mesh whose ports 9001 to 9006 have rules, and a caller with the label
/// `tier: front`. `kind` is `tcp` or `tls`, `names` what each match says besides.
async fn start(kind: &str, names: &str) -> (Mesh, Sidecar, Vec<TcpApp>) {
    let mesh = Mesh::start().await;
    let mut apps = Vec::new();
    for (answer, _) in SERVERS {
        apps.push(TcpApp::answers(answer).await);
    }
    let ruled = 9001..=9006;
    let protocol = kind.to_uppercase();
    let port = |number| format!("{{number: {number}, name: p{number}, protocol: {protocol}}}");
    let ports: Vec<_> = SERVERS.iter().map(|it| it.1).chain(ruled.clone()).map(port).collect();
    // Ports with rules lead to `own` without them; of the two endpoints one has another server for port 9030.
    let endpoint = |version: &str, last: u16| {
        let own = ruled.clone().chain([9000]).map(|it| format!("p{it}: {}", apps[0].port()));
        let others = [(9010, 1), (9020, 2)].map(|(it, at)| format!("p{it}: {}", apps[at].port()));
        let all: Vec<_> = own.chain(others).chain([format!("p9030: {last}")]).collect();
        let all = all.join(", ");
        format!("{{address: 127.0.0.1, labels: {{version: {version}}}, ports: {{{all}}}}}")
    };
    let to =
        |port: u16| format!("route: [{{destination: {{host: {HOST}, port: {{number: {port}}}}}}}]");
    let rule =
        |matches: &str, port: u16| format!("{{match: [{{{names}{matches}}}], {}}}", to(port));
    let part = |subset: &str, weight: u32| {
        format!(
            "{{destination: {{host: {HOST}, subset: {subset}, port: {{number: 9030}}}}, weight: {weight}}}"
        )
    };
    let split = format!(
        "{{match: [{{{names}port: 9006}}], route: [{}, {}]}}",
        part("v1", 25),
        part("v2", 75)
    );
    let rules = [
        rule("port: 9001", 9010),
        rule("port: 9002, sourceLabels: {tier: back}", 9020),
        rule("port: 9002, sourceLabels: {tier: front}", 9010),
        rule("port: 9003, sourceNamespace: far", 9020),
        rule("port: 9003, sourceNamespace: default", 9010),
        rule("port: 9004, gateways: [edge]", 9020),
        rule("port: 9004, gateways: [mesh]", 9010),
        rule("port: 9005, destinationSubnets: [240.1.2.0/24]", 9010),
        rule("port: 9005, destinationSubnets: [240.1.3.0/24]", 9020),
        split,
    ];
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: db}},
          spec: {{hosts: [{HOST}], addresses: [240.1.2.3], location: MESH_EXTERNAL, resolution: STATIC,
            ports: [{}], endpoints: [{}, {}]}}}}\n---\n\
         {{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: db}},
          spec: {{host: {HOST}, subsets: [{{name: v1, labels: {{version: v1}}}},
            {{name: v2, labels: {{version: v2}}}}]}}}}\n---\n\
         {{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: db}},
          spec: {{hosts: [{HOST}], {kind}: [{}]}}}}",
        ports.join(", "),
        endpoint("v1", apps[1].port()),
        endpoint("v2", apps[3].port()),
        rules.join(", ")
    ))
    .await;
    let client = mesh.workload("client").flag("--label", "tier=front").proxy().await;
    (mesh, client, apps)
}

/// Checks where connections go that begin with these bytes.
async fn check(client: &Sidecar, bytes: &[u8]) {
    eventually("the rules have arrived", async || {
        let text = ask(client, &format!("{HOST}:9001"), bytes).await?;
        (text == "right").then_some(()).ok_or(text)
    })
    .await;
    for (host, port, expected) in [
        (HOST, 9000, "own"),
        (HOST, 9002, "right"),
        (HOST, 9003, "right"),
        (HOST, 9004, "right"),
        ("240.1.2.3", 9005, "right"),
        // Without an address no subnet matches.
        (HOST, 9005, "own"),
    ] {
        let target = format!("{host}:{port}");
        assert_eq!(ask(client, &target, bytes).await.as_deref(), Ok(expected), "{target}");
    }
    has_share("v2", 0.75, 200, async || {
        let mut others = 0;
        for _ in 0..200 {
            let text = ask(client, &format!("{HOST}:9006"), bytes).await.unwrap();
            assert!(["right", "other"].contains(&text.as_str()), "{text}");
            others += usize::from(text == "other");
        }
        others
    })
    .await;
}

/// Fields: VirtualService spec.tcp[].match[].port, spec.tcp[].match[].sourceLabels.*,
/// spec.tcp[].match[].sourceNamespace, spec.tcp[].match[].gateways[], spec.tcp[].match[].destinationSubnets[],
/// spec.tcp[].route[].destination.host, spec.tcp[].route[].destination.port.number,
/// spec.tcp[].route[].destination.subset, spec.tcp[].route[].weight
#[tokio::test(flavor = "multi_thread")]
async fn connections_go_by_the_first_rule_that_matches() {
    let (_mesh, client, _apps) = start("tcp", "").await;
    check(&client, b"bytes").await;
}

/// Fields: VirtualService spec.tls[].match[].port, spec.tls[].match[].sourceLabels.*,
/// spec.tls[].match[].sourceNamespace, spec.tls[].match[].gateways[], spec.tls[].match[].destinationSubnets[],
/// spec.tls[].match[].sniHosts[], spec.tls[].route[].destination.host, spec.tls[].route[].destination.port.number,
/// spec.tls[].route[].destination.subset, spec.tls[].route[].weight
#[tokio::test(flavor = "multi_thread")]
async fn tls_goes_by_the_name_that_it_asks_for() {
    let (_mesh, client, _apps) = start("tls", &format!("sniHosts: [{HOST}], ")).await;
    check(&client, &hello(HOST)).await;
    // Of another name the rules say nothing.
    let other = ask(&client, &format!("{HOST}:9001"), &hello("other.example.com")).await;
    assert_eq!(other.as_deref(), Ok("own"));
}
