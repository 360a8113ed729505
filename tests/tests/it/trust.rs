//! Whom the mesh believes: a root that is replaced under load, and certificates that are revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::tls::check_svid;
use meltemi_identity::{AlpnPlan, Identity, TrustBundle, rotate, serial_of_pem};
use meltemi_tests::{HttpApp, Load, Mesh, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::identity::{ID, authority, is_answered, issue, server};

/// Runs a command that must succeed.
async fn ca(mesh: &Mesh, arguments: &[&str]) -> String {
    let outcome = mesh.command(&[&["ca"], arguments].concat(), "").await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    outcome.stdout
}

/// The directories in which the sidecars of a namespace keep their certificates.
fn identities(mesh: &Mesh) -> Vec<PathBuf> {
    let proxies = mesh.state().join("proxies/default");
    let mut found = Vec::new();
    let mut directories = vec![proxies];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.join("svid.pem").exists() {
                found.push(path.clone());
            }
            if path.is_dir() {
                directories.push(path);
            }
        }
    }
    found
}

/// Whether the certificate that is kept there leads to a root, and no other root is believed beside `roots`.
fn is_renewed(directory: &Path, first: &TrustBundle, roots: usize) -> bool {
    rotate::load(directory).is_ok_and(|(svid, bundle)| {
        bundle.roots().len() == roots && check_svid(&svid, first, SystemTime::now()).is_ok()
    })
}

async fn all_renewed(mesh: &Mesh, roots: usize) {
    let file = mesh.state().join("ca/root-cert.pem");
    let first = TrustBundle::load(&file).unwrap().roots()[0].clone();
    let first = TrustBundle::new([first]).unwrap();
    eventually("every sidecar has a certificate of the new root", async || {
        let all = identities(mesh);
        let renewed = all.iter().filter(|it| is_renewed(it, &first, roots)).count();
        match (renewed, all.len()) {
            (renewed, 2..) if renewed == all.len() => Ok(()),
            (renewed, all) => Err(format!("{renewed} of {all}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_replaced_under_load_without_a_failure() {
    let mesh = Mesh::start().await;
    let (_app, sidecar) = server(&mesh).await;
    let client = mesh.client().await;
    let old = authority(&mesh);
    let (member, trusted) = (issue(&old, ID, SystemTime::now()), old.bundle());
    let load = Load::start(client.outbound, "http://hello/", 4);
    load.answers(200).await;

    let told = ca(&mesh, &["rotate"]).await;
    assert!(told.contains("the new root signs") && told.contains("2 follow"), "{told}");
    all_renewed(&mesh, 2).await;
    load.answers(200).await;
    let both = TrustBundle::load(&mesh.state().join("ca/root-cert.pem")).unwrap();
    assert_eq!(both.roots()[1], trusted.roots()[0]);
    let same = issue(&old, ID, SystemTime::now());
    assert!(is_answered(&sidecar, same, both.clone()).await, "the old root is believed yet");

    let early = mesh.command(&["ca", "retire"], "").await;
    assert!(early.code == Some(1) && early.stderr.contains("force"), "{early}");
    ca(&mesh, &["retire", "--force"]).await;
    all_renewed(&mesh, 1).await;
    load.answers(200).await;
    // Nothing that stands is left: new connections in both directions, by a member that has never seen the old root.
    let late = mesh.client().await;
    assert_eq!(late.http().await.get("http://hello/").await.status, 200);
    assert!(!is_answered(&sidecar, member, both).await, "the old root is believed no more");
    let report = load.stop().await;
    assert!(report.failures.is_empty(), "{report:?}");
    assert!(ca(&mesh, &["status", "-o", "json"]).await.contains("\"rotation\":\"idle\""));
}

/// A connection with a certificate, on which requests are sent by hand.
async fn connect(
    sidecar: &meltemi_tests::Sidecar,
    identity: &Identity,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let connector = TlsConnector::from(Arc::clone(&identity.tls().clients[0]));
    let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    connector.connect(name, stream).await.unwrap()
}

async fn status(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).chars().skip(9).take(3).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_on_new_connections_and_on_those_that_stand() {
    let mesh = Mesh::start().await;
    let (_app, sidecar) = server(&mesh).await;
    let (authority, now) = (authority(&mesh), SystemTime::now());
    let trusted = authority.bundle();
    let stolen = issue(&authority, ID, now);
    let serial = serial_of_pem(&stolen.chain_pem()).unwrap();
    let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![b"http/1.1".to_vec()]] };
    let identity = Identity::new(stolen, trusted.clone(), plan).unwrap();
    let mut standing = connect(&sidecar, &identity).await;
    assert_eq!(status(&mut standing).await, "200");

    ca(&mesh, &["revoke", "--serial", &serial, "--name", "stolen", "--reason", "it was stolen"])
        .await;
    eventually("the connection that stands is of no use", async || {
        match status(&mut standing).await.as_str() {
            "403" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    assert!(is_refused(&sidecar, &identity).await, "a new connection");
    assert!(is_answered(&sidecar, issue(&authority, ID, now), trusted.clone()).await);

    let kept = identities(&mesh);
    let denied = std::fs::read_to_string(kept[0].join("denied")).unwrap();
    assert!(denied.starts_with("serial "), "{denied}");
}

/// Whether nothing comes back on a new connection.
async fn is_refused(sidecar: &meltemi_tests::Sidecar, identity: &Identity) -> bool {
    let connector = TlsConnector::from(Arc::clone(&identity.tls().clients[0]));
    let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    let Ok(mut stream) = connector.connect(name, stream).await else { return true };
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\n\r\n").await;
    asked.is_err() || stream.read_u8().await.is_err()
}

/// All certificates of a service account that were signed so far: its sidecar gets no new one by what it has, and is let in
/// nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_shut_out_until_it_joins_anew() {
    let mesh = Mesh::start().await;
    let (_app, sidecar) = server(&mesh).await;
    let app = HttpApp::start("bad").await;
    let bad = mesh.workload("bad").flag("--service-account", "bad").port(app.port(), "http");
    let bad = bad.proxy().await;
    assert_eq!(bad.http().await.get("http://hello/").await.status, 200);
    let (authority, now) = (authority(&mesh), SystemTime::now());
    let id = "spiffe://cluster.local/ns/default/sa/bad";
    assert!(is_answered(&sidecar, issue(&authority, id, now), authority.bundle()).await);

    ca(&mesh, &["revoke", "--principal", "cluster.local/ns/default/sa/bad"]).await;
    eventually("its requests are refused", async || {
        match bad.http().await.get("http://hello/").await.status {
            403 | 503 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    assert!(!is_answered(&sidecar, issue(&authority, id, now), authority.bundle()).await);
    assert!(is_answered(&sidecar, issue(&authority, ID, now), authority.bundle()).await);
}
