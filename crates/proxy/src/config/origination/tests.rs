use std::time::Duration;

use meltemi_policy::destination::rule::{TcpKeepalive as KeepaliveRule, TcpPool};
use meltemi_wire::proto::meltemi::v1;

use super::*;
use crate::clock;
use crate::listen::alpn::Inner;

fn tls(mode: ClientTlsMode) -> ClientTls {
    ClientTls { mode, ..ClientTls::default() }
}

fn policy(tls: ClientTls) -> TrafficPolicy {
    TrafficPolicy { tls: Some(tls), ..TrafficPolicy::default() }
}

fn of(policy: &TrafficPolicy, before: Option<&Arc<Origination>>) -> Arc<Origination> {
    Origination::of(policy, &[], "example.com", &Own::default(), before)
}

#[test]
fn without_a_rule_all_clusters_share_one() {
    let plain = of(&TrafficPolicy::default(), None);
    assert_eq!(plain.id, 0);
    assert!(matches!(plain.tls, Tls::Auto));
    assert_eq!(plain.limits.connect_timeout, Duration::from_secs(10));
    let tcp = Some(TcpPool { max_connections: Some(3), ..TcpPool::default() });
    let http = Some(HttpPool { http2_max_requests: Some(3), ..HttpPool::default() });
    let connection_pool = Some(ConnectionPool { tcp, http });
    let limited = TrafficPolicy { connection_pool, ..TrafficPolicy::default() };
    assert_eq!(of(&limited, None).id, 0, "limits of number change no connection");
}

#[test]
fn it_stays_while_the_words_are_the_same() {
    let rule = policy(tls(ClientTlsMode::IstioMutual));
    let first = of(&rule, None);
    assert_ne!(first.id, 0);
    assert!(Arc::ptr_eq(&first, &of(&rule, Some(&first))));
    let other = of(&policy(tls(ClientTlsMode::Disable)), Some(&first));
    assert_ne!(other.id, first.id);
    assert_ne!(of(&rule, None).id, first.id);
}

