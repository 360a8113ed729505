//! Tables of questions and what is to be done with them.

pub(crate) mod mesh;

use hickory_proto::rr::RData;
use mesh::Mesh;
use proptest::prelude::*;

use super::*;

use Resolution::{Dns, None as Unresolved, Static};

const HELLO: &str = "hello.default.svc.cluster.local";

fn bookshop() -> Mesh {
    Mesh::default()
        .with(
            HELLO,
            Static,
            &["http:80", "dns:53/udp"],
            &["hello-1=10.0.0.1", "hello.2=10.0.0.2*7", "six=fd00::1"],
        )
        .with(
            "local.default.svc.cluster.local",
            Static,
            &["http:80"],
            &["a=127.0.0.1", "b=127.0.0.1"],
        )
        .with("empty.default.svc.cluster.local", Static, &["http:80"], &[])
        .with("reviews.shop.svc.cluster.local", Static, &["http:80"], &["r=10.0.1.1"])
        .with("git.default.svc.cluster.local", Static, &[], &["g=10.0.2.1"])
        .with("alias.default.svc.cluster.local", Dns, &[], &["x=db.corp.example"])
        .with("chain.default.svc.cluster.local", Dns, &[], &["x=hello.default.svc.cluster.local"])
        .with("gone.default.svc.cluster.local", Dns, &[], &["x=nosuch.default.svc.cluster.local"])
        .with("loop.default.svc.cluster.local", Dns, &[], &["x=pool.default.svc.cluster.local"])
        .with("pool.default.svc.cluster.local", Dns, &[], &["x=loop.default.svc.cluster.local"])
        .with("example.com", Dns, &["https:443"], &[])
        .with("static.example.net", Static, &["https:443"], &["s=192.0.2.1"])
        .with("moved.example.net", Dns, &["https:443"], &["m=target.example.org"])
        .with("*.wild.example", Static, &["https:443"], &["w=192.0.2.7"])
        .with("*.free.example", Unresolved, &["https:443"], &[])
        .with("*", Unresolved, &[], &[])
}

fn verdict(mesh: &Mesh, name: &str, wanted: RecordType, rotation: usize) -> Verdict {
    let zone = Zone::new("Svc.Cluster.Local.").unwrap();
    let query = Query::query(Name::from_ascii(name).unwrap(), wanted);
    let search = ["corp.example".to_owned()];
    zone.answer(&Question { query: &query, names: mesh, search: &search, rotation })
}

/// A verdict on one line: code, answers, and behind `|` the owner of the SOA.
fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Forward => "forward".into(),
        Verdict::Follow { aliases, target } => format!("{}, follow {target}", lines(aliases)),
        Verdict::Answer(reply) => {
            let code = match reply.code {
                ResponseCode::NoError => "ok",
                ResponseCode::NXDomain => "nxdomain",
                ResponseCode::ServFail => "servfail",
                _ => "?",
            };
            let soa: String =
                reply.authorities.iter().map(|it| format!(" | {}", it.name)).collect();
            assert_eq!(reply.authoritative, reply.code != ResponseCode::ServFail);
            format!("{code} {}{soa}", lines(&reply.answers)).replace("  ", " ").trim().into()
        }
    }
}

fn lines(records: &[Record]) -> String {
    let line = |record: &Record| match &record.data {
        RData::CNAME(target) => format!("{} -> {}", record.name, target.0),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target),
        other => other.to_string(),
    };
    records.iter().map(line).collect::<Vec<_>>().join(", ")
}

fn table(mesh: &Mesh, wanted: RecordType, rows: &[(&str, &str)]) {
    for (name, expected) in rows {
        assert_eq!(told(&verdict(mesh, name, wanted, 0)), *expected, "{name} {wanted}");
    }
}

