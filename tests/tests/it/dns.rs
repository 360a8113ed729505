//! The name server, asked by a real client.

use meltemi_tests::{HttpApp, Mesh, Outcome, eventually, mesh, peer};
use tokio::process::Command;

/// The client, and the mesh's name server.
pub(crate) struct Dig {
    program: std::path::PathBuf,
    port: String,
}

impl Dig {
    pub(crate) fn of(mesh: &Mesh) -> Option<Self> {
        let port = mesh.addresses().dns.port().to_string();
        Some(Dig { program: peer::program("dig")?, port })
    }

    async fn ask(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&self.program);
        command.args(["@127.0.0.1", "-p", &self.port, "+tries=1", "+time=5"]).args(arguments);
        mesh::run(command, "").await
    }

    /// What it prints in short, line by line.
    pub(crate) async fn addresses(&self, arguments: &[&str]) -> Vec<String> {
        let outcome = self.ask(&[&["+short"], arguments].concat()).await;
        outcome.stdout.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_answered_with_the_ready_endpoints_and_follow_them() {
    let mesh = Mesh::start().await;
    let Some(dig) = Dig::of(&mesh) else { return };
    let (app, mut sidecars) = (HttpApp::start("hello").await, Vec::new());
    for last in [11, 12, 13] {
        let inbound = format!("127.0.0.{last}:0");
        let workload = mesh.workload("hello").port(app.port(), "http").flag("--inbound", &inbound);
        sidecars.push(workload.proxy().await);
    }
    let name = "hello.default.svc.cluster.local";
    let mut seen = eventually("three addresses", async || {
        let seen = dig.addresses(&[name, "A"]).await;
        if seen.len() == 3 { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
    .await;
    seen.sort();
    assert_eq!(seen, ["127.0.0.11", "127.0.0.12", "127.0.0.13"]);
    for short in ["hello", "hello.default", "hello.default.svc", "HELLO.Default.svc.cluster.local"]
    {
        assert_eq!(dig.addresses(&[short, "A"]).await.len(), 3, "{short}");
    }
    assert_eq!(dig.addresses(&["+tcp", name, "A"]).await.len(), 3, "over TCP");
    let services = dig.addresses(&[&format!("_http._tcp.{name}"), "SRV"]).await;
    assert!(!services.is_empty(), "SRV records of the port http");
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..12 {
        first.insert(dig.addresses(&[name, "A"]).await[0].clone());
    }
    assert!(first.len() > 1, "the order is rotated");
    // Out with one of them.
    sidecars[0].process.kill().await;
    eventually("two addresses", async || {
        let seen = dig.addresses(&[name, "A"]).await;
        if seen.len() == 2 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_apart_from_what_is_unknown() {
    let mesh = Mesh::start().await;
    let Some(dig) = Dig::of(&mesh) else { return };
    let _hello = mesh.http_service("hello", 1).await;
    let name = "hello.default.svc.cluster.local";
    for (question, status, answers) in [
        ([name, "A"], "NOERROR", 1),
        ([name, "MX"], "NOERROR", 0),
        ([name, "AAAA"], "NOERROR", 0),
        (["nobody.default.svc.cluster.local", "A"], "NXDOMAIN", 0),
    ] {
        let outcome = eventually(&format!("{question:?}"), async || {
            let outcome = dig.ask(&question).await;
            match outcome.stdout.contains(&format!("status: {status}")) {
                true => Ok(outcome),
                false => Err(outcome.to_string()),
            }
        })
        .await;
        let expected = format!("ANSWER: {answers},");
        assert!(outcome.stdout.contains(&expected), "{question:?}: {outcome}");
    }
    let outcome = dig.ask(&["+noall", "+answer", name, "A"]).await;
    let ttl: u32 = outcome.stdout.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(ttl <= 5, "{outcome}");
}