#[test]
fn rules_that_cannot_be_followed_are_refused_not_weakened() {
    let secret = |mode| ClientTls { credential_name: "secret".into(), ..tls(mode) };
    for (rule, expected) in [
        (secret(ClientTlsMode::Simple), "credentialName `secret`"),
        (secret(ClientTlsMode::Mutual), "credentialName `secret`"),
        (tls(ClientTlsMode::Mutual), "needs both clientCertificate and privateKey"),
        (ClientTls { sni: "a b".into(), ..tls(ClientTlsMode::Simple) }, "`a b` is no host name"),
    ] {
        match &of(&policy(rule), None).tls {
            Tls::Refused(why) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_name_asked_for_is_the_rules_else_the_hosts() {
    let name = |sni: &str, host: &str| {
        let rule = policy(ClientTls { sni: sni.into(), ..tls(ClientTlsMode::Simple) });
        match &Origination::of(&rule, &[], host, &Own::default(), None).tls {
            Tls::Outside(outside) => outside.name.clone().map(|it| it.to_str().into_owned()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(name("other.com", "example.com").as_deref(), Some("other.com"));
    assert_eq!(name("", "example.com").as_deref(), Some("example.com"));
    assert_eq!(name("", "10.0.0.1").as_deref(), Some("10.0.0.1"));
    assert_eq!(name("", "*.example.com"), None);
}

#[test]
fn a_services_names_count_where_the_rule_has_none() {
    let service = ["a.example.com".to_owned()];
    let names = |own: &[&str]| {
        let subject_alt_names = own.iter().map(ToString::to_string).collect();
        let rule = policy(ClientTls { subject_alt_names, ..tls(ClientTlsMode::IstioMutual) });
        Origination::of(&rule, &service, "example.com", &Own::default(), None).names.clone()
    };
    assert_eq!(names(&[]), ["a.example.com"]);
    assert_eq!(names(&["b.example.com"]), ["b.example.com"]);
}

#[test]
fn limits_are_read_with_istios_defaults() {
    let keepalive = KeepaliveRule { probes: Some(3), time_ms: Some(7000), interval_ms: None };
    let tcp = TcpPool {
        connect_timeout_ms: Some(250),
        tcp_keepalive: Some(keepalive),
        max_connection_duration_ms: Some(60_000),
        idle_timeout_ms: Some(5000),
        ..TcpPool::default()
    };
    let limits = |http: HttpPool| {
        ConnectionLimits::of(Some(&ConnectionPool { tcp: Some(tcp.clone()), http: Some(http) }))
    };
    let it = limits(HttpPool::default());
    assert_eq!(it.connect_timeout, Duration::from_millis(250));
    assert_eq!(it.duration, Some(Duration::from_secs(60)));
    assert_eq!(
        (it.idle, it.tcp_idle),
        (Some(Duration::from_secs(5)), Some(Duration::from_secs(5)))
    );
    assert_eq!((it.requests, it.streams), (u64::MAX, usize::MAX));
    assert!(it.keepalive.is_some() && !it.upgrades && !it.keeps_protocol);
    let it = limits(HttpPool {
        idle_timeout_ms: Some(0),
        max_requests_per_connection: Some(2),
        max_concurrent_streams: Some(4),
        h2_upgrade_policy: H2UpgradePolicy::Upgrade,
        use_client_protocol: true,
        ..HttpPool::default()
    });
    assert_eq!((it.idle, it.requests, it.streams), (None, 2, 4), "0 is for ever");
    assert!(it.upgrades && it.keeps_protocol);
}

#[test]
fn files_are_read_again_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let rule =
        ClientTls { ca_certificates: path.to_str().unwrap().into(), ..tls(ClientTlsMode::Simple) };
    let origination = of(&policy(rule), None);
    let Tls::Outside(outside) = &origination.tls else { panic!("{origination:?}") };
    let now = clock::now();
    let error = outside.config(Inner::Http1, now).unwrap_err();
    assert!(error.contains("ca.pem"), "{error}");
    let write = || {
        let signed = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
        std::fs::write(&path, signed.cert.pem()).unwrap();
    };
    write();
    let first = outside.config(Inner::Http1, now).expect("mended, and seen at once");
    assert_eq!(first.alpn_protocols, [b"http/1.1".to_vec()]);
    write();
    let soon = outside.config(Inner::Http1, now).unwrap();
    assert!(Arc::ptr_eq(&first, &soon), "files are looked at once a second");
    let later = outside.config(Inner::Http1, clock::now() + TRUSTED_AND_MORE).unwrap();
    assert!(!Arc::ptr_eq(&first, &later));
    let same = outside.config(Inner::Http1, clock::now() + 3 * TRUSTED_AND_MORE).unwrap();
    assert!(Arc::ptr_eq(&later, &same), "unchanged files are not read again");
    assert_eq!(outside.config(Inner::Http2, now).unwrap().alpn_protocols, [b"h2".to_vec()]);
}

#[test]
fn a_secret_serves_rules_that_choose_their_workloads() {
    let own = |secret: Option<[&str; 3]>| {
        let mut own = Own::of("shop");
        if let Some([certificate, private_key, ca_certificates]) = secret {
            let message = v1::Credential {
                certificate: certificate.into(),
                private_key: private_key.into(),
                ca_certificates: ca_certificates.into(),
                ..v1::Credential::default()
            };
            own.credentials.insert("partner".into(), Credential::from(&message));
        }
        own
    };
    let rule = |mode, is_credential_of_gateways| {
        let credential_name = "partner".into();
        policy(ClientTls { credential_name, is_credential_of_gateways, ..tls(mode) })
    };
    let of = |rule: &TrafficPolicy, own: &Own, before: Option<&Arc<Origination>>| {
        Origination::of(rule, &[], "example.com", own, before)
    };
    let signed = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
    let (pem, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let (simple, mutual) = (rule(ClientTlsMode::Simple, false), rule(ClientTlsMode::Mutual, false));
    for (rule, own, expected) in [
        (&simple, own(None), "credentialName `partner`: the control plane has sent no"),
        (&rule(ClientTlsMode::Simple, true), own(Some([&pem, &key, &pem])), "for gateways alone"),
        (&mutual, own(Some(["", &key, &pem])), "needs both tls.crt and tls.key in the Secret"),
    ] {
        match &of(rule, &own, None).tls {
            Tls::Refused(why) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let full = own(Some([&pem, &key, &pem]));
    let config = |origination: &Origination| match &origination.tls {
        Tls::Outside(outside) => outside.config(Inner::Http1, clock::now()),
        other => panic!("{other:?}"),
    };
    let first = of(&mutual, &full, None);
    assert!(config(&first).unwrap().client_auth_cert_resolver.has_certs());
    assert!(!config(&of(&simple, &full, None)).unwrap().client_auth_cert_resolver.has_certs());
    assert!(Arc::ptr_eq(&first, &of(&mutual, &full, Some(&first))));
    assert!(!format!("{full:?} {first:?}").contains("BEGIN"));
    let broken = of(&mutual, &own(Some([&pem, "junk", &pem])), Some(&first));
    let error = config(&broken).unwrap_err();
    assert!(error.contains("tls.key of the Secret `partner` holds no private key"), "{error}");
}

/// Longer than files are taken for unchanged.
const TRUSTED_AND_MORE: Duration = Duration::from_secs(2);