#[test]
fn names_of_the_mesh_short_and_with_search_domains() {
    let hello = "ok 10.0.0.1, 10.0.0.2";
    let nothing = "nxdomain | svc.cluster.local.";
    table(
        &bookshop(),
        RecordType::A,
        &[
            ("hello.default.svc.cluster.local.", hello),
            ("HELLO.default.Svc.cluster.LOCAL.", hello),
            ("hello.", hello),
            ("hello.default.", hello),
            ("hello.default.svc.", hello),
            // The search domains that Kubernetes gives to a workload, here of two namespaces, with ndots:5.
            ("hello.default.svc.cluster.local.default.svc.cluster.local.", hello),
            ("hello.default.svc.cluster.local.shop.svc.cluster.local.", hello),
            ("hello.default.svc.cluster.local.svc.cluster.local.", hello),
            ("hello.default.svc.cluster.local.cluster.local.", hello),
            ("hello.default.svc.shop.svc.cluster.local.", hello),
            ("hello.default.svc.svc.cluster.local.", hello),
            ("hello.default.shop.svc.cluster.local.", hello),
            ("hello.default.cluster.local.", hello),
            // This machine's.
            ("hello.default.svc.cluster.local.corp.example.", hello),
            ("hello.default.svc.CORP.example.", hello),
            ("reviews.shop.svc.cluster.local.corp.example.", "ok 10.0.1.1"),
            // A host of that domain is not hidden by a short name.
            ("git.corp.example.", "forward"),
            ("git.default.corp.example.", "forward"),
            // What `hello` is in another namespace.
            ("hello.shop.svc.cluster.local.", nothing),
            ("hello.svc.cluster.local.", nothing),
            ("hello.cluster.local.", "forward"),
            ("nosuch.default.svc.cluster.local.", nothing),
            ("nosuch.default.svc.cluster.local.default.svc.cluster.local.", nothing),
            ("nosuch.svc.cluster.local.", nothing),
            ("nosuch.", "forward"),
            ("nosuch.default.", "forward"),
            ("default.pod.cluster.local.", "forward"),
            (".", "forward"),
            ("www.example.org.", "forward"),
            ("1.0.0.10.in-addr.arpa.", "forward"),
            // Nothing that is no host.
            ("*.default.svc.cluster.local.", nothing),
        ],
    );
}

#[test]
fn labels_of_any_bytes_are_names_too() {
    let mesh = bookshop();
    let zone = Zone::new("svc.cluster.local").unwrap();
    for (labels, expected) in [
        (vec![&b"\xff\0"[..], b"example"], "forward"),
        (vec![&b"\xff"[..], b"svc", b"cluster", b"local"], "nxdomain | svc.cluster.local."),
        (
            vec![&b"hello.default"[..], b"svc", b"cluster", b"local"],
            "nxdomain | svc.cluster.local.",
        ),
    ] {
        let query = Query::query(Name::from_labels(labels.clone()).unwrap(), RecordType::A);
        let question = Question { query: &query, names: &mesh, search: &[], rotation: 0 };
        assert_eq!(told(&zone.answer(&question)), expected, "{labels:?}");
    }
}

