//! What an attacker may try that no other module is about, and the page that says which test shows which defence.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::{AlpnPlan, Identity};
use meltemi_tests::{HttpApp, Mesh, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use crate::identity::{ID, authority, issue, server};

const PAGE: &str = include_str!("../../../docs/security.md");

/// A workload that is led to a control plane of another mesh gives it neither its token nor its registration.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_of_another_mesh_is_not_believed() {
    let (own, rogue) = (Mesh::start().await, Mesh::start().await);
    let token = own.command(&["token", "create", "--service-account", "reviews"], "").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("join.token");
    std::fs::write(&file, token.stdout.trim()).unwrap();
    let app = HttpApp::start("reviews").await;
    let proxy = own
        .workload("reviews")
        .flag("--service-account", "reviews")
        .flag("--control", &format!("https://{}", rogue.addresses().secure_xds))
        .flag("--token-file", file.to_str().unwrap())
        .flag("--trust-bundle", own.state().join("ca/root-cert.pem").to_str().unwrap())
        .flag("--state-dir", elsewhere.path().to_str().unwrap())
        .port(app.port(), "http")
        .attempt("proxy", &[]);
    eventually("the reason in the log", async || match proxy.log() {
        log if log.contains("invalid peer certificate") => Ok(()),
        log => Err(log),
    })
    .await;
    // It was refused for itself, before it could say anything of the token.
    assert!(!rogue.control_log().contains("certificate refused"), "{}", rogue.control_log());
    assert!(!rogue.control_log().contains("certificate signed"), "{}", rogue.control_log());
}

/// A member with a good certificate who offers TLS 1.2 alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_older_tls_is_spoken_between_sidecars() {
    let mesh = Mesh::start().await;
    let (app, sidecar) = server(&mesh).await;
    let authority = authority(&mesh);
    let svid = issue(&authority, ID, SystemTime::now());
    let mut roots = RootCertStore::empty();
    roots.add(authority.bundle().roots()[0].clone()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(svid.key().to_pem().as_bytes()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS12])
        .with_root_certificates(roots)
        .with_client_auth_cert(svid.chain().to_vec(), key)
        .unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    let refused = within("a refusal", connector.connect(name, stream)).await;
    let error = refused.expect_err("TLS 1.2 was spoken").to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    assert_eq!(app.requests(), 0);
}

/// A member with a good certificate that says it brings bytes, and brings requests: on a port that is declared as HTTP they are
/// requests, and what is for requests holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_cannot_make_bytes_of_a_port_that_is_declared_as_http() {
    let mesh = Mesh::start().await;
    let (app, sidecar) = server(&mesh).await;
    let authority = authority(&mesh);
    for alpn in ["istio", "http/1.1"] {
        let svid = issue(&authority, ID, SystemTime::now());
        let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![alpn.as_bytes().to_vec()]] };
        let identity = Identity::new(svid, authority.bundle(), plan).unwrap();
        let connector = TlsConnector::from(identity.tls().clients[0].clone());
        let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
        let name = ServerName::IpAddress(sidecar.inbound.ip().into());
        let mut stream = within("a handshake", connector.connect(name, stream)).await.unwrap();
        let request = "GET /echo HTTP/1.1\r\nhost: hello\r\nx-forwarded-client-cert: URI=forged\r\n\
                       connection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // An end without TLS's own farewell is one too.
        let _ = within("the answer", stream.read_to_string(&mut answer)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{alpn}: {answer}");
        assert!(answer.contains(ID) && !answer.contains("By=forged"), "{alpn}: {answer}");
    }
    assert_eq!(app.requests(), 2);
}

/// All functions of the sources below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let names = source.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

/// The last column of the page's tables names tests. They exist.
#[test]
fn every_defence_is_shown_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut known = BTreeSet::new();
    for folder in ["crates", "tests", "fuzz"] {
        functions(&root.join(folder), &mut known);
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| ")).skip_while(|line| {
        // The head of the first table.
        !line.starts_with("| threat")
    });
    let mut named = 0;
    for row in rows.filter(|row| !row.starts_with("| threat") && !row.starts_with("| ---")) {
        let last = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(known.contains(test), "there is no test {test}: {row}");
            named += 1;
        }
    }
    assert!(named >= 20, "{named} tests are named");
}
