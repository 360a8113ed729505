//! TLS that the sidecar makes for services outside of the mesh.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::shop::Shop;
use meltemi_tests::Response;

const SERIAL: u64 = 4711;

/// An authority whose files lie in a directory.
pub(super) struct Authority {
    directory: PathBuf,
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(directory: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { directory: directory.to_owned(), name, issuer };
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}-{name}", self.name))
    }

    pub(super) fn leaf(&self, name: &str, serial: u64) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Its own certificate.
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes what a client needs.
    fn write_client(&self) {
        let (certificate, key) = self.leaf("client.example.com", 1);
        std::fs::write(self.file("client.pem"), certificate.pem()).unwrap();
        std::fs::write(self.file("client.key"), key.serialize_pem()).unwrap();
    }

    /// Writes a list of revoked certificates.
    pub(super) fn write_crl(&self, name: &str, serial: u64) {
        let long_ago = rcgen::date_time_ymd(2020, 1, 1);
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: long_ago,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: long_ago,
            next_update: rcgen::date_time_ymd(2120, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        std::fs::write(self.file(name), list.pem().unwrap()).unwrap();
    }
}

/// A server of `shop.example.com` that answers each connection once: the name that it was asked by, and whether the
/// client had a certificate.
async fn server(authority: &Authority) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
    let (certificate, key) = authority.leaf("shop.example.com", SERIAL);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let (_, session) = stream.get_ref();
                let name = session.server_name().unwrap_or("none");
                let client = session.peer_certificates().is_some();
                let body = format!("{name} {client}");
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            });
        }
    });
    port
}

/// A caller of such a server; `entry` is more of the ServiceEntry.
async fn start(entry: &str) -> (Shop, Authority, Authority) {
    let shop = Shop::start(&[]).await;
    let own = Authority::new(shop.mesh.directory(), "own");
    let other = Authority::new(shop.mesh.directory(), "other");
    own.write_client();
    own.write_crl("all.crl", 99);
    own.write_crl("revoked.crl", SERIAL);
    let port = server(&own).await;
    shop.entry(&format!("{entry} endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]"))
        .await;
    (shop, own, other)
}

/// Checks what is answered by these rules for TLS; no text where TLS must fail.
async fn check(shop: &Shop, rules: &[(String, Option<&str>)]) {
    for (tls, expected) in rules {
        shop.policy(&format!("{{tls: {{{tls}}}}}")).await;
        let response = shop.get("/").await;
        let text = response.text();
        match expected {
            Some(expected) => {
                assert_eq!((response.status, text.as_str()), (200, *expected), "{tls}")
            }
            None => assert_eq!(response.status, 503, "{tls}: {text}"),
        }
    }
}

/// Fields: DestinationRule spec.trafficPolicy.tls.mode, spec.trafficPolicy.tls.caCertificates,
/// spec.trafficPolicy.tls.insecureSkipVerify, spec.trafficPolicy.tls.subjectAltNames[], spec.trafficPolicy.tls.sni,
/// spec.trafficPolicy.tls.caCrl
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_as_the_rule_says() {
    let (shop, own, other) = start("").await;
    let ca =
        |authority: &Authority| format!("caCertificates: {}", authority.file("ca.pem").display());
    let simple = |further: &str| format!("mode: SIMPLE, {}{further}", ca(&own));
    let crl = |name: &str| simple(&format!(", caCrl: {}", own.file(name).display()));
    let plain = "shop.example.com false";
    check(
        &shop,
        &[
            ("mode: DISABLE".to_owned(), None),
            (simple(""), Some(plain)),
            (format!("mode: SIMPLE, {}", ca(&other)), None),
            ("mode: SIMPLE, insecureSkipVerify: true".to_owned(), Some(plain)),
            (simple(", subjectAltNames: [other.example.com]"), None),
            (simple(", subjectAltNames: [other.example.com, shop.example.com]"), Some(plain)),
            (
                simple(", sni: set.example.com, subjectAltNames: [shop.example.com]"),
                Some("set.example.com false"),
            ),
            (crl("all.crl"), Some(plain)),
            (crl("revoked.crl"), None),
        ],
    )
    .await;
}

/// Fields: DestinationRule spec.trafficPolicy.tls.clientCertificate, spec.trafficPolicy.tls.privateKey
#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_rule_is_shown_to_the_server() {
    let (shop, own, _) = start("").await;
    let file = |name: &str| own.file(name).display().to_string();
    let rule = format!(
        "mode: MUTUAL, caCertificates: {}, clientCertificate: {}, privateKey: {}",
        file("ca.pem"),
        file("client.pem"),
        file("client.key")
    );
    check(&shop, &[(rule, Some("shop.example.com true"))]).await;
}

/// A Secret of the namespace, with these texts by key.
fn secret(name: &str, namespace: &str, texts: &[(&str, String)]) -> String {
    let data: serde_json::Map<_, _> =
        texts.iter().map(|(key, text)| ((*key).to_owned(), text.as_str().into())).collect();
    let metadata = serde_json::json!({"name": name, "namespace": namespace});
    let kind = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
        "stringData": data});
    kind.to_string()
}

