//! Ingress listeners of a Sidecar resource with an address of their own, and with certificates of the user's own.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meltemi_tests::{Http1, HttpApp, Mesh, Response, Sidecar, eventually, free_port, within};
use rcgen::PublicKeyData as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::origination::Authority;

/// A workload `web` with a listener at an address of its own, and the authority of its certificates.
struct World {
    mesh: Mesh,
    authority: Authority,
    _app: HttpApp,
    _web: Option<Sidecar>,
    protocol: &'static str,
    port: u16,
    endpoint: u16,
    /// Numbers the certificates, so that each configuration can be awaited.
    count: u64,
}

/// How a caller comes.
#[derive(Clone, Copy)]
struct Caller<'a> {
    certificate: Option<&'a (rcgen::Certificate, rcgen::KeyPair)>,
    versions: &'a [&'static SupportedProtocolVersion],
}

const ANY: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
const NOBODY: Caller<'_> = Caller { certificate: None, versions: ANY };

fn with(certificate: &(rcgen::Certificate, rcgen::KeyPair)) -> Caller<'_> {
    Caller { certificate: Some(certificate), versions: ANY }
}

/// What a caller got: the certificate that it was shown, the suite, and the answer.
struct Answered {
    certificate: Vec<u8>,
    suite: String,
    text: String,
}

impl World {
    async fn start(protocol: &'static str) -> World {
        let mesh = Mesh::start().await;
        let authority = Authority::new(mesh.directory(), "ours");
        let app = HttpApp::start("web").await;
        let (port, endpoint) = (free_port(), app.port());
        let mut world =
            World { mesh, authority, _app: app, _web: None, protocol, port, endpoint, count: 0 };
        world.mode("DISABLE").await;
        world.listen("bind: 127.0.0.1").await;
        let web = world.mesh.workload("web").port(port, "http").proxy().await;
        world._web = Some(web);
        world
    }

    /// Says what the port asks of callers.
    async fn mode(&self, mode: &str) {
        let yaml = format!(
            "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: web}},
              spec: {{selector: {{matchLabels: {{app: web}}}}, mtls: {{mode: {mode}}}}}}}"
        );
        self.mesh.apply(&yaml).await;
    }

    /// Gives the workload a listener with these further fields.
    async fn listen(&self, further: &str) {
        let World { protocol, port, endpoint, .. } = self;
        let yaml = format!(
            "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: web}},
              spec: {{workloadSelector: {{labels: {{app: web}}}}, ingress: [
                {{port: {{number: {port}, protocol: {protocol}, name: web}},
                  defaultEndpoint: '127.0.0.1:{endpoint}', {further}}}]}}}}"
        );
        self.mesh.apply(&yaml).await;
    }

    /// Writes a new certificate of the server's; its files, and itself.
    fn certificate(&mut self) -> (PathBuf, PathBuf, Vec<u8>) {
        self.count += 1;
        let (certificate, key) = self.authority.leaf("web.example.com", 1000 + self.count);
        let [file, key_file] =
            ["pem", "key"].map(|end| self.authority.file(&format!("web-{}.{end}", self.count)));
        std::fs::write(&file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (file, key_file, certificate.der().to_vec())
    }

    /// Serves with a new certificate, and further fields of `tls`, once that is in effect for a caller who is welcome.
    async fn serve(&mut self, further: &str, welcome: Caller<'_>) -> Answered {
        let (file, key, certificate) = self.certificate();
        let (file, key) = (file.display(), key.display());
        let tls = format!("serverCertificate: {file}, privateKey: {key}, {further}");
        self.listen(&format!("bind: 127.0.0.1, tls: {{{tls}}}")).await;
        self.until(further, welcome, &certificate).await
    }

    async fn until(&self, what: &str, welcome: Caller<'_>, certificate: &[u8]) -> Answered {
        let answered = eventually(what, async || match self.call(welcome).await {
            Ok(answered) if answered.certificate == certificate => Ok(answered),
            Ok(_) => Err("the certificate of before".to_owned()),
            Err(error) => Err(error),
        })
        .await;
        assert!(answered.text.starts_with("HTTP/1.1 200"), "{what}: {}", answered.text);
        answered
    }

    /// Calls the listener's own address over TLS.
    async fn call(&self, caller: Caller<'_>) -> Result<Answered, String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate()).unwrap();
        let builder = ClientConfig::builder_with_protocol_versions(caller.versions)
            .with_root_certificates(roots);
        let config = match caller.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let talk = async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let name = ServerName::try_from("web.example.com").unwrap();
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await?;
            let mut text = Vec::new();
            let read = stream.read_to_end(&mut text).await;
            if text.is_empty() {
                read?;
                return Err(std::io::Error::other("closed without an answer"));
            }
            let session = stream.get_ref().1;
            let certificate = session.peer_certificates().unwrap()[0].to_vec();
            let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
            Ok(Answered { certificate, suite, text: String::from_utf8_lossy(&text).into_owned() })
        };
        within("an answer or the end", talk).await.map_err(|error| error.to_string())
    }

    /// Gets a path of the listener's own address in plaintext.
    async fn get(&self) -> Result<Response, String> {
        let calls = Http1::try_connect(([127, 0, 0, 1], self.port).into()).await;
        let mut calls = calls.map_err(|error| error.to_string())?;
        let answered = calls.try_call("GET", "/", &[("host", "web")], b"").await;
        answered.map_err(|error| error.to_string())
    }

    /// Whether plaintext comes to nothing there.
    async fn is_closed(&self) -> Result<(), String> {
        match self.get().await {
            Err(_) => Ok(()),
            Ok(answered) => Err(answered.text()),
        }
    }

    async fn is_refused(&self, what: &str, caller: Caller<'_>) {
        if let Ok(answered) = self.call(caller).await {
            panic!("{what}: {}", answered.text);
        }
    }
}

