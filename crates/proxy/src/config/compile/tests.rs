use super::*;
use crate::config::fixture::{HELLO, endpoint, service, workload};

fn read(body: &[u8]) -> Result<ServicePlan, Unusable> {
    ServicePlan::read(body, &Own::of("default"))
}

fn read_service(change: impl Fn(&mut v1::Service)) -> Result<ServicePlan, Unusable> {
    let mut message = service("hello", &[80]);
    change(&mut message);
    read(&message.encode_to_vec())
}

fn read_endpoint(change: impl Fn(&mut v1::Endpoint)) -> Result<EndpointPlan, Unusable> {
    let mut message = endpoint("a");
    change(&mut message);
    EndpointPlan::read(&message.encode_to_vec())
}

#[test]
fn a_service_becomes_one_cluster_a_port() {
    let plan = read(&service("hello", &[443, 80]).encode_to_vec()).unwrap();
    assert_eq!(plan.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [80, 443]);
    let cluster = plan.words(&plan.ports[0], None);
    assert_eq!(&*cluster.name, "outbound|80||hello.default.svc.cluster.local");
    assert_eq!(cluster.sni.to_str(), "outbound_.80_._.hello.default.svc.cluster.local");
    assert!(matches!(cluster.sni, ServerName::DnsName(_)));
    assert_eq!(
        (&*cluster.host, &*cluster.service_name, &*cluster.service_namespace),
        (HELLO, "hello", "default")
    );
    assert_eq!((cluster.protocol, &*cluster.port_name), (Protocol::Http, "http"));
    assert_eq!((cluster.external, cluster.resolution), (false, Resolution::Static));
}

#[test]
fn hosts_that_fit_in_no_dns_name_are_called_without_one() {
    let long = vec!["a".repeat(60); 4].join(".");
    for host in ["*.example.com", "10.0.0.1", "::1", &long] {
        let plan = read_service(|it| it.host = host.into()).unwrap();
        assert!(matches!(plan.ports[0].sni, ServerName::IpAddress(_)), "{host}");
    }
}

#[test]
fn services_that_cannot_be_used_are_refused_with_the_reason() {
    let port = |number| v1::ServicePort { number, ..Default::default() };
    let refused = |change: &dyn Fn(&mut v1::Service)| read_service(change).unwrap_err().to_string();
    for (message, expected) in [
        (refused(&|it| it.host = "a b".into()), "`a b` is not a host name"),
        (refused(&|it| it.host = "Hello".into()), "`Hello` is not in canonical form"),
        (refused(&|it| it.host = String::new()), "is not a host name"),
        (refused(&|it| it.ports.push(port(0))), "is 0, which is no port"),
        (refused(&|it| it.ports.push(port(70_000))), "is 70000, which is no port"),
        (refused(&|it| it.ports.push(port(80))), "port 80 twice"),
        (refused(&|it| it.ports[0].protocol = 99), "a port's protocol has the value 99"),
        (refused(&|it| it.resolution = 7), "resolution has the value 7"),
        (read(b"\xff\xff").unwrap_err().to_string(), "cannot be decoded"),
    ] {
        assert!(message.contains(expected), "{message}: {expected}");
    }
}

#[test]
fn an_endpoint_is_ready_made_for_each_port_that_it_serves() {
    let plan = read_endpoint(|it| {
        it.ports.push(v1::PortMapping { service_port: 443, target_port: 8443, plaintext: false });
        it.locality = "eu/a".into();
    })
    .unwrap();
    let (on_80, on_443) = (plan.build(80, None).unwrap(), plan.build(443, None).unwrap());
    assert_eq!((on_80.port, on_443.port), (8080, 8443));
    assert_ne!(on_80.id, on_443.id);
    assert!(plan.build(81, None).is_none());
    assert_eq!((&*on_80.workload, &*on_80.namespace, &*on_80.locality), ("a", "default", "eu/a"));
    assert_eq!(on_80.address, Address::Ip(IpAddr::from([127, 0, 0, 1])));
    let tls = on_80.tls.as_ref().unwrap();
    let identity = "spiffe://cluster.local/ns/default/sa/hello";
    assert_eq!((tls.port, tls.identity.to_string().as_str()), (15006, identity));
    assert_eq!(on_80.labels["version"], "v1");
    assert_eq!(on_80.weight, 1, "0 stands for 1");
    let word = Word::new;
    let expected = Party {
        workload: word("hello-v1"),
        namespace: word("default"),
        principal: word(identity),
        app: word("hello"),
        version: word("v1"),
        canonical_service: word("hello"),
        canonical_revision: word("v1"),
        cluster: word("Kubernetes"),
    };
    assert_eq!(on_80.party, expected);
}

