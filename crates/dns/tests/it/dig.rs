//! The questions of operators, asked with their own tool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::mesh::{HELLO, Mesh, config, serve};

/// `dig`, or `None` where a test of other programs may be left out.
fn dig() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("dig")).find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var("MELTEMI_PEERS").is_ok_and(|it| it == "required");
        assert!(!required, "MELTEMI_PEERS=required, but there is no `dig` on the PATH");
        println!(
            "skipped: there is no `dig` on the PATH; MELTEMI_PEERS=required makes this a failure"
        );
    }
    found
}

async fn run(dig: &PathBuf, server: SocketAddr, words: &str) -> String {
    let output = Command::new(dig)
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+tries=1", "+time=10"])
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "dig {words}: {}\n{text}", output.status);
    text
}

#[tokio::test]
async fn dig_understands_the_answers() {
    let Some(dig) = dig() else { return };
    let mesh = Mesh::new();
    mesh.put_many("many.default.svc.cluster.local", 200);
    let server = serve(config(), &mesh).await;
    let address = server.address();

    for how in ["+notcp", "+tcp", "+noedns", "+noedns +tcp", "+norecurse"] {
        let text = run(&dig, address, &format!("{how} +short {HELLO}")).await;
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], "{how}");
    }
    let text = run(&dig, address, "+short AAAA hello").await;
    assert_eq!(text.trim(), "fd00::1");
    let text = run(&dig, address, &format!("SRV _http._tcp.{HELLO}")).await;
    assert!(text.contains("status: NOERROR") && text.contains("ANSWER: 4"), "{text}");
    assert!(text.contains(&format!("8000 w0.{HELLO}.")), "{text}");
    let text = run(&dig, address, "nosuch.default.svc.cluster.local").await;
    assert!(text.contains("status: NXDOMAIN") && text.contains("SOA"), "{text}");
    let text = run(&dig, address, &format!("MX {HELLO}")).await;
    assert!(text.contains("status: NOERROR") && text.contains("ANSWER: 0"), "{text}");
    // dig goes on with version 0 when it is told so.
    let text = run(&dig, address, &format!("+edns=1 +noednsnegotiation {HELLO}")).await;
    assert!(text.contains("status: BADVERS"), "{text}");
    let text = run(&dig, address, "+ignore +bufsize=512 many.default.svc.cluster.local").await;
    assert!(text.lines().any(|line| line.contains("flags:") && line.contains(" tc")), "{text}");
    let text = run(&dig, address, "+bufsize=512 +short many.default.svc.cluster.local").await;
    assert_eq!(text.lines().filter(|line| !line.starts_with(';')).count(), 200, "{text}");
    server.stop().await;
}
