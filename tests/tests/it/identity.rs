//! Who may connect: inbound ports take members of the mesh only, and the control plane lets in holders of good tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::ca::Authority;
use meltemi_identity::token::{Issuer, Uses};
use meltemi_identity::{AlpnPlan, Identity, Svid, TrustBundle, csr, key};
use meltemi_names::SpiffeId;
use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, WorkloadBuilder, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

pub(crate) const ID: &str = "spiffe://cluster.local/ns/default/sa/default";

pub(crate) async fn server(mesh: &Mesh) -> (HttpApp, Sidecar) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), "http").proxy().await;
    (app, sidecar)
}

/// The mesh's own authority, out of its state directory.
pub(crate) fn authority(mesh: &Mesh) -> Authority {
    let domain = "cluster.local".parse().unwrap();
    Authority::open_or_create(&mesh.state().join("ca"), domain, SystemTime::now()).unwrap()
}

fn foreign(directory: &Path, domain: &str) -> Authority {
    let domain = domain.parse().unwrap();
    Authority::open_or_create(directory, domain, SystemTime::now()).unwrap()
}

/// A certificate of an authority, made at a time.
pub(crate) fn issue(authority: &Authority, id: &str, at: SystemTime) -> Svid {
    let id: SpiffeId = id.parse().unwrap();
    let key = key::generate().unwrap();
    let request = csr::create(&key, &id).unwrap();
    let chain = authority.sign(&request, &id, Duration::from_secs(3600), at).unwrap();
    Svid::from_pem(&chain.concat(), &key.to_pem()).unwrap()
}