#[test]
fn an_endpoint_tells_on_which_ports_it_takes_no_mutual_tls() {
    let plan = read_endpoint(|it| {
        it.ports.push(v1::PortMapping { service_port: 443, target_port: 8443, plaintext: true });
    })
    .unwrap();
    let (on_80, on_443) = (plan.build(80, None).unwrap(), plan.build(443, None).unwrap());
    assert_eq!((on_80.is_plaintext, on_443.is_plaintext), (false, true));
    // Its sidecar stands before both.
    assert_eq!((on_80.entry(), on_443.entry()), (15006, 15006));
    assert!(
        !on_443.is_reached_as(&Endpoint { is_plaintext: false, ..plan.build(443, None).unwrap() })
    );
}

#[test]
fn a_mode_that_is_not_known_is_the_strictest() {
    for (value, expected) in [
        (v1::PeerAuthenticationMode::StrictMode.into(), Gate::MutualTls),
        (v1::PeerAuthenticationMode::PermissiveMode.into(), Gate::Either),
        (v1::PeerAuthenticationMode::DisableMode.into(), Gate::Plaintext),
        (99, Gate::MutualTls),
    ] {
        let mut message = workload();
        message.inbound[0].mode = value;
        let (inbound, _) = super::workload(&message.encode_to_vec()).unwrap();
        assert_eq!(inbound.gate, expected, "{value}");
    }
}

#[test]
fn without_mutual_tls_there_is_no_identity() {
    let plan = read_endpoint(|it| it.tls_mode = v1::TlsMode::Disable.into()).unwrap();
    let endpoint = plan.build(80, None).unwrap();
    assert_eq!((&endpoint.tls, endpoint.party.principal.as_str()), (&None, "unknown"));
}

#[test]
fn addresses_are_ips_or_names() {
    for (text, expected) in [
        ("10.0.0.1", Some("Ip(10.0.0.1)")),
        ("fd00::1", Some("Ip(fd00::1)")),
        ("Db.Example.com", Some("Name(\"db.example.com\")")),
        ("*.example.com", None),
        ("unix:///run/x", None),
        ("127.0.0.1:80", None),
        ("", None),
    ] {
        let plan = read_endpoint(|it| it.address = text.into()).ok();
        let read = plan.map(|plan| format!("{:?}", plan.address));
        assert_eq!(read.as_deref(), expected, "{text}");
    }
}

#[test]
fn endpoints_that_cannot_be_used_are_refused_with_the_reason() {
    let refused =
        |change: &dyn Fn(&mut v1::Endpoint)| read_endpoint(change).unwrap_err().to_string();
    for (message, expected) in [
        (refused(&|it| it.workload.clear()), "names no workload"),
        (refused(&|it| it.ports[0].service_port = 0), "a service port is 0"),
        (refused(&|it| it.ports[0].target_port = 65_536), "a target port is 65536"),
        (refused(&|it| it.ports.push(it.ports[0])), "port 80 twice"),
        (refused(&|it| it.inbound_port = 0), "its inbound port is 0"),
        (refused(&|it| it.identity.clear()), "is not a workload's SPIFFE id"),
        (refused(&|it| it.identity = "spiffe://x/ns/a".into()), "is not a workload's SPIFFE id"),
        (refused(&|it| it.tls_mode = 2), "its TLS mode has the value 2"),
        (EndpointPlan::read(b"\x0a\xff").err().unwrap().to_string(), "cannot be decoded"),
    ] {
        assert!(message.contains(expected), "{message}: {expected}");
    }
}

#[test]
fn our_own_workload_is_taken_whole_or_not_at_all() {
    let message = workload();
    let read = super::workload(&message.encode_to_vec()).unwrap().0;
    let port = read.find(HELLO, 80).unwrap();
    assert_eq!((port.target_port, port.protocol), (8080, Protocol::Http));
    assert_eq!((&*port.service_name, &*port.service_namespace), ("hello", "default"));
    let broken = |change: &dyn Fn(&mut v1::InboundPort)| {
        let mut message = message.clone();
        message.inbound.push(message.inbound[0].clone());
        change(&mut message.inbound[1]);
        super::workload(&message.encode_to_vec()).is_err()
    };
    assert!(!broken(&|it| it.service_port = 81));
    assert!(broken(&|it| it.service_port = 0));
    assert!(broken(&|it| it.target_port = 70_000));
    assert!(broken(&|it| it.protocol = -1));
    assert!(broken(&|it| it.host = "*a".into()));
}
