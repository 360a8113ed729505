use serde_json::json;

use super::*;
use crate::read::tests::read_yaml;
use crate::record::{ObjectKind, Record};

fn read(yaml: &str) -> Result<SidecarRecord, String> {
    match read_yaml(ObjectKind::Sidecar, yaml)? {
        Record::Sidecar(record) => Ok(record),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_has_its_place() {
    let record = read(
        r#"
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: it, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  workloadSelector: {labels: {app: web}}
  ingress:
  - port: {number: 9080, protocol: HTTP, name: web}
    bind: 10.0.0.1
    defaultEndpoint: 127.0.0.1:8080
    connectionPool: {tcp: {maxConnections: 3}}
  - port: {number: 9090, protocol: "", name: grpc-api}
  egress:
  - port: {number: 3306, protocol: MYSQL, name: db}
    hosts: ["data/*"]
    captureMode: NONE
  - hosts: ["./*", "*/api.example.com", "~/nothing.example.com"]
  inboundConnectionPool: {http: {http2MaxRequests: 9}}
  outboundTrafficPolicy:
    mode: REGISTRY_ONLY
    egressProxy: {host: egress, subset: v1, port: {number: 8443}}
"#,
    )
    .unwrap();
    let selector = record.selector.unwrap();
    assert_eq!(
        (selector["app"].as_str(), record.created.as_str()),
        ("web", "2026-01-01T00:00:00Z")
    );
    let egress = |namespace, host: &str| EgressHost { namespace, host: host.parse().unwrap() };
    assert_eq!(
        record.egress,
        [
            egress(EgressNamespace::Named("data".into()), "*"),
            egress(EgressNamespace::Own, "*"),
            egress(EgressNamespace::Any, "api.example.com"),
            egress(EgressNamespace::None, "nothing.example.com"),
        ]
    );
    let [db] = &record.listeners[..] else { panic!("{:?}", record.listeners) };
    let listener = (db.bind.as_str(), db.port, db.protocol, db.hosts.len());
    assert_eq!(listener, ("127.0.0.1:3306", Some(3306), Protocol::Tcp, 1));
    let [web, api] = &record.ingress[..] else { panic!("{:?}", record.ingress) };
    assert_eq!((web.port, web.protocol, web.name.as_str()), (9080, Protocol::Http, "web"));
    assert_eq!(web.bind, Some("10.0.0.1:9080".parse().unwrap()));
    assert_eq!((web.default_endpoint.as_str(), api.bind), ("127.0.0.1:8080", None));
    assert_eq!((&web.tls, &api.tls), (&None, &None));
    let pool = serde_json::to_value(&web.connection_pool).unwrap();
    assert_eq!(pool, json!({"tcp": {"maxConnections": 3}}));
    assert_eq!((api.port, api.protocol), (9090, Protocol::Grpc), "by its name");
    assert_eq!(record.outbound_mode, Some(OutboundMode::RegistryOnly));
    let proxy = record.egress_proxy.unwrap();
    assert_eq!(proxy.host.as_str(), "egress.shop.svc.cluster.local");
    assert_eq!((proxy.subset.as_str(), proxy.port), ("v1", Some(8443)));
    let pool = serde_json::to_value(&record.inbound_connection_pool).unwrap();
    assert_eq!(pool, json!({"http": {"http2MaxRequests": 9}}));
}

#[test]
fn what_is_left_out_is_as_the_mesh_has_it() {
    let head =
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: it, namespace: shop}";
    let record = read(&format!("{head}}}")).unwrap();
    assert_eq!(record, SidecarRecord::default());
    let empty = read(&format!("{head}, spec: {{workloadSelector: {{labels: {{}}}}}}}}")).unwrap();
    assert_eq!(empty.selector, None, "a selector of nothing is none");
    let wrong = read(&format!("{head}, spec: {{egress: [{{hosts: [api]}}]}}}}"));
    assert!(wrong.unwrap_err().contains("spec.egress[0].hosts[0]"));
}

#[test]
fn listeners_for_a_port_take_what_goes_there() {
    let scopes = |egress: &str| {
        let head = "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: it, namespace: shop}";
        let record = read(&format!("{head}, spec: {{egress: [{egress}]}}}}")).unwrap();
        let texts = record.scopes.iter().map(|scope| {
            let hosts: Vec<_> = scope.hosts.iter().map(|it| it.host.to_string()).collect();
            (scope.port, hosts.join(" "))
        });
        texts.collect::<Vec<_>>()
    };
    let text = |port, hosts: &str| (port, hosts.to_owned());
    assert_eq!(scopes("{hosts: ['*/a.com']}"), [], "nothing is narrowed");
    let captured = "{port: {number: 80, protocol: HTTP, name: a}, hosts: ['*/a.com']}";
    assert_eq!(scopes(captured), [text(Some(80), "a.com"), text(None, "")]);
    assert_eq!(
        scopes(&format!("{captured}, {{hosts: ['*/b.com']}}")),
        [text(Some(80), "a.com"), text(None, "b.com")]
    );
    // One with an address of its own narrows nothing.
    let own = "{port: {number: 90, protocol: HTTP, name: b}, bind: 127.0.0.1, hosts: ['*/c.com']}";
    assert_eq!(
        scopes(&format!("{captured}, {own}, {{hosts: ['*/b.com']}}")),
        [text(Some(80), "a.com"), text(Some(90), "c.com b.com"), text(None, "b.com")]
    );
}

#[test]
fn the_tls_of_a_listener_is_that_of_callers_outside() {
    let tls = |tls: &str, further: &str| {
        let head = "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: it, namespace: shop}";
        let listener =
            format!("{{port: {{number: 80, protocol: HTTPS, name: a}}, tls: {{{tls}}} {further}}}");
        read(&format!("{head}, spec: {{ingress: [{listener}]}}}}")).unwrap().ingress.remove(0)
    };
    let files = "serverCertificate: /a.pem, privateKey: /a.key";
    let read = tls(
        &format!("mode: MUTUAL, {files}, caCertificates: /ca.pem, minProtocolVersion: TLSV1_3"),
        ", captureMode: NONE",
    );
    assert_eq!(read.bind, Some("0.0.0.0:80".parse().unwrap()));
    let read = read.tls.unwrap();
    assert_eq!(read.mode, server_tls::ServerTlsMode::Mutual);
    assert_eq!(read.certificates[0].private_key, "/a.key");
    assert_eq!(read.ca_certificates, "/ca.pem");
    assert!(read.without_tls12 && !read.without_tls13);
    for (newest, without) in [
        ("TLSV1_2", [false, true]),
        ("TLSV1_1", [true, true]),
        ("TLSV1_3", [false, false]),
        ("TLS_AUTO", [false, false]),
    ] {
        let read = tls(&format!("mode: SIMPLE, {files}, maxProtocolVersion: {newest}"), "");
        let read = read.tls.unwrap();
        assert_eq!([read.without_tls12, read.without_tls13], without, "{newest}");
    }
    assert_eq!(tls("mode: ISTIO_MUTUAL", "").tls, None, "that is PeerAuthentication's");
    assert_eq!(tls("mode: PASSTHROUGH", "").tls, None, "that is the application's");
}
