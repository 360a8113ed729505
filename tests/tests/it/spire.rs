//! Certificates of a SPIFFE Workload API: a sidecar by an agent and one by the mesh's CA call each other.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::{AlpnPlan, Identity, TrustBundle};
use meltemi_tests::{HttpApp, Load, Mesh, Sidecar, WorkloadApi, eventually};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::identity::{ID, authority, issue};

const SPIRE_ID: &str = "spiffe://cluster.local/ns/default/sa/spire";

/// A mesh that believes an agent's root.
async fn mesh_with(agent: &WorkloadApi, directory: &Path) -> Mesh {
    let file = directory.join("spire.pem");
    std::fs::write(&file, agent.root()).unwrap();
    Mesh::start_with(&["--trust-root", file.to_str().unwrap()]).await
}

/// A member by the mesh's CA that believes the agent's root.
fn member(mesh: &Mesh, agent: &WorkloadApi) -> Identity {
    let authority = authority(mesh);
    let trusted = authority.bundle().with(&TrustBundle::from_pem(agent.root()).unwrap()).unwrap();
    let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![b"http/1.1".to_vec()]] };
    Identity::new(issue(&authority, ID, SystemTime::now()), trusted, plan).unwrap()
}

/// The certificate that a sidecar shows to the mesh.
async fn shown(sidecar: &Sidecar, member: &Identity) -> Result<Vec<u8>, String> {
    let connector = TlsConnector::from(Arc::clone(&member.tls().clients[0]));
    let stream = TcpStream::connect(sidecar.inbound).await.map_err(|it| it.to_string())?;
    let name = ServerName::IpAddress(sidecar.inbound.ip().into());
    let stream = connector.connect(name, stream).await.map_err(|it| it.to_string())?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    certificates.first().map(|it| it.to_vec()).ok_or_else(|| "no certificate".to_owned())
}

async fn eventually_shown(what: &str, sidecar: &Sidecar, member: &Identity, expected: &[u8]) {
    eventually(what, async || match shown(sidecar, member).await? {
        found if found == expected => Ok(()),
        _ => Err("another certificate".to_owned()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_by_spire_and_one_by_our_ca_call_each_other_while_the_svid_is_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let agent = WorkloadApi::start(directory.path(), SPIRE_ID);
    let mesh = mesh_with(&agent, directory.path()).await;
    let (theirs, ours) = (HttpApp::start("theirs").await, HttpApp::start("ours").await);
    let spire = mesh
        .workload("theirs")
        .flag("--service-account", "spire")
        .flag("--spiffe-endpoint-socket", &agent.socket())
        .port(theirs.port(), "http")
        .proxy()
        .await;
    let own = mesh.workload("ours").port(ours.port(), "http").proxy().await;
    let member = member(&mesh, &agent);
    eventually_shown("the agent's SVID is shown", &spire, &member, &agent.certificate()).await;

    let right = |response: &meltemi_tests::Response| response.status == 200;
    let seen = own.until("ours calls theirs", "http://theirs/echo", right).await.text();
    assert!(seen.contains(&format!("By={SPIRE_ID}")), "{seen}");
    let seen = spire.until("theirs calls ours", "http://ours/echo", right).await.text();
    assert!(seen.contains(&format!("URI={SPIRE_ID}")), "{seen}");

    let loads = [
        Load::start(own.outbound, "http://theirs/", 2),
        Load::start(spire.outbound, "http://ours/", 2),
    ];
    for _ in 0..3 {
        let before = agent.certificate();
        agent.rotate();
        assert_ne!(agent.certificate(), before);
        eventually_shown("the new SVID is shown", &spire, &member, &agent.certificate()).await;
        for load in &loads {
            load.answers(50).await;
        }
    }
    for load in loads {
        let report = load.stop().await;
        assert!(report.failures.is_empty(), "{report:?}");
    }
    let log = spire.process.log();
    assert!(log.contains("certificate renewed by the SPIFFE Workload API"), "{log}");
    let kept = std::fs::read_dir(mesh.state().join("proxies/default")).unwrap().flatten();
    let keys = kept.filter(|it| it.path().join("identity/svid.pem").exists()).count();
    assert_eq!(keys, 1, "the key of the sidecar by our CA, and no other, is on disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_of_another_trust_domain_or_account_is_refused_with_what_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = "spiffe://example.org/ns/default/sa/default";
    let agent = WorkloadApi::start(directory.path(), foreign);
    let mesh = mesh_with(&agent, directory.path()).await;
    for account in ["default", "spire"] {
        let mut proxy = mesh
            .workload("theirs")
            .flag("--service-account", account)
            .flag("--spiffe-endpoint-socket", &agent.socket())
            .attempt("proxy", &[]);
        let status = proxy.ended().await;
        let (log, expected) =
            (proxy.log(), format!("no identity spiffe://cluster.local/ns/default/sa/{account}"));
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&expected) && log.contains(foreign), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_there_yet_is_named_and_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start().await;
    let path = directory.path().join("agent.sock");
    let socket = format!("unix://{}", path.display());
    let mut proxy = mesh
        .workload("theirs")
        .flag("--service-account", "spire")
        .flag("--spiffe-endpoint-socket", &socket)
        .attempt("proxy", &[]);
    let named = format!("waiting for the SPIFFE Workload API at {socket}: No such file");
    eventually("the socket is named", async || match proxy.log() {
        log if log.contains(&named) => Ok(()),
        log => Err(log),
    })
    .await;
    let _agent = WorkloadApi::start(directory.path(), SPIRE_ID);
    eventually("the certificate is taken", async || match proxy.log() {
        log if log.contains("certificate given by the SPIFFE Workload API") => Ok(()),
        log => Err(log),
    })
    .await;
    assert!(proxy.status().is_none(), "it runs: {}", proxy.log());
}
