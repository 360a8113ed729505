//! What is seen of authorizers: metrics, log lines, `meltemi authz check`, `analyze`, settings that are wrong.

use meltemi_tests::{HttpApp, eventually};
use serde_json::{Value, json};

use super::super::denied_by::{FIELD, TELLS};
use super::{Asking, custom, for_web, paths};

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_authorizers_are_counted_and_refusals_logged_as_envoy_does() {
    let mut asking = Asking::start().await;
    asking.world.mesh.apply(TELLS).await;
    let app = HttpApp::start("logged-1").await;
    let workload = asking.world.mesh.workload("logged").port(app.port(), "http");
    asking.world.web = workload.flag("--access-log", "json").proxy().await;
    let rules = paths(&["/a"]);
    let spec = |provider: &str| {
        let mut spec = custom(provider, rules.clone());
        spec["selector"]["matchLabels"]["app"] = "logged".into();
        spec
    };
    for (number, ask, code, details) in
        [("000", "deny", 401, "ext_authz_denied"), ("001", "fail", 403, "ext_authz_error")]
    {
        asking.world.specs(&[spec("grpc")]).await;
        let mut connection = asking.world.client.http().await;
        let response = connection.call("GET", "http://logged/a", &[("x-ask", ask)], b"").await;
        assert_eq!(response.status, code);
        let rule = format!("ns[default]-policy[p{number}-0]-rule[0]");
        assert_eq!(response.header(FIELD), Some(rule.as_str()));
        let line = asking.world.web.process.line().await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["response_code"], &line["response_flags"], &line["response_code_details"]),
            (&json!(code), &json!("UAEX"), &json!(details))
        );
    }
    asking.world.specs(&[spec("grpc-open")]).await;
    let mut connection = asking.world.client.http().await;
    for ask in ["fail", "allow"] {
        let response = connection.call("GET", "http://logged/a", &[("x-ask", ask)], b"").await;
        assert_eq!(response.status, 200, "{ask}");
    }
    let scrape = asking.world.web.scrape().await;
    for (result, count) in
        [("ok", 1.0), ("denied", 1.0), ("error", 2.0), ("failure_mode_allowed", 1.0)]
    {
        let filter = [("protocol", "http"), ("result", result)];
        assert_eq!(scrape.sum("meltemi_external_authorization_total", &filter), count, "{result}");
    }
    let flagged = [("reporter", "destination"), ("response_flags", "UAEX")];
    assert_eq!(scrape.sum("istio_requests_total", &flagged), 2.0);
    let what = "an authorizer could not be asked";
    eventually(what, async || {
        let log = asking.world.web.process.log();
        log.lines()
            .any(|line| line.contains(what) && line.contains("status 13"))
            .then_some(())
            .ok_or(log)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_explained_who_would_be_asked_and_who_cannot_be() {
    let asking = Asking::start().await;
    let mesh = &asking.world.mesh;
    let check = async |path: &str| {
        mesh.command(&["authz", "check", "client", "web", "--path", path], "").await
    };
    let deny = for_web("DENY", paths(&["/a/no"]));
    asking.world.specs(&[custom("grpc", paths(&["/a*"])), deny]).await;
    for (path, code, told) in [
        ("/b", 0, "allowed: GET /b"),
        ("/a", 1, "the authorizer grpc at auth-grpc.default.svc.cluster.local:"),
        ("/a", 1, "asked; what it allows passes"),
        ("/a/no", 1, "what it allows is refused all the same: rbac_access_denied"),
    ] {
        let outcome = check(path).await;
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert!(outcome.stdout.contains(told), "{told}: {outcome}");
    }
    asking.world.specs(&[custom("nobody", paths(&["/a"]))]).await;
    let outcome = check("/a").await;
    assert!(outcome.stdout.contains("there is no authorizer nobody to ask"), "{outcome}");
    let outcome = mesh.command(&["analyze", "-A"], "").await;
    assert!(outcome.stdout.contains("there is no authorizer `nobody`"), "{outcome}");
    assert!(outcome.stdout.contains("the mesh has grpc, grpc-open"), "{outcome}");

    let several = [custom("grpc", paths(&["/a"])), custom("http", paths(&["/b"]))];
    asking.world.specs(&several).await;
    let outcome = check("/a").await;
    assert!(outcome.stdout.contains("name several authorizers"), "{outcome}");
    let outcome = mesh.command(&["analyze", "-A"], "").await;
    assert!(outcome.stdout.contains("name the authorizers grpc, http"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_wrong_are_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mesh.yaml");
    std::fs::write(&file, "extensionProviders:\n- name: a\n  zipkin: {port: 1}\n").unwrap();
    let mut command = std::process::Command::new(meltemi_tests::meltemi());
    command.args(["control", "--mesh-config"]).arg(&file);
    command.arg("--state-dir").arg(directory.path().join("state"));
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("mesh.yaml:3:3: extensionProviders[0].zipkin: unknown field"), "{told}");
}
