//! What is seen of decisions: answers, metrics, log lines, dry runs, notes.

use meltemi_tests::{HttpApp, eventually};
use serde_json::{Value, json};

use super::World;

impl World {
    /// The value of the decisions' counter for requests.
    async fn decided(&self, result: &str) -> f64 {
        let filter = [("protocol", "http"), ("result", result)];
        self.web.scrape().await.sum("meltemi_authorization_decisions_total", &filter)
    }

    /// Waits for a line of the log of `web`'s sidecar.
    async fn logs(&self, what: &str) -> String {
        eventually(what, async || {
            let log = self.web.process.log();
            log.lines().find(|line| line.contains(what)).map(str::to_owned).ok_or(log.clone())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_answered_counted_and_logged_as_envoy_does() {
    let world = World::start().await;
    let rules = json!([{"to": [{"operation": {"methods": ["PUT"]}}]}, {"to": [{"operation": {"paths": ["/no"]}}]}]);
    world.policies(&[("DENY", rules)]).await;
    let refused = world.get("/no").await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "RBAC: access denied"));
    assert_eq!(refused.header("content-type"), Some("text/plain"));
    assert_eq!(world.get("/yes").await.status, 200);
    assert_eq!((world.decided("denied").await, world.decided("allowed").await), (1.0, 1.0));
    let scrape = world.web.scrape().await;
    let filter = [("reporter", "destination"), ("response_code", "403"), ("response_flags", "-")];
    assert_eq!(scrape.sum("istio_requests_total", &filter), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_names_the_rule_that_refused() {
    let mut world = World::start().await;
    let app = HttpApp::start("logged-1").await;
    let workload = world.mesh.workload("logged").port(app.port(), "http");
    world.web = workload.flag("--access-log", "json").proxy().await;
    let mut connection = world.client.http().await;
    let rules = json!([{"to": [{"operation": {"methods": ["PUT"]}}]}, {"to": [{"operation": {"paths": ["/no"]}}]}]);
    for (policy, path, details) in [
        (("DENY", rules), "/no", "ns[default]-policy[p000-0]-rule[1]"),
        (("ALLOW", json!([])), "/other", "none"),
    ] {
        world.policies(&[policy]).await;
        assert_eq!(connection.get(&format!("http://logged{path}")).await.status, 403);
        let line = world.web.process.line().await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["path"], &line["response_code"]), (&json!(path), &json!(403)));
        let details = format!("rbac_access_denied_matched_policy[{details}]");
        assert_eq!(line["response_code_details"], details);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_counted_and_has_no_effect() {
    let world = World::start().await;
    let rules = json!([{"to": [{"operation": {"paths": ["/no"]}}]}]);
    let object = |action: &str, dry_run: &str| {
        json!({
            "metadata": {"annotations": {"istio.io/dry-run": dry_run}},
            "spec": {"action": action, "rules": rules},
        })
    };
    world.objects(vec![object("DENY", "true")]).await;
    assert_eq!(world.statuses(&["/no", "/yes", "/yes"]).await, [200, 200, 200]);
    assert_eq!(world.decided("shadow_denied").await, 1.0);
    assert_eq!(world.decided("shadow_allowed").await, 2.0);
    assert_eq!(world.decided("denied").await, 0.0);
    world.logs("would be refused").await;
    // One that allows refuses what it does not allow, in the dry run alone.
    world.objects(vec![object("ALLOW", "true")]).await;
    assert_eq!(world.statuses(&["/no", "/yes"]).await, [200, 200]);
    assert_eq!(world.decided("shadow_denied").await, 2.0);
    world.objects(vec![object("DENY", "false")]).await;
    assert_eq!(world.statuses(&["/no", "/yes"]).await, [403, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audited_request_is_noted() {
    let world = World::start().await;
    let rules = json!([{"to": [{"operation": {"paths": ["/seen"]}}]}]);
    world.policies(&[("AUDIT", rules)]).await;
    assert_eq!(world.statuses(&["/seen?secret", "/unseen"]).await, [200, 200]);
    assert_eq!(world.decided("logged").await, 1.0);
    let line = world.logs("audited").await;
    assert!(
        line.contains("cluster.local/ns/default/sa/client") && line.contains("GET /seen"),
        "{line}"
    );
    assert!(!line.contains("secret"), "{line}");
}