/// Fields: Sidecar spec.ingress[].bind, spec.ingress[].captureMode
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_has_an_address_of_its_own() {
    let world = World::start("HTTP").await;
    let served = eventually("plaintext, as the port has it", async || world.get().await).await;
    assert_eq!(served.served_by(), "web");
    // The mesh reaches the same port through the sidecar's inbound listener.
    let caller = world.mesh.client().await;
    caller.until("the mesh's own way", "http://web/", |it| it.served_by() == "web").await;
    // A port that takes mutual TLS of the mesh alone takes nothing else here either.
    world.mode("STRICT").await;
    eventually("plaintext is refused", async || world.is_closed().await).await;
    caller.until("the mesh's own way", "http://web/", |it| it.served_by() == "web").await;
    world.mode("DISABLE").await;
    eventually("plaintext again", async || world.get().await).await;
    // Without an address it is gone; where nothing is captured, all addresses stand for none.
    world.listen("").await;
    eventually("the listener is closed", async || world.is_closed().await).await;
    world.listen("captureMode: NONE").await;
    let served = eventually("at all addresses", async || world.get().await).await;
    assert_eq!(served.served_by(), "web");
}

/// Fields: Sidecar spec.ingress[].tls.mode, spec.ingress[].tls.serverCertificate, spec.ingress[].tls.privateKey
#[tokio::test(flavor = "multi_thread")]
async fn tls_ends_at_the_sidecar_with_the_users_certificate() {
    let mut world = World::start("HTTPS").await;
    world.serve("mode: SIMPLE", NOBODY).await;
    assert!(world.get().await.is_err(), "plaintext where TLS is meant");
    // A sidecar that a rule has speak TLS comes in by the inbound listener, which ends it too.
    let authority = world.authority.file("ca.pem");
    let rule = format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: web}},
          spec: {{host: web, trafficPolicy: {{tls: {{mode: SIMPLE, caCertificates: {},
            sni: web.example.com, subjectAltNames: [web.example.com]}}}}}}}}",
        authority.display()
    );
    world.mesh.apply(&rule).await;
    let caller = world.mesh.client().await;
    caller.until("by a rule's TLS", "http://web/", |it| it.served_by() == "web").await;
    // New files of the same names are read without a change of the configuration.
    let (new, new_key, certificate) = world.certificate();
    let before = world.count - 1;
    std::fs::rename(new_key, world.authority.file(&format!("web-{before}.key"))).unwrap();
    std::fs::rename(new, world.authority.file(&format!("web-{before}.pem"))).unwrap();
    world.until("the new certificate", NOBODY, &certificate).await;
    // Callers of the mesh are of the mesh's mutual TLS where the port takes that alone.
    world.mode("STRICT").await;
    eventually("TLS of others is refused", async || match world.call(NOBODY).await {
        Err(_) => Ok(()),
        Ok(answered) => Err(answered.text),
    })
    .await;
}

