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
    assert_eq!((web.bind.as_str(), web.default_endpoint.as_str()), ("10.0.0.1", "127.0.0.1:8080"));
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
