//! Ports of one workload that ask different things.

use meltemi_tests::{Http1, HttpApp, Mesh, eventually};
use serde_json::{Value, json};

use super::{Policies, by_plaintext, selecting, shows};

/// A policy for `web` with modes of single ports.
fn with_ports(said: &str, ports: &[(u16, &str)]) -> Value {
    let mut spec = selecting("web", said);
    for (port, said) in ports {
        spec["portLevelMtls"][port.to_string()] = json!({"mode": said});
    }
    spec
}

/// Fields: PeerAuthentication spec.portLevelMtls.*.mode
#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_workload_may_ask_something_else() {
    let mesh = Mesh::start().await;
    let (first, second) = (HttpApp::start("first").await, HttpApp::start("second").await);
    let web = mesh.workload("web").port(first.port(), "http").port(second.port(), "http");
    let web = web.proxy().await;
    let client = mesh.client().await;
    let policies = Policies::of(&mesh);
    // Port 80 of the service leads to the first application.
    let [one, two] = ["web".to_owned(), format!("web:{}", second.port())];
    let [strict, permissive, disable] = ["STRICT", "PERMISSIVE", "DISABLE"];
    for (whole, of_second, expected) in [
        (strict, permissive, [strict, permissive]),
        (strict, disable, [strict, disable]),
        (permissive, strict, [permissive, strict]),
        (permissive, disable, [permissive, disable]),
        (disable, strict, [disable, strict]),
        (disable, "UNSET", [disable, disable]),
        ("UNSET", permissive, [strict, permissive]),
    ] {
        let spec = with_ports(whole, &[(second.port(), of_second)]);
        policies.set(&[("default", "web", spec.clone())], &[&web]).await;
        shows(&web, &client, &one, expected[0], &spec.to_string()).await;
        shows(&web, &client, &two, expected[1], &spec.to_string()).await;
    }
    // Ports are the workload's: the service's mean nothing.
    let spec = with_ports(strict, &[(80, permissive)]);
    policies.set(&[("default", "web", spec)], &[&web]).await;
    assert_eq!(by_plaintext(&web, &one).await, None);
}

/// A connection that stands goes by what is said now.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_for_the_next_request() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("web").await;
    let web = mesh.workload("web").port(app.port(), "http").proxy().await;
    let policies = Policies::of(&mesh);
    let permissive = [("default", "web", selecting("web", "PERMISSIVE"))];
    policies.set(&permissive, &[&web]).await;
    let mut stands = Http1::connect(web.inbound).await;
    assert_eq!(stands.get("/").await.status, 200);
    policies.set(&[("default", "web", selecting("web", "STRICT"))], &[&web]).await;
    let refused = stands.get("/").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("PeerAuthentication"), "{}", refused.text());
    assert!(stands.is_closed().await);
    assert_eq!(by_plaintext(&web, "web").await, None);
    policies.set(&permissive, &[&web]).await;
    assert_eq!(by_plaintext(&web, "web").await, Some(false));
    assert_eq!(app.requests(), 2);
}

/// Each endpoint tells its callers whether it takes mutual TLS.
#[tokio::test(flavor = "multi_thread")]
async fn callers_learn_of_a_change_by_themselves() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("web").await;
    let web = mesh.workload("web").port(app.port(), "http").proxy().await;
    let client = mesh.client().await;
    let policies = Policies::of(&mesh);
    let told = async |expected: &str| {
        eventually(&format!("the caller's view is {expected}"), async || {
            let dump = Http1::connect(client.admin).await.get("/config_dump").await.json();
            let endpoint = &dump["services"][0]["ports"][0]["endpoints"][0];
            let seen = &endpoint["peer_authentication"];
            let is_as_expected = match expected {
                "DISABLE" => seen == "DISABLE",
                _ => seen.is_null() && endpoint["mutual_tls"].is_object(),
            };
            if is_as_expected { Ok(()) } else { Err(dump.to_string()) }
        })
        .await;
    };
    assert_eq!(client.http().await.get("http://web/").await.status, 200);
    for said in ["DISABLE", "STRICT", "PERMISSIVE", "DISABLE"] {
        policies.set(&[("default", "web", selecting("web", said))], &[&web]).await;
        told(said).await;
        assert_eq!(client.http().await.get("http://web/").await.status, 200, "{said}");
    }
}