/// Every file below a directory that holds a text.
fn holding(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if std::fs::read(&path)
                .is_ok_and(|it| it.windows(text.len()).any(|part| part == text.as_bytes()))
            {
                found.push(path);
            }
        }
    }
    found
}

/// The Secret is of the caller's namespace, the rule says for whom it is, and a change of either is followed.
///
/// Fields: DestinationRule spec.trafficPolicy.tls.credentialName
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_a_rule_come_from_a_secret() {
    let shop = Shop::start(&["app=client"]).await;
    let own = Authority::new(shop.mesh.directory(), "own");
    let other = Authority::new(shop.mesh.directory(), "other");
    let port = server(&own).await;
    shop.entry(&format!("endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]")).await;
    let rule = async |selector: &str| {
        let rule = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: shop}},
              spec: {{host: shop.example.com, {selector}
                trafficPolicy: {{tls: {{mode: MUTUAL, credentialName: partner}}}}}}}}"
        );
        shop.mesh.apply(&rule).await;
    };
    let answered = async |status: u16, text: &str| {
        let is_right = |it: &Response| it.status == status && it.text().contains(text);
        shop.client.until(text, "http://shop.example.com/", is_right).await;
    };
    let (certificate, key) = own.leaf("client.example.com", 1);
    let texts = |authority: &Authority| {
        let ca = std::fs::read_to_string(authority.file("ca.pem")).unwrap();
        [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", ca)]
    };

    rule("").await;
    answered(503, "for gateways alone").await;
    rule("workloadSelector: {matchLabels: {app: client}},").await;
    answered(503, "has sent no such Secret of the namespace default").await;
    shop.mesh.apply("{apiVersion: v1, kind: Namespace, metadata: {name: other}}").await;
    shop.mesh.apply(&secret("partner", "other", &texts(&own))).await;
    shop.mesh.apply(&secret("partner", "default", &texts(&other))).await;
    answered(503, "UnknownIssuer").await;
    shop.mesh.apply(&secret("partner", "default", &texts(&own))).await;
    answered(200, "shop.example.com true").await;
    shop.mesh.apply(&secret("partner", "default", &[("tls.key", "junk".into())])).await;
    answered(503, "tls.key of the Secret `partner` holds no private key").await;

    // The key is in the store, and nowhere else.
    let line = key.serialize_pem().lines().nth(1).unwrap().to_owned();
    let holders = holding(shop.mesh.directory(), &line);
    assert!(holders.iter().all(|it| it.starts_with(shop.mesh.state())), "{holders:?}");

    shop.mesh.apply(&secret("partner", "default", &texts(&own))).await;
    answered(200, "shop.example.com true").await;
    rule("workloadSelector: {matchLabels: {app: other}},").await;
    // The rule is for somebody else now: plaintext, which this server does not speak.
    answered(503, "").await;
}

/// A Role that names Secrets keeps them for the service accounts that a RoleBinding gives it to.
///
/// Fields: DestinationRule spec.trafficPolicy.tls.credentialName
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_role_keeps_for_another_account_is_not_given() {
    let shop = Shop::start(&["app=client"]).await;
    let own = Authority::new(shop.mesh.directory(), "own");
    let port = server(&own).await;
    shop.entry(&format!("endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]")).await;
    let (certificate, key) = own.leaf("client.example.com", 1);
    let ca = std::fs::read_to_string(own.file("ca.pem")).unwrap();
    let texts = [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", ca)];
    shop.mesh.apply(&secret("partner", "default", &texts)).await;
    shop.mesh
        .apply(
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: shop},
              spec: {host: shop.example.com, workloadSelector: {matchLabels: {app: client}},
                trafficPolicy: {tls: {mode: MUTUAL, credentialName: partner}}}}",
        )
        .await;
    let answered = async |status: u16, text: &str| {
        let is_right = |it: &Response| it.status == status && it.text().contains(text);
        shop.client.until(text, "http://shop.example.com/", is_right).await;
    };
    let readers = async |account: &str| {
        let yaml = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: reader}}\n\
             rules: [{{apiGroups: [\"\"], resources: [secrets], resourceNames: [partner], verbs: [get]}}]\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: readers}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}\n\
             subjects: [{{kind: ServiceAccount, name: {account}, namespace: default}}]\n"
        );
        shop.mesh.apply(&yaml).await;
    };
    answered(200, "shop.example.com true").await;
    readers("payments").await;
    answered(503, "has sent no such Secret of the namespace default").await;
    readers("default").await;
    answered(200, "shop.example.com true").await;
}

/// Fields: ServiceEntry spec.subjectAltNames[]
#[tokio::test(flavor = "multi_thread")]
async fn names_of_an_entry_are_asked_for_where_the_rule_has_none() {
    let (shop, own, _) = start("subjectAltNames: [other.example.com],").await;
    let simple = format!("mode: SIMPLE, caCertificates: {}", own.file("ca.pem").display());
    let named = format!("{simple}, subjectAltNames: [shop.example.com]");
    check(&shop, &[(simple, None), (named, Some("shop.example.com false"))]).await;
}
