//! The data plane needs nobody: the control plane dies and comes back, proxies restart without it.

use meltemi_tests::{HttpApp, Load, Mesh, Signal, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_killed_under_load_costs_no_request() {
    let mesh = Mesh::start().await;
    let _hello = mesh.http_service("hello", 2).await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 2);
    load.answers(200).await;
    mesh.kill_control().await;
    load.answers(500).await;
    mesh.restart_control().await;
    load.answers(200).await;
    // The proxies enter their workloads again, and what is new reaches them.
    mesh.api().healthy("default", "hello", 2).await;
    let app = HttpApp::start("new").await;
    let _new = mesh.workload("hello").port(app.port(), "http").proxy().await;
    eventually("the new instance is called", async || {
        load.answers(10).await;
        let answers = load.report().answers;
        answers.contains_key("new").then_some(()).ok_or(format!("{answers:?}"))
    })
    .await;
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    assert!(report.answered() >= 900);
}

/// Everybody has lost it by then, and comes back a moment after it goes on: who is missed at that moment is no less there.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_stood_still_takes_nobody_out() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 2);
    load.answers(50).await;
    let sidecar = &hello.instances[0].1.process;
    let registered = || sidecar.log().matches(" registered").count();
    let before = registered();
    let taken_out = || mesh.control_log().matches("ended without a drain").count();
    let taken_out_before = taken_out();
    mesh.signal_control(Signal::STOP);
    eventually("its sidecar has lost the control plane", async || {
        let log = sidecar.log();
        log.contains("the registration stream broke").then_some(()).ok_or(log)
    })
    .await;
    mesh.signal_control(Signal::CONT);
    eventually("it is registered anew", async || {
        load.answers(10).await;
        (registered() > before).then_some(()).ok_or(sidecar.log())
    })
    .await;
    load.answers(200).await;
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    let log = mesh.control_log();
    assert!(log.contains("the control plane stood still"), "{log}");
    assert_eq!(taken_out(), taken_out_before, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_restart_without_a_control_plane() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("hello").await;
    // A name keeps certificate and configuration for the next start.
    let server = || mesh.workload("hello").port(app.port(), "http").flag("--name", "hello-1");
    let caller = || mesh.workload("client").flag("--name", "client-1");
    let mut hello = server().proxy().await;
    let mut client = caller().proxy().await;
    assert_eq!(client.http().await.get("http://hello/").await.status, 200);
    for name in ["hello-1", "client-1"] {
        keeps(&mesh, name, "hello.default.svc.cluster.local").await;
    }
    mesh.kill_control().await;

    client.process.kill().await;
    let client = caller().proxy_alone().await;
    let mut calls = client.http().await;
    for _ in 0..20 {
        assert_eq!(
            calls.get("http://hello/").await.status,
            200,
            "from the last good configuration"
        );
    }
    // The server side too, where the others expect it.
    let inbound = hello.inbound.to_string();
    hello.process.kill().await;
    let _hello = server().flag("--inbound", &inbound).proxy_alone().await;
    let mut calls = client.http().await;
    for _ in 0..20 {
        assert_eq!(
            calls.get("http://hello/").await.status,
            200,
            "over mTLS with the kept identity"
        );
    }
}

/// Waits until a proxy has kept a configuration with these words; it gathers changes for a moment before it writes.
async fn keeps(mesh: &Mesh, proxy: &str, words: &str) {
    let file = mesh.state().join("proxies/default").join(proxy).join("configuration/last-good.bin");
    eventually(&format!("{proxy} keeps its configuration"), async || {
        let kept = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let found = kept.windows(words.len()).any(|it| it == words.as_bytes());
        found.then_some(()).ok_or(format!("{} bytes without {words}", kept.len()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_stops_on_sigterm_and_leaves_no_address_behind() {
    let mesh = Mesh::start().await;
    assert_eq!(mesh.stop_control().await, Some(0));
    assert!(!mesh.state().join("control.json").exists());
    let outcome = mesh.command(&["get", "services"], "").await;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("meltemi control"), "the next step is told: {outcome}");
    mesh.restart_control().await;
    assert_eq!(mesh.command(&["get", "services"], "").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_object_outlives_sigkill() {
    let mesh = Mesh::start().await;
    for at in 0..20 {
        let yaml = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: kept-{at}}}\n\
             spec: {{ports: [{{name: http, port: 80}}]}}\n"
        );
        mesh.apply(&yaml).await;
    }
    mesh.kill_control().await;
    mesh.restart_control().await;
    let (status, list) = mesh.api().get("/api/v1/namespaces/default/services").await;
    assert_eq!(status, 200, "{list}");
    let names: Vec<_> = list["items"].as_array().unwrap().iter().collect();
    for at in 0..20 {
        let name = format!("kept-{at}");
        assert!(names.iter().any(|it| it["metadata"]["name"] == name.as_str()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_stops_in_order_on_sigterm_also_without_its_control_plane() {
    let mesh = Mesh::start().await;
    let mut client = mesh.client().await;
    mesh.kill_control().await;
    client.process.signal(Signal::TERM);
    assert_eq!(client.process.ended().await.code(), Some(0));
}
