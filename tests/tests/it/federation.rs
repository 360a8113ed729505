//! Trust domains beside our own: two meshes that believe each other's CA, one trust domain under two names, and roots that are
//! fetched from a SPIFFE bundle endpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::ca::Authority;
use meltemi_identity::{AlpnPlan, Federation, Identity, Svid, Trust, TrustBundle};
use meltemi_names::TrustDomain;
use meltemi_tests::{BundleEndpoint, HttpApp, Mesh, Response, Sidecar, eventually, within};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::identity::issue;

fn domain(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

/// A CA that signs for a trust domain; its files are what `--cacerts` reads.
fn authority(directory: &Path, name: &str) -> Authority {
    Authority::open_or_create(directory, domain(name), SystemTime::now()).unwrap()
}

/// A mesh of a trust domain with a CA of its own.
struct Member {
    mesh: Mesh,
    ca: Authority,
    directory: TempDir,
}

/// A mesh with these settings, whose CA is in `directory/ca`.
async fn mesh(directory: &Path, name: &str, config: &str, environment: &[(&str, &str)]) -> Mesh {
    let (ca, file) = (directory.join("ca"), directory.join("mesh.yaml"));
    std::fs::write(&file, config).unwrap();
    let flags = ["--trust-domain", name, "--cacerts", ca.to_str().unwrap(), "--mesh-config"];
    Mesh::start_in(&[&flags[..], &[file.to_str().unwrap()]].concat(), environment).await
}

/// Two meshes, each of which has the other's roots.
async fn federated() -> [Member; 2] {
    let names = ["a.example", "b.example"];
    let [a, b] = names.map(|name| {
        let directory = tempfile::tempdir().unwrap();
        let ca = authority(&directory.path().join("ca"), name);
        (directory, ca)
    });
    let believing = |name: &str, roots: TrustBundle| {
        json!({"caCertificates": [{"pem": roots.to_pem(), "trustDomains": [name]}]}).to_string()
    };
    let of_a = mesh(a.0.path(), names[0], &believing(names[1], b.1.bundle()), &[]).await;
    let of_b = mesh(b.0.path(), names[1], &believing(names[0], a.1.bundle()), &[]).await;
    let member = |mesh, (directory, ca)| Member { mesh, ca, directory };
    [member(of_a, a), member(of_b, b)]
}

/// A workload `NAME` of a service account of the same name.
async fn workload(mesh: &Mesh, name: &str) -> (HttpApp, Sidecar) {
    let app = HttpApp::start(name).await;
    let builder = mesh.workload(name).flag("--service-account", name);
    let sidecar = builder.port(app.port(), "http").proxy().await;
    (app, sidecar)
}

/// Tells a mesh of a service of another one, which these identities may serve.
async fn import(mesh: &Mesh, name: &str, sidecar: &Sidecar, identities: &[&str]) {
    let host = format!("{name}.default.svc.cluster.local");
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "subjectAltNames": identities,
            "endpoints": [{"address": "127.0.0.1", "ports": {"http": sidecar.inbound.port()}}],
        },
    });
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"host": host, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
    });
    mesh.apply(&format!("{entry}\n---\n{rule}\n")).await;
}

async fn policy(mesh: &Mesh, action: &str, principal: &str) {
    let policy = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "who", "namespace": "default"},
        "spec": {"action": action, "rules": [{"from": [{"source": {"principals": [principal]}}]}]},
    });
    mesh.apply(&policy.to_string()).await;
}

fn has(status: u16) -> impl Fn(&Response) -> bool {
    move |response| response.status == status
}