/// Connects with a certificate and sends a request: whether anything came back.
pub(crate) async fn is_answered(sidecar: &Sidecar, svid: Svid, trusted: TrustBundle) -> bool {
    let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![b"http/1.1".to_vec()]] };
    let identity = Identity::new(svid, trusted, plan).unwrap();
    let connector = TlsConnector::from(Arc::clone(&identity.tls().clients[0]));
    let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    let exchange = async {
        let mut stream = connector.connect(name, stream).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        // With TLS 1.3 a refused certificate shows only now.
        stream.read_exact(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 ").then_some(())
    };
    within("an answer or its refusal", exchange).await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn inbound_ports_take_members_of_the_mesh_only() {
    let mesh = Mesh::start().await;
    let (app, sidecar) = server(&mesh).await;
    let authority = authority(&mesh);
    let trusted = authority.bundle();
    let now = SystemTime::now();
    assert!(
        is_answered(&sidecar, issue(&authority, ID, now), trusted.clone()).await,
        "a member is let in: the refusals below are about the certificate"
    );
    let before = app.requests();
    let long_ago = now - Duration::from_secs(7200);
    let directory = tempfile::tempdir().unwrap();
    let same_name = foreign(&directory.path().join("same"), "cluster.local");
    let other_domain = foreign(&directory.path().join("other"), "example.org");
    for (what, svid) in [
        ("a foreign authority", issue(&same_name, ID, now)),
        (
            "another trust domain",
            issue(&other_domain, "spiffe://example.org/ns/default/sa/default", now),
        ),
        ("an expired certificate", issue(&authority, ID, long_ago)),
    ] {
        assert!(!is_answered(&sidecar, svid, trusted.clone()).await, "{what} is let in");
    }
    assert_eq!(app.requests(), before, "nothing reached the application");
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_is_refused_on_inbound_ports() {
    let mesh = Mesh::start().await;
    let (app, sidecar) = server(&mesh).await;
    let mut calls = Http1::connect(sidecar.inbound).await;
    calls.send("GET / HTTP/1.1\r\nhost: hello\r\n\r\n").await;
    let answer = calls.try_response("GET").await;
    assert!(answer.is_err(), "an answer in plaintext: {answer:?}");
    assert_eq!(app.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_readable_by_their_owner_alone() {
    let mesh = Mesh::start().await;
    let _server = server(&mesh).await;
    let mut keys = 0;
    let mut directories = vec![mesh.state()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_secret = text.contains("PRIVATE KEY") || name.contains("token");
            if is_secret || name == "control.json" {
                keys += 1;
                assert!(meltemi_identity::is_private(&path).unwrap(), "{}", path.display());
            }
        }
    }
    assert!(keys >= 4, "root, intermediate, tokens and a workload's key: {keys} were found");
}

/// A workload of the account `reviews` that knows of the mesh nothing but where it is, its root certificate, and the token.
fn from_elsewhere<'m>(mesh: &'m Mesh, token: &str, elsewhere: &Path) -> WorkloadBuilder<'m> {
    let file = elsewhere.join("join.token");
    std::fs::write(&file, token).unwrap();
    mesh.workload("reviews")
        .flag("--service-account", "reviews")
        .flag("--control", &format!("https://{}", mesh.addresses().secure_xds))
        .flag("--token-file", file.to_str().unwrap())
        .flag("--trust-bundle", mesh.state().join("ca/root-cert.pem").to_str().unwrap())
        .flag("--state-dir", elsewhere.to_str().unwrap())
}

/// Starts a proxy with a token that must be refused: what it says at its end.
async fn refused(mesh: &Mesh, token: &str) -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut proxy = from_elsewhere(mesh, token, elsewhere.path()).attempt("proxy", &[]);
    let status = proxy.ended().await;
    assert_eq!(status.code(), Some(1), "{}", proxy.log());
    proxy.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_account_tampered_with_or_expired_are_refused() {
    let mesh = Mesh::start().await;
    let issuer = Issuer::open_or_create(&mesh.state().join("token.key")).unwrap();
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let issue = |account: &str, at| issuer.issue("default", account, Uses::Many, hour, at).unwrap();
    let good = issue("reviews", now);
    let (head, signature) = good.rsplit_once('.').expect("a signed token");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for (what, token, told) in [
        ("another account's", issue("ratings", now), "ratings"),
        ("an expired one", issue("reviews", now - 2 * hour), "expired"),
        ("a tampered one", format!("{head}.{flipped}{}", &signature[1..]), "token"),
        ("no token", "not a token".to_owned(), "token"),
    ] {
        let log = refused(&mesh, &token).await;
        assert!(log.contains(told), "{what}: {log}");
    }
}

/// The last line of the audit log that is about this verb for a workload's token.
fn audited(mesh: &Mesh, verb: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(mesh.state().join("audit.log")).expect("the audit log");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let about: Vec<serde_json::Value> =
        lines.filter(|line: &serde_json::Value| line["verb"] == verb).collect();
    about.into_iter().next_back().unwrap_or_else(|| panic!("no {verb} in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_single_use_lets_one_workload_in() {
    let mesh = Mesh::start().await;
    let arguments = ["token", "create", "--service-account", "reviews", "--single-use"];
    let outcome = mesh.command(&arguments, "").await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let token = outcome.stdout.trim();
    let made = audited(&mesh, "create");
    let id = made["objectRef"]["name"].as_str().unwrap();
    assert_eq!(made["objectRef"]["resource"], "jointokens", "{made}");
    let elsewhere = tempfile::tempdir().unwrap();
    let app = HttpApp::start("reviews").await;
    let _first =
        from_elsewhere(&mesh, token, elsewhere.path()).port(app.port(), "http").proxy().await;
    let used = audited(&mesh, "sign");
    assert_eq!(used["annotations"]["meltemi.io/credential"], format!("token {id}"), "{used}");
    let log = refused(&mesh, token).await;
    assert!(log.contains("single use"), "{log}");
    mesh.kill_control().await;
    mesh.restart_control().await;
    let log = refused(&mesh, token).await;
    assert!(log.contains("single use"), "also after a restart: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_all_that_a_workload_from_elsewhere_needs() {
    let mesh = Mesh::start().await;
    let arguments = ["token", "create", "--service-account", "reviews"];
    let outcome = mesh.command(&arguments, "").await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let app = HttpApp::start("reviews").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let workload = from_elsewhere(&mesh, outcome.stdout.trim(), elsewhere.path());
    let _reviews = workload.port(app.port(), "http").proxy().await;
    let response = mesh.client().await.http().await.get("http://reviews/echo").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let seen = response.text();
    assert!(seen.contains("By=spiffe://cluster.local/ns/default/sa/reviews"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_has_certificates_of_the_life_that_it_asks_for() {
    let mesh = Mesh::start().await;
    for (life, seconds) in [("5m", 300), ("720h", 30 * 86_400)] {
        let sidecar = mesh.workload("short").flag("--certificate-life", life).proxy().await;
        let certs = Http1::connect(sidecar.admin).await.get("/certs").await.json();
        let certificate = &certs["certificates"][0];
        let [from, to] = ["not_before", "not_after"].map(|it| certificate[it].as_u64().unwrap());
        // It begins some time before it was made, for clocks that are behind.
        assert!((seconds..seconds + 3600).contains(&(to - from)), "{life}: {from} to {to}");
        assert!(certificate["seconds_left"].as_u64().unwrap() <= seconds, "{certificate}");
    }
}