#[test]
fn types_that_are_not_there() {
    let none = "ok | svc.cluster.local.";
    table(
        &bookshop(),
        RecordType::AAAA,
        &[
            ("hello.default.svc.cluster.local.", "ok fd00::1"),
            ("reviews.shop.svc.cluster.local.", none),
            ("empty.default.svc.cluster.local.", none),
            ("reviews.shop.", "ok | reviews.shop."),
            ("nosuch.shop.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("static.example.net.", "ok | static.example.net."),
            ("localhost.", "ok ::1"),
        ],
    );
    for wanted in [RecordType::TXT, RecordType::MX, RecordType::HTTPS, RecordType::NS] {
        table(
            &bookshop(),
            wanted,
            &[
                ("hello.default.svc.cluster.local.", none),
                ("_http._tcp.hello.default.svc.cluster.local.", none),
                ("svc.cluster.local.", none),
                ("static.example.net.", "forward"),
                ("localhost.", "ok | localhost."),
            ],
        );
    }
    table(
        &bookshop(),
        RecordType::A,
        &[
            ("empty.default.svc.cluster.local.", none),
            ("svc.cluster.local.", none),
            ("default.svc.cluster.local.", none),
            ("shop.svc.cluster.local.", none),
            ("_tcp.hello.default.svc.cluster.local.", none),
            ("_tcp.git.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("localhost.", "ok 127.0.0.1"),
            ("deep.LocalHost.", "ok 127.0.0.1"),
        ],
    );
    table(
        &bookshop(),
        RecordType::ANY,
        &[
            ("hello.default.svc.cluster.local.", "ok 10.0.0.1, 10.0.0.2, fd00::1"),
            ("localhost.", "ok 127.0.0.1, ::1"),
        ],
    );
}

#[test]
fn ports() {
    let all = "ok 0 1 80 hello-1.hello.default.svc.cluster.local., 0 7 80 hello-2.hello.default.svc.cluster.local., \
               0 1 80 six.hello.default.svc.cluster.local., ";
    let dns = all.replace(" 80 ", " 53 ");
    let http = all.trim_end_matches(", ");
    let both = format!("{all}{}", dns.trim_start_matches("ok ").trim_end_matches(", "));
    table(
        &bookshop(),
        RecordType::SRV,
        &[
            ("_http._tcp.hello.default.svc.cluster.local.", http),
            ("_HTTP._Tcp.hello.default.svc.cluster.local.", http),
            ("_http._tcp.hello.", http),
            ("_http._tcp.hello.default.svc.cluster.local.default.svc.cluster.local.", http),
            ("_dns._udp.hello.default.svc.cluster.local.", dns.trim_end_matches(", ")),
            ("hello.default.svc.cluster.local.", &both),
            ("_dns._tcp.hello.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("_http._sctp.hello.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("_http._tcp.nosuch.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("_http._tcp.empty.default.svc.cluster.local.", "ok | svc.cluster.local."),
            ("_https._tcp.static.example.net.", "ok 0 1 443 s.static.example.net."),
            ("_https._tcp.a.wild.example.", "ok 0 1 443 w.a.wild.example."),
            ("_ldap._tcp.static.example.net.", "forward"),
            ("_https._tcp.example.com.", "forward"),
            ("_https._tcp.moved.example.net.", "ok 0 1 443 target.example.org."),
        ],
    );
}

#[test]
fn targets_of_ports_resolve() {
    let mut mesh = bookshop();
    mesh.service(HELLO).endpoints[0].ports = vec![(80, 8001)];
    let long = "w".repeat(64);
    mesh.service(HELLO).endpoints[1].workload = long.as_str().into();
    mesh.service(HELLO).endpoints[2].workload = "".into();
    for name in ["_http._tcp.hello.default.svc.cluster.local.", "_https._tcp.a.wild.example."] {
        let Verdict::Answer(reply) = verdict(&mesh, name, RecordType::SRV, 0) else {
            panic!("{name} is not answered")
        };
        assert_eq!(reply.answers.len(), reply.additionals.len());
        for (answer, additional) in reply.answers.iter().zip(&reply.additionals) {
            let RData::SRV(srv) = &answer.data else { panic!("{answer} is no SRV record") };
            assert_eq!(srv.target, additional.name);
            let wanted = additional.record_type();
            let Verdict::Answer(found) = verdict(&mesh, &srv.target.to_ascii(), wanted, 0) else {
                panic!("{} is not answered", srv.target)
            };
            assert_eq!(found.answers, std::slice::from_ref(additional));
        }
    }
    let told = told(&verdict(&mesh, "_http._tcp.hello.", RecordType::SRV, 0));
    for part in
        ["0 1 8001 hello-1.hello.", "0 7 80 10-0-0-2.hello.", "80 fd00-0-0-0-0-0-0-1.hello."]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn one_endpoint_has_its_own_name() {
    table(
        &bookshop(),
        RecordType::A,
        &[
            ("hello-1.hello.default.svc.cluster.local.", "ok 10.0.0.1"),
            ("hello-2.hello.default.svc.cluster.local.", "ok 10.0.0.2"),
            ("six.hello.default.svc.cluster.local.", "ok | svc.cluster.local."),
            ("hello-3.hello.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
            ("s.static.example.net.", "ok 192.0.2.1"),
            // Short forms name services only, or `web.dev` could be hidden by a workload `web` of a service `dev`.
            ("hello-1.hello.", "forward"),
        ],
    );
}

#[test]
fn names_outside_of_the_mesh() {
    table(
        &bookshop(),
        RecordType::A,
        &[
            ("example.com.", "forward"),
            ("static.example.net.", "ok 192.0.2.1"),
            ("a.wild.example.", "ok 192.0.2.7"),
            ("b.a.wild.example.", "ok 192.0.2.7"),
            ("wild.example.", "forward"),
            ("a.free.example.", "forward"),
            (
                "moved.example.net.",
                "moved.example.net. -> target.example.org., follow target.example.org.",
            ),
            // With a search domain behind them: an alias, and the records.
            (
                "Example.com.default.svc.cluster.local.",
                "Example.com.default.svc.cluster.local. -> Example.com., follow Example.com.",
            ),
            (
                "static.example.net.svc.cluster.local.",
                "ok static.example.net.svc.cluster.local. -> static.example.net., 192.0.2.1",
            ),
            (
                "static.example.net.corp.example.",
                "ok static.example.net.corp.example. -> static.example.net., 192.0.2.1",
            ),
            (
                "a.free.example.cluster.local.",
                "a.free.example.cluster.local. -> a.free.example., follow a.free.example.",
            ),
            (
                "moved.example.net.corp.example.",
                "moved.example.net.corp.example. -> moved.example.net., moved.example.net. -> target.example.org., \
             follow target.example.org.",
            ),
            ("www.example.org.default.svc.cluster.local.", "nxdomain | svc.cluster.local."),
        ],
    );
}

#[test]
fn services_that_stand_for_host_names() {
    let to = |name: &str, target: &str| format!("{name}.default.svc.cluster.local. -> {target}");
    let alias = to("alias", "db.corp.example., follow db.corp.example.");
    let chain =
        format!("ok {}, 10.0.0.1, 10.0.0.2", to("chain", "hello.default.svc.cluster.local."));
    let gone = to("gone", "nosuch.default.svc.cluster.local. | svc.cluster.local.");
    table(
        &bookshop(),
        RecordType::A,
        &[
            ("alias.default.svc.cluster.local.", &alias),
            ("chain.default.svc.cluster.local.", &chain),
            ("gone.default.svc.cluster.local.", &format!("nxdomain {gone}")),
        ],
    );
    table(
        &bookshop(),
        RecordType::CNAME,
        &[
            (
                "alias.default.svc.cluster.local.",
                &format!("ok {}", to("alias", "db.corp.example.")),
            ),
            ("hello.default.svc.cluster.local.", "ok | svc.cluster.local."),
        ],
    );
    table(&bookshop(), RecordType::MX, &[("alias.default.svc.cluster.local.", &alias)]);
    let circle = told(&verdict(&bookshop(), "loop.", RecordType::A, 0));
    assert!(circle.starts_with("servfail"), "{circle}");
}

#[test]
fn the_order_turns_and_each_address_stands_once() {
    let mesh = bookshop();
    let first = |rotation| told(&verdict(&mesh, "hello.", RecordType::A, rotation));
    assert_eq!(first(0), "ok 10.0.0.1, 10.0.0.2");
    assert_eq!(first(1), "ok 10.0.0.2, 10.0.0.1");
    assert_eq!(first(2), first(0));
    assert_eq!(first(usize::MAX), first(1));
    assert_eq!(told(&verdict(&mesh, "local.", RecordType::A, 1)), "ok 127.0.0.1");
    let srv = told(&verdict(&mesh, "_http._tcp.local.", RecordType::SRV, 1));
    let (a, b) = ("a.local.default.svc.cluster.local.", "b.local.default.svc.cluster.local.");
    assert_eq!(srv, format!("ok 0 1 80 {b}, 0 1 80 {a}"));
}

#[test]
fn answers_are_kept_for_seconds_only_and_in_the_case_of_the_question() {
    let Verdict::Answer(reply) = verdict(&bookshop(), "_HTTP._tcp.hELLo.", RecordType::SRV, 0)
    else {
        panic!("not answered")
    };
    assert!(reply.answers.iter().all(|it| it.name.to_ascii() == "_HTTP._tcp.hELLo."));
    assert!(reply.answers.iter().chain(&reply.additionals).all(|it| it.ttl <= 5));
    let Verdict::Answer(reply) =
        verdict(&bookshop(), "hello.shop.svc.cluster.local.", RecordType::A, 0)
    else {
        panic!("not answered")
    };
    let RData::SOA(soa) = &reply.authorities[0].data else { panic!("no SOA") };
    assert!((1..=5).contains(&soa.minimum) && reply.authorities[0].ttl <= 5);
    assert_eq!(soa.mname.to_ascii(), "ns.dns.svc.cluster.local.");
    let apex = verdict(&bookshop(), "svc.cluster.local.", RecordType::SOA, 0);
    assert!(told(&apex).starts_with("ok ns.dns.svc.cluster.local. hostmaster."), "{}", told(&apex));
}

#[test]
fn a_suffix_has_to_be_a_name() {
    for suffix in ["", ".", "a..b", "a b", "-a", "*.x"] {
        let message = Zone::new(suffix).unwrap_err().to_string();
        assert!(message.contains("svc.cluster.local"), "{message}");
    }
    // Only `svc.` has search domains above it.
    let zone = Zone::new("mesh.example").unwrap();
    let query = Query::query(Name::from_ascii("example.com.example.").unwrap(), RecordType::A);
    let mesh = Mesh::default().with("example.com", Static, &[], &["s=192.0.2.1"]);
    let question = Question { query: &query, names: &mesh, search: &[], rotation: 0 };
    assert_eq!(zone.answer(&question), Verdict::Forward);
}

proptest! {
    #[test]
    fn what_lies_below_the_suffix_is_never_asked_elsewhere(
        labels in prop::collection::vec("(_?[a-zA-Z0-9]{1,6}|hello|default|svc|cluster|local|example|com)", 0..6),
        kind in any::<u16>(),
        rotation in any::<usize>(),
    ) {
        let name = labels.into_iter().map(|label| label + ".").collect::<String>() + HELLO + ".";
        match verdict(&bookshop(), &name, kind.into(), rotation) {
            Verdict::Forward => prop_assert!(false, "{name} is forwarded"),
            Verdict::Follow { target, .. } => {
                let zone = Name::from_ascii("svc.cluster.local.").unwrap();
                prop_assert!(!zone.zone_of(&target), "{name} is forwarded as {target}");
            }
            Verdict::Answer(reply) => {
                let asked = Name::from_ascii(&name).unwrap();
                prop_assert!(reply.answers.first().is_none_or(|first| first.name.eq_case(&asked)));
            }
        }
    }
}
