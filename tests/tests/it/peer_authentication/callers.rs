//! How callers go about it: what a DestinationRule has them do, and what a caller that proves nothing may do.

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, eventually};
use serde_json::{Value, json};

use super::{Policies, Reached, by_mesh, by_plaintext, mode, selecting};

struct World {
    mesh: Mesh,
    app: HttpApp,
    web: Sidecar,
    client: Sidecar,
}

impl World {
    async fn start() -> Self {
        let mesh = Mesh::start().await;
        let app = HttpApp::start("web").await;
        let web = mesh.workload("web").port(app.port(), "http").proxy().await;
        let client = mesh.client().await;
        World { mesh, app, web, client }
    }

    /// Has callers go by this TLS until the rule is taken away.
    async fn rule(&self, tls: &Value) {
        let rule = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "web"},
            "spec": {"host": "web", "trafficPolicy": {"tls": tls}},
        });
        self.mesh.apply(&rule.to_string()).await;
    }

    async fn no_rule(&self) {
        let path = "/apis/networking.istio.io/v1/namespaces/default/destinationrules/web";
        let (status, answer) = self.mesh.api().call("DELETE", path, "", &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until calls of the sidecar go like this.
    async fn goes(&self, expected: Reached, why: &str) {
        eventually(&format!("{why}: {expected:?}"), async || {
            let reached = by_mesh(&self.client, "web").await;
            if reached == expected { Ok(()) } else { Err(format!("{reached:?}")) }
        })
        .await;
    }

    /// A request in plaintext: status and text.
    async fn plainly(&self) -> (u16, String) {
        let mut connection = Http1::connect(self.web.inbound).await;
        let response = connection.call("GET", "/", &[("host", "web")], b"").await;
        (response.status, response.text().trim().to_owned())
    }
}

/// Fields: DestinationRule spec.trafficPolicy.tls.mode; PeerAuthentication spec.mtls.mode
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_rule_says_how_to_call_and_cannot_lead_past_what_is_asked() {
    let world = World::start().await;
    let policies = Policies::of(&world.mesh);
    let tls = |mode: &str| json!({"mode": mode});
    let own_tls = json!({"mode": "SIMPLE", "insecureSkipVerify": true});
    for (asked, rule, expected) in [
        ("STRICT", tls("DISABLE"), None),
        ("STRICT", tls("ISTIO_MUTUAL"), Some(true)),
        ("STRICT", own_tls.clone(), None),
        ("PERMISSIVE", tls("DISABLE"), Some(false)),
        ("PERMISSIVE", tls("ISTIO_MUTUAL"), Some(true)),
        ("DISABLE", tls("DISABLE"), Some(false)),
        ("DISABLE", tls("ISTIO_MUTUAL"), None),
    ] {
        let why = format!("{asked} {rule}");
        policies.set(&[("default", "web", selecting("web", asked))], &[&world.web]).await;
        world.goes(Some(asked != "DISABLE"), &format!("{asked} without a rule")).await;
        world.rule(&rule).await;
        world.goes(expected, &why).await;
        let before = world.app.requests();
        let response = world.client.http().await.get("http://web/").await;
        let is_let_in = expected.is_some();
        let status = if is_let_in { 200 } else { 503 };
        assert_eq!(response.status, status, "{why}: {}", response.text());
        assert_eq!(world.app.requests() - before, u64::from(is_let_in), "{why}");
        world.no_rule().await;
    }
}

/// Fields: AuthorizationPolicy spec.rules[].from[].source.principals[],
/// spec.rules[].from[].source.namespaces[], spec.rules[].from[].source.notPrincipals[]
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_plaintext_is_nobody() {
    let world = World::start().await;
    let policies = Policies::of(&world.mesh);
    policies.set(&[("istio-system", "mesh", mode("PERMISSIVE"))], &[&world.web]).await;
    assert_eq!(world.plainly().await, (200, "web".into()));
    let own_address = json!({"ipBlocks": ["127.0.0.1"]});
    for (number, (action, source, plain_passes, mesh_passes)) in [
        ("ALLOW", json!({"principals": ["*"]}), false, true),
        ("ALLOW", json!({"namespaces": ["default"]}), false, true),
        ("ALLOW", own_address.clone(), true, true),
        // Istio's way to ask for mutual TLS by an AuthorizationPolicy.
        ("DENY", json!({"notPrincipals": ["*"]}), false, true),
        ("DENY", own_address, false, false),
    ]
    .into_iter()
    .enumerate()
    {
        let rules = json!([{"from": [{"source": source}]}]);
        let name = format!("p{number}");
        let spec = json!({"action": action, "rules": rules});
        policies.create("AuthorizationPolicy", "istio-system", &name, &spec).await;
        let names = |passes: bool| if passes { 200 } else { 403 };
        eventually(&format!("{action} {rules}"), async || {
            let (plain, text) = world.plainly().await;
            let mesh = world.client.http().await.get("http://web/").await.status;
            if (plain, mesh) == (names(plain_passes), names(mesh_passes)) {
                assert!(plain == 200 || text == "RBAC: access denied", "{text}");
                return Ok(());
            }
            Err(format!("{plain} {mesh}"))
        })
        .await;
        policies.delete("authorizationpolicies", "istio-system", &name).await;
        world.client.until("none is left", "http://web/", |it| it.status == 200).await;
        eventually("none is left in plaintext", async || match world.plainly().await {
            (200, _) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_who_comes_without_mutual_tls() {
    let world = World::start().await;
    let policies = Policies::of(&world.mesh);
    policies.set(&[("default", "all", mode("PERMISSIVE"))], &[&world.web]).await;
    for _ in 0..3 {
        assert_eq!(by_plaintext(&world.web, "web").await, Some(false));
    }
    assert_eq!(by_mesh(&world.client, "web").await, Some(true));
    world.rule(&json!({"mode": "DISABLE"})).await;
    world.goes(Some(false), "a rule has it called in plaintext").await;
    // Who answers in plaintext has proved nothing.
    let principals = async || {
        let filter = [("reporter", "source"), ("response_code", "200")];
        let labels = ["destination_principal"];
        world.client.scrape().await.sum_by("istio_requests_total", &filter, &labels)
    };
    eventually("the calls are counted", async || {
        let seen = principals().await;
        let known = "spiffe://cluster.local/ns/default/sa/default".to_owned();
        let is_both = [known, "unknown".to_owned()]
            .iter()
            .all(|it| seen.contains_key([it.clone()].as_slice()));
        if is_both && seen.len() == 2 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    let labels = ["connection_security_policy", "source_principal", "destination_service"];
    let of = |security: &str, principal: &str| {
        let service = "web.default.svc.cluster.local";
        vec![security.to_owned(), principal.to_owned(), service.to_owned()]
    };
    let principal = "spiffe://cluster.local/ns/default/sa/default";
    eventually("the requests are counted", async || {
        let filter = [("reporter", "destination")];
        let mut seen = world.web.scrape().await.sum_by("istio_requests_total", &filter, &labels);
        // The last call came by the rule, and those before it as the caller had not heard of it yet.
        let (by_tls, plain) = (of("mutual_tls", principal), of("none", "unknown"));
        match (seen.remove(&by_tls), seen.remove(&plain)) {
            (Some(1.0..), Some(4.0)) if seen.is_empty() => Ok(()),
            other => Err(format!("{other:?} {seen:?}")),
        }
    })
    .await;
}