/// Fields: Sidecar spec.ingress[].tls.caCertificates, spec.ingress[].tls.caCrl, spec.ingress[].tls.subjectAltNames[],
/// spec.ingress[].tls.verifyCertificateHash[], spec.ingress[].tls.verifyCertificateSpki[]
#[tokio::test(flavor = "multi_thread")]
async fn callers_are_checked_as_the_listener_says() {
    let mut world = World::start("HTTPS").await;
    let [one, two] = [("one.example.com", 1), ("two.example.com", 2)]
        .map(|(name, it)| world.authority.leaf(name, it));
    let strange = Authority::new(world.mesh.directory(), "theirs").leaf("one.example.com", 1);
    let ca = format!("caCertificates: {}", world.authority.file("ca.pem").display());

    world.serve(&format!("mode: MUTUAL, {ca}"), with(&one)).await;
    world.is_refused("no certificate", NOBODY).await;
    world.is_refused("another authority's", with(&strange)).await;

    world.serve(&format!("mode: OPTIONAL_MUTUAL, {ca}"), NOBODY).await;
    assert!(world.call(with(&one)).await.is_ok());
    world.is_refused("another authority's", with(&strange)).await;

    world.authority.write_crl("crl.pem", 2);
    let crl = format!("caCrl: {}", world.authority.file("crl.pem").display());
    world.serve(&format!("mode: MUTUAL, {ca}, {crl}"), with(&one)).await;
    world.is_refused("revoked", with(&two)).await;

    let hash = digest(&SHA256, one.0.der())
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let key = STANDARD.encode(digest(&SHA256, &one.1.subject_public_key_info()));
    for demand in [
        "subjectAltNames: [one.example.com]".to_owned(),
        format!("verifyCertificateHash: ['{hash}']"),
        format!("verifyCertificateSpki: ['{key}']"),
    ] {
        world.serve(&format!("mode: MUTUAL, {ca}, {demand}"), with(&one)).await;
        world.is_refused(&demand, with(&two)).await;
    }
}

/// Fields: Sidecar spec.ingress[].tls.minProtocolVersion, spec.ingress[].tls.maxProtocolVersion,
/// spec.ingress[].tls.cipherSuites[], spec.ingress[].tls.tlsCertificates[].serverCertificate,
/// spec.ingress[].tls.tlsCertificates[].privateKey, spec.ingress[].tls.tlsCertificates[].caCertificates
#[tokio::test(flavor = "multi_thread")]
async fn versions_suites_and_several_certificates_are_as_the_listener_says() {
    let mut world = World::start("HTTPS").await;
    let old = Caller { versions: &[&TLS12], ..NOBODY };
    let new = Caller { versions: &[&TLS13], ..NOBODY };
    world.serve("mode: SIMPLE, minProtocolVersion: TLSV1_3", new).await;
    world.is_refused("TLS 1.2", old).await;
    world.serve("mode: SIMPLE, maxProtocolVersion: TLSV1_2", old).await;
    world.is_refused("TLS 1.3", new).await;
    for (name, expected) in [
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let answered = world.serve(&format!("mode: SIMPLE, cipherSuites: [{name}]"), old).await;
        assert_eq!(answered.suite, expected);
    }
    let (file, key, certificate) = world.certificate();
    let ca = world.authority.file("ca.pem");
    let several = format!(
        "bind: 127.0.0.1, tls: {{mode: MUTUAL, tlsCertificates: [{{serverCertificate: {}, privateKey: {},
           caCertificates: {}}}]}}",
        file.display(),
        key.display(),
        ca.display()
    );
    world.listen(&several).await;
    let one = world.authority.leaf("one.example.com", 1);
    world.until("by a list", with(&one), &certificate).await;
    world.is_refused("no certificate", NOBODY).await;
}
