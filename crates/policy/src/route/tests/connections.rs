use std::net::IpAddr;

use super::*;

fn to(host: &str, weight: u32) -> RouteDestination {
    let destination = Destination { host: host.into(), ..Destination::default() };
    RouteDestination { destination, weight }
}

fn tls(host: &str, names: &[&str]) -> TlsRoute {
    let sni_hosts = names.iter().map(|name| name.to_string()).collect();
    let matches = vec![TlsMatch { sni_hosts, ..TlsMatch::default() }];
    TlsRoute { matches, route: vec![to(host, 0)] }
}

fn tcp(host: &str, one: TcpMatch) -> TcpRoute {
    TcpRoute { matches: vec![one], route: vec![to(host, 0)] }
}

fn connections(tls: Vec<TlsRoute>, tcp: Vec<TcpRoute>) -> Connections {
    let service = VirtualService { tls, tcp, ..service(vec![]) };
    let table = try_compile(service).unwrap().unwrap();
    assert!(table.http.is_none());
    table.connections
}

#[test]
fn tls_goes_by_the_name_that_is_asked_for() {
    let mut with_port = tls("port", &["*.c.com"]);
    with_port.matches[0].port = Some(8443);
    with_port.matches[0].destination_subnets = vec!["10.1.0.0/16".into()];
    let rules = connections(
        vec![tls("exact", &["x.com", "A.b.com"]), tls("wild", &["*.b.com"]), with_port],
        vec![],
    );
    assert!(rules.has_tls() && !rules.has_tcp());
    for (name, address, port, expected) in [
        ("a.b.com", None, 443, Some("exact")),
        ("A.B.COM", None, 443, Some("exact")),
        ("c.b.com", None, 443, Some("wild")),
        ("d.c.b.com", None, 443, Some("wild")),
        ("b.com", None, 443, None),
        ("a.c.com", Some("10.1.2.3"), 8443, Some("port")),
        ("a.c.com", Some("10.2.2.3"), 8443, None),
        ("a.c.com", None, 8443, None),
        ("a.c.com", Some("10.1.2.3"), 443, None),
    ] {
        let address = address.map(|it| it.parse::<IpAddr>().unwrap());
        let found = rules.find_tls(name, address, port, 0);
        assert_eq!(found.map(|it| it.host.as_str()), expected, "{name} {address:?} {port}");
    }
}

#[test]
fn other_connections_go_by_port_and_address() {
    let port = TcpMatch { port: Some(27017), ..TcpMatch::default() };
    let subnets = vec!["fd00::/8".to_owned(), "10.0.0.1".to_owned()];
    let address = TcpMatch { destination_subnets: subnets, ..TcpMatch::default() };
    let elsewhere = TcpMatch { gateways: vec!["ns/gateway".into()], ..TcpMatch::default() };
    let mut rest = tcp("rest", TcpMatch::default());
    rest.matches.clear();
    rest.route = vec![to("a", 1), to("b", 3)];
    let rules = connections(
        vec![],
        vec![tcp("elsewhere", elsewhere), tcp("port", port), tcp("address", address), rest],
    );
    assert!(rules.has_tcp() && !rules.has_tls());
    for (address, port, random, expected) in [
        (None, 27017, 0, "port"),
        (Some("10.0.0.1"), 80, 0, "address"),
        (Some("::ffff:10.0.0.1"), 80, 0, "address"),
        (Some("fd12::1"), 80, 0, "address"),
        (Some("10.0.0.2"), 80, 0, "a"),
        (None, 80, 1, "b"),
        (None, 80, 4, "a"),
    ] {
        let address = address.map(|it| it.parse::<IpAddr>().unwrap());
        let found = rules.find_tcp(address, port, random).unwrap();
        assert_eq!(found.host, expected, "{address:?} {port} {random}");
    }
}

#[test]
fn blocks_of_addresses_are_read() {
    for (text, inside, outside) in [
        ("0.0.0.0/0", "255.0.0.1", "::1"),
        ("::/0", "ff::1", "1.2.3.4"),
        ("10.1.2.0/23", "10.1.3.255", "10.1.4.0"),
        ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
        ("fd00::/64", "fd00::ff", "fd00:0:0:1::"),
    ] {
        let subnet: Subnet = text.parse().unwrap();
        assert!(subnet.contains(inside.parse().unwrap()), "{text}");
        assert!(!subnet.contains(outside.parse().unwrap()), "{text}");
    }
    for text in ["", "x", "10.0.0.0/33", "10.0.0/8", "::/129", "1.2.3.4/", "1.2.3.4/-1"] {
        assert_eq!(text.parse::<Subnet>(), Err(SubnetError(text.into())));
    }
}
