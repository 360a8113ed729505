use meltemi_model::{Change, Model, Object, Settings, read, record::ObjectKind};
use meltemi_policy::destination::rule::{ConnectionPool, DestinationRule};
use meltemi_policy::route::rule::VirtualService;
use meltemi_wire::proto::meltemi::v1;
use serde_json::{Value, json};

use super::*;

fn settings() -> Settings {
    Settings::new("cluster.local".parse().unwrap(), "svc.cluster.local")
}

fn change(kind: ObjectKind, name: &str, spec: &Value) -> Change {
    let api_version = if kind == ObjectKind::Service { "v1" } else { "networking.istio.io/v1" };
    let resource = json!({
        "apiVersion": api_version, "kind": kind.as_str(),
        "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
    });
    read::change(Object::new(kind, "shop", name), &resource, &settings())
}

fn service(name: &str) -> Change {
    change(ObjectKind::Service, name, &json!({"ports": [{"port": 80, "name": "http"}]}))
}

fn message(catalog: &Catalog, name: &str) -> v1::Service {
    let encoded = catalog.service(name, &Viewer::of("shop")).unwrap();
    v1::Service::decode(&*encoded.body).unwrap()
}

#[test]
fn rules_are_read_back_as_they_were_and_the_rest_is_shared() {
    let mut model = Model::new(settings());
    let route = json!({"hosts": ["*.shop.svc.cluster.local"], "http": [{
        "match": [{"uri": {"prefix": "/a"}, "headers": {"x": {}}}],
        "route": [{"destination": {"host": "a", "subset": "v1"}, "weight": 1}, {"destination": {"host": "b"}, "weight": 2}],
        "timeout": "5s", "fault": {"abort": {"httpStatus": 503, "percentage": {"value": 1}}},
    }]});
    let rule = json!({"host": "a", "trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": true}}}});
    let (snapshot, affected) = model.apply(
        1,
        [
            service("a"),
            service("b"),
            change(ObjectKind::VirtualService, "v", &route),
            change(ObjectKind::DestinationRule, "d", &rule),
        ],
    );
    assert!(snapshot.rejected().is_empty(), "{:?}", snapshot.rejected());
    let first = Catalog::default().advance(snapshot.clone(), &affected);
    let (a, b) = (message(&first, "a"), message(&first, "b"));
    assert_eq!(a.virtual_services, b.virtual_services, "the same bytes");
    let rules = &snapshot.find("a", &Viewer::of("shop")).unwrap().rules;
    let sent: VirtualService = serde_json::from_slice(&a.virtual_services[0]).unwrap();
    assert_eq!(sent, *rules.virtual_services[0]);
    let sent: DestinationRule = serde_json::from_slice(&a.destination_rules[0]).unwrap();
    assert_eq!(sent, *rules.destination_rules[0]);
    assert!(b.destination_rules.is_empty() && !b.r#virtual);

    let (snapshot, affected) =
        model.apply(2, [change(ObjectKind::DestinationRule, "d", &json!({"host": "b"}))]);
    let second = first.advance(snapshot, &affected);
    assert!(message(&second, "a").destination_rules.is_empty());
    assert_eq!(message(&second, "b").destination_rules.len(), 1);
    let wildcard = "x.shop.svc.cluster.local";
    assert!(message(&second, wildcard).r#virtual, "the virtual service names it");
    let bytes =
        |catalog: &Catalog| catalog.service(wildcard, &Viewer::of("x")).unwrap().body.as_ptr();
    assert_eq!(bytes(&first), bytes(&second), "what did not change was not encoded again");
}

#[test]
fn every_way_to_find_addresses_travels() {
    let mut model = Model::new(settings());
    let kinds = [
        ("STATIC", v1::Resolution::Static),
        ("DNS", v1::Resolution::Dns),
        ("DNS_ROUND_ROBIN", v1::Resolution::DnsRoundRobin),
        ("NONE", v1::Resolution::None),
        ("DYNAMIC_DNS", v1::Resolution::DynamicDns),
    ];
    for (at, (word, expected)) in kinds.into_iter().enumerate() {
        let host = format!("h{at}.example.com");
        let endpoints = if word == "STATIC" {
            json!([{"address": "10.0.0.1", "network": "far"}])
        } else {
            json!([])
        };
        let spec = json!({"hosts": [host], "resolution": word, "subjectAltNames": ["san"], "endpoints": endpoints,
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]});
        let (snapshot, affected) =
            model.apply(1, [change(ObjectKind::ServiceEntry, &format!("e{at}"), &spec)]);
        assert!(snapshot.rejected().is_empty(), "{:?}", snapshot.rejected());
        let catalog = Catalog::default().advance(snapshot, &affected);
        let message = message(&catalog, &host);
        assert_eq!(
            (message.resolution(), &message.subject_alt_names[..]),
            (expected, &["san".to_owned()][..])
        );
        assert_eq!(message.addresses.len(), usize::from(at < 3), "{word}");
        if word == "STATIC" {
            let endpoint = catalog.endpoint(&host, "e0-10.0.0.1", &Viewer::of("default")).unwrap();
            assert_eq!(v1::Endpoint::decode(&*endpoint.body).unwrap().network, "far");
        }
    }
}

#[test]
fn a_workload_learns_of_itself_and_of_its_sidecar() {
    let mut model = Model::new(settings());
    let workload = json!({"address": "10.0.0.1", "labels": {"app": "web"}, "locality": "eu/a", "network": "n"});
    let sidecar = json!({
        "workloadSelector": {"labels": {"app": "web"}},
        "egress": [{"hosts": ["./*", "*/b.com", "far/c.com"]}],
        "ingress": [{"port": {"number": 9080, "protocol": "GRPC", "name": "x"}, "bind": "10.0.0.1",
            "defaultEndpoint": "unix:///run/x", "connectionPool": {"tcp": {"maxConnections": 1}}}],
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY", "egressProxy": {"host": "out", "port": {"number": 80}}},
        "inboundConnectionPool": {"tcp": {"maxConnections": 2}},
    });
    let (snapshot, affected) = model.apply(
        1,
        [
            change(ObjectKind::WorkloadEntry, "web", &workload),
            change(ObjectKind::Sidecar, "s", &sidecar),
        ],
    );
    let catalog = Catalog::default().advance(snapshot, &affected);
    let message = v1::Workload::decode(&*catalog.workload("shop/web").unwrap().body).unwrap();
    assert_eq!(
        (message.labels["app"].as_str(), message.locality.as_str(), message.network.as_str()),
        ("web", "eu/a", "n")
    );
    let sidecar = message.sidecar.unwrap();
    assert_eq!(
        (sidecar.name.as_str(), sidecar.outbound_mode()),
        ("shop/s", v1::OutboundMode::AllowAny)
    );
    let proxy = sidecar.egress_proxy.unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("out.shop.svc.cluster.local", 80));
    let limit = |json: &[u8]| {
        let pool: ConnectionPool = serde_json::from_slice(json).unwrap();
        pool.tcp.unwrap().max_connections
    };
    assert_eq!(limit(&sidecar.inbound_connection_pool), Some(2));
    assert_eq!(sidecar.egress, ["shop/*", "*/b.com", "far/c.com"]);
    let listener = &sidecar.ingress[0];
    assert_eq!((listener.port, listener.protocol()), (9080, v1::Protocol::Grpc));
    assert_eq!(
        (listener.bind.as_str(), listener.default_endpoint.as_str()),
        ("10.0.0.1:9080", "unix:///run/x")
    );
    assert_eq!(limit(&listener.connection_pool), Some(1));
}