/// Whether a request with a certificate is answered by who serves there; the client believes this very one.
async fn is_answered(sidecar: &Sidecar, svid: Svid, server: (&str, &TrustBundle)) -> bool {
    let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![b"http/1.1".to_vec()]] };
    let (name, roots) = server;
    let identity = Identity::new(svid, roots.clone(), plan).unwrap();
    let federation = Arc::new(Federation::new([], [(domain(name), roots.clone())]));
    identity.believe(Trust { federation, ..Trust::in_members(roots.clone()) }).unwrap();
    let connector = TlsConnector::from(Arc::clone(&identity.tls().clients[0]));
    let stream = TcpStream::connect(sidecar.inbound).await.unwrap();
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    let exchange = async {
        let mut stream = connector.connect(name, stream).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: theirs\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        // With TLS 1.3 a refused certificate shows only now.
        stream.read_exact(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 ").then_some(())
    };
    within("an answer or its refusal", exchange).await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_of_two_trust_domains_call_each_other_as_policies_say() {
    let [a, b] = federated().await;
    let (_ours, ours) = workload(&a.mesh, "ours").await;
    let (_theirs, theirs) = workload(&b.mesh, "theirs").await;
    let other = a.mesh.workload("other").flag("--service-account", "other").proxy().await;
    import(&a.mesh, "theirs", &theirs, &["spiffe://b.example/ns/default/sa/theirs"]).await;
    import(&b.mesh, "ours", &ours, &["spiffe://a.example/ns/default/sa/ours"]).await;

    let seen = ours.until("a calls b", "http://theirs/echo", has(200)).await.text();
    assert!(seen.contains("URI=spiffe://a.example/ns/default/sa/ours"), "{seen}");
    assert!(seen.contains("By=spiffe://b.example/ns/default/sa/theirs"), "{seen}");
    let seen = theirs.until("b calls a", "http://ours/echo", has(200)).await.text();
    assert!(seen.contains("URI=spiffe://b.example/ns/default/sa/theirs"), "{seen}");
    other.until("the other one calls too", "http://theirs/", has(200)).await;

    policy(&b.mesh, "ALLOW", "a.example/ns/default/sa/ours").await;
    other.until("none but one is allowed", "http://theirs/", has(403)).await;
    assert_eq!(ours.http().await.get("http://theirs/").await.status, 200);
    policy(&b.mesh, "DENY", "a.example/ns/default/sa/ours").await;
    ours.until("that one is denied", "http://theirs/", has(403)).await;
    assert_eq!(other.http().await.get("http://theirs/").await.status, 200);
    // The same account of the own mesh is somebody else.
    policy(&b.mesh, "DENY", "b.example/ns/default/sa/ours").await;
    ours.until("it is denied no more", "http://theirs/", has(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_signs_for_its_own_trust_domain_and_for_no_other() {
    let [a, b] = federated().await;
    let (app, theirs) = workload(&b.mesh, "theirs").await;
    let (now, roots) = (SystemTime::now(), b.ca.bundle());
    let elsewhere = tempfile::tempdir().unwrap();
    let third = authority(elsewhere.path(), "c.example");
    // The CAs' own keys, put to sign for other trust domains than theirs.
    let a_for_b = authority(&a.directory.path().join("ca"), "b.example");
    let b_for_a = authority(&b.directory.path().join("ca"), "a.example");
    let a_for_c = authority(&a.directory.path().join("ca"), "c.example");
    let of = |name: &str| format!("spiffe://{name}/ns/default/sa/default");
    let good = issue(&a.ca, &of("a.example"), now);
    assert!(is_answered(&theirs, good, ("b.example", &roots)).await, "the other mesh's member");
    let own = issue(&b.ca, &of("b.example"), now);
    assert!(is_answered(&theirs, own, ("b.example", &roots)).await, "the own mesh's member");
    let before = app.requests();
    for (what, svid) in [
        ("a third mesh's member", issue(&third, &of("c.example"), now)),
        ("our id by their CA", issue(&a_for_b, &of("b.example"), now)),
        ("their id by our CA", issue(&b_for_a, &of("a.example"), now)),
        ("a third's id by their CA", issue(&a_for_c, &of("c.example"), now)),
    ] {
        assert!(!is_answered(&theirs, svid, ("b.example", &roots)).await, "{what} is let in");
    }
    assert_eq!(app.requests(), before, "nothing reached the application");
}

/// A server of another trust domain answers only for what names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_trust_domain_must_be_named() {
    let [a, b] = federated().await;
    let (_theirs, theirs) = workload(&b.mesh, "theirs").await;
    let client = a.mesh.client().await;
    import(&a.mesh, "theirs", &theirs, &["spiffe://a.example/ns/default/sa/theirs"]).await;
    client.until("another one is named", "http://theirs/", has(503)).await;
    import(&a.mesh, "theirs", &theirs, &["spiffe://b.example/ns/default/sa/theirs"]).await;
    client.until("it is named", "http://theirs/", has(200)).await;
    import(&a.mesh, "theirs", &theirs, &[]).await;
    client.until("nobody is named", "http://theirs/", has(503)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_domain_is_the_same_by_its_old_name() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca");
    let (new, old) = (authority(&ca, "new.example"), authority(&ca, "old.example"));
    let settings = "trustDomainAliases: [old.example]";
    let mesh = mesh(directory.path(), "new.example", settings, &[]).await;
    let (_app, theirs) = workload(&mesh, "theirs").await;
    let front = mesh.workload("front").flag("--service-account", "front").proxy().await;
    let (now, roots) = (SystemTime::now(), new.bundle());
    let by_old_name =
        |account: &str| issue(&old, &format!("spiffe://old.example/ns/default/sa/{account}"), now);
    let answers = async |account: &str| {
        is_answered(&theirs, by_old_name(account), ("new.example", &roots)).await
    };
    assert!(answers("front").await, "a certificate of the old name is let in");

    // By either name, and by the one that stands for both, the same is meant.
    for (principal, other) in
        [("old.example", "back"), ("new.example", "front"), ("cluster.local", "back")]
    {
        policy(&mesh, "DENY", &format!("{principal}/ns/default/sa/{other}")).await;
        let expected = if other == "front" { 403 } else { 200 };
        front.until(principal, "http://theirs/", has(expected)).await;
        policy(&mesh, "ALLOW", &format!("{principal}/ns/default/sa/{other}")).await;
        front.until(principal, "http://theirs/", has(603 - expected)).await;
    }
}

/// A document of a bundle endpoint with these roots, to be asked for again every second.
fn document(roots: &[&TrustBundle]) -> String {
    let key = |roots: &&TrustBundle| {
        let pem = roots.to_pem();
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        json!({"use": "x509-svid", "kty": "EC", "x5c": [base64]})
    };
    let keys: Vec<_> = roots.iter().map(key).collect();
    json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 1, "keys": keys}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roots_of_another_trust_domain_are_fetched_and_follow_its_bundle_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let of = |name: &str| directory.path().join(name);
    let own = authority(&of("ca"), "b.example");
    let [first, second] = ["first", "second"].map(|name| authority(&of(name), "a.example"));
    let (before, after) = (first.bundle(), second.bundle());
    let endpoint = BundleEndpoint::start(&document(&[&before])).await;
    let file = of("system.pem");
    std::fs::write(&file, endpoint.root()).unwrap();
    let entry = json!({"spiffeBundleUrl": endpoint.url(), "trustDomains": ["a.example"]});
    let settings = json!({"caCertificates": [entry]}).to_string();
    let environment = [("SSL_CERT_FILE", file.to_str().unwrap())];
    let mesh = mesh(directory.path(), "b.example", &settings, &environment).await;
    let (_app, theirs) = workload(&mesh, "theirs").await;
    let roots = own.bundle();
    let id = "spiffe://a.example/ns/default/sa/default";
    let takes = async |ca: &Authority| {
        is_answered(&theirs, issue(ca, id, SystemTime::now()), ("b.example", &roots)).await
    };
    let eventually_takes = async |what: &str, expected: [bool; 2]| {
        eventually(what, async || match [takes(&first).await, takes(&second).await] {
            found if found == expected => Ok(()),
            found => Err(format!("{found:?}")),
        })
        .await;
    };
    eventually_takes("the first root is believed", [true, false]).await;
    endpoint.tell(&document(&[&before, &after]));
    eventually_takes("both are", [true, true]).await;
    endpoint.tell(&document(&[&after]));
    eventually_takes("the second is", [false, true]).await;
    endpoint.tell("no bundle");
    // What was known last stays, over a restart too.
    eventually("it is told", async || match mesh.control_log() {
        log if log.contains("no SPIFFE bundle") => Ok(()),
        log => Err(log),
    })
    .await;
    mesh.kill_control().await;
    mesh.restart_control().await;
    let (_late, late) = workload(&mesh, "late").await;
    let svid = issue(&second, id, SystemTime::now());
    assert!(is_answered(&late, svid, ("b.example", &roots)).await, "a sidecar that came later");
    endpoint.tell(&document(&[]));
    eventually_takes("all roots were taken back", [false, false]).await;
}
