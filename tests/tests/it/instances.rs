//! Instances that die, come back, and stop in order, while callers go on and see no error.

use std::time::{Duration, Instant};

use meltemi_tests::{
    Http1, HttpApp, Load, Mesh, Sidecar, Signal, descendants, eventually, free_port, is_alive,
    kill, test_app,
};

/// An instance under `meltemi run`, and the port of its application.
async fn instance(mesh: &Mesh, name: &str) -> (Sidecar, u16) {
    let port = free_port();
    (start_at(mesh, name, port).await, port)
}

async fn start_at(mesh: &Mesh, name: &str, port: u16) -> Sidecar {
    let app = test_app().to_str().expect("a path of text");
    mesh.workload("hello").port(port, "http").run(&[app, &port.to_string(), name]).await
}

/// Tells how long it took, which is promised to be two seconds; five times as much is allowed to a busy machine.
fn took(what: &str, since: Instant) {
    let elapsed = since.elapsed();
    eprintln!("{what} after {elapsed:?}");
    assert!(elapsed < Duration::from_secs(10), "{what} after {elapsed:?}");
}

fn application(sidecar: &Sidecar) -> u32 {
    let applications = descendants(sidecar.pid(), "meltemi-test-app");
    assert_eq!(applications.len(), 1, "`run` has one command");
    applications[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_instance_is_out_of_rotation_and_nobody_sees_an_error() {
    let mesh = Mesh::start().await;
    let [mut a, b, c] =
        [instance(&mesh, "a").await, instance(&mesh, "b").await, instance(&mesh, "c").await];
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 2);
    load.answers(100).await;

    // The command alone: its `run` reports its end.
    let killed = Instant::now();
    kill(application(&a.0));
    mesh.api().healthy("default", "hello", 2).await;
    took("a killed command was out of rotation", killed);
    assert_eq!(a.0.process.ended().await.code(), Some(128 + 9), "the command's own end is told");
    load.answers(100).await;

    // The whole `run`: nobody is left to report it.
    let killed = Instant::now();
    let command = application(&b.0);
    let mut b = b.0;
    b.process.kill().await;
    mesh.api().healthy("default", "hello", 1).await;
    took("a killed `run` was out of rotation", killed);
    eventually("the command ends with its `run`", async || match is_alive(command) {
        false => Ok(()),
        true => Err(format!("process {command} is alive")),
    })
    .await;
    load.answers(100).await;

    // Back again, on the same port.
    let back = Instant::now();
    let _again = start_at(&mesh, "a", a.1).await;
    eventually("the instance that came back is called", async || {
        let before = load.report().answers["a"];
        load.answers(20).await;
        match load.report().answers["a"] > before {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        }
    })
    .await;
    took("an instance was started and called", back);
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    assert!(report.answers["c"] > 0, "{} served all along", c.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_beside_a_lone_proxy_goes_and_comes_back() {
    let mesh = Mesh::start().await;
    let steady = mesh.http_service("hello", 1).await;
    let brief = HttpApp::start("brief").await;
    let port = brief.port();
    let proxy = mesh.workload("hello").port(port, "http").proxy().await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 2);
    load.answers(50).await;
    let gone = Instant::now();
    drop(brief);
    mesh.api().healthy("default", "hello", 1).await;
    took("an application that is gone was out of rotation", gone);
    assert_eq!(Http1::connect(proxy.health).await.get("/healthz/ready").await.status, 503);
    load.answers(50).await;
    let back = Instant::now();
    let again = HttpApp::start_at("brief", port).await;
    mesh.api().healthy("default", "hello", 2).await;
    eventually("it is called again", async || match again.requests() {
        0 => Err("no request".to_owned()),
        _ => Ok(()),
    })
    .await;
    took("an application that is back was called", back);
    assert_eq!(Http1::connect(proxy.health).await.get("/healthz/ready").await.status, 200);
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    assert!(steady.requests()[0] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_workload_takes_over_is_not_mistaken_for_the_first() {
    let mesh = Mesh::start().await;
    let _steady = mesh.http_service("hello", 1).await;
    let [own, other] = [HttpApp::start("own").await, HttpApp::start("other").await];
    let mut first = mesh.workload("hello").port(own.port(), "http").proxy().await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 4);
    load.answers(100).await;
    let inbound = first.inbound.to_string();
    first.process.kill().await;
    let second = mesh
        .workload("other")
        .port(other.port(), "http")
        .flag("--service-account", "other")
        .flag("--inbound", &inbound);
    let _second = second.proxy().await;
    load.answers(100).await;
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    assert_eq!(other.requests(), 0, "what was meant for `hello` came to `other`");
    assert_eq!(client.http().await.get("http://other/").await.served_by(), "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_die_one_after_the_other_cause_no_error() {
    let mesh = Mesh::start().await;
    let steady = instance(&mesh, "steady").await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 4);
    for round in 0..4 {
        let (mut sidecar, _) = instance(&mesh, &format!("brief-{round}")).await;
        load.answers(50).await;
        if round % 2 == 0 {
            kill(application(&sidecar));
            sidecar.process.ended().await;
        } else {
            sidecar.process.kill().await;
        }
        load.answers(50).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    drop(steady);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_no_request_and_the_log_proves_its_order() {
    let mesh = Mesh::start().await;
    let (mut leaving, port) = instance(&mesh, "leaving").await;
    let client = mesh.client().await;
    // One request that is still being answered when the stop begins.
    let mut caller = client.http().await;
    let held = tokio::spawn(async move { caller.get("http://hello/hold").await });
    let direct = ([127, 0, 0, 1], port).into();
    eventually("a held request", async || {
        let stats = Http1::connect(direct).await.get("/stats").await.json();
        (stats["in_flight"] == 1).then_some(()).ok_or(stats.to_string())
    })
    .await;
    let (_staying, _) = instance(&mesh, "staying").await;
    let load = Load::start(client.outbound, "http://hello/", 2);
    load.answers(100).await;
    assert!(load.report().answers.contains_key("leaving"), "both are in rotation");

    leaving.process.signal(Signal::TERM);
    mesh.api().healthy("default", "hello", 1).await;
    load.answers(50).await;
    assert!(leaving.process.status().is_none(), "a request is still being answered");
    let before = load.report().answers["leaving"];
    load.answers(100).await;
    assert_eq!(load.report().answers["leaving"], before, "no new request reaches it");
    Http1::connect(direct).await.get("/release").await;
    leaving.process.ended().await;
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    let held = held.await.unwrap();
    assert_eq!((held.status, held.served_by()), (200, "leaving"), "the held request was answered");

    let log = leaving.process.log();
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("{what:?} is not in:\n{log}"));
    let order = [
        "taking the workload out",
        "drained: acknowledged",
        "last request finished",
        "command ended",
    ];
    assert!(order.map(at).is_sorted(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_has_started_ends_with_a_killed_run_too() {
    let mesh = Mesh::start().await;
    let (app, port) = (test_app().display(), free_port());
    let script = format!("{app} {port} inner & wait");
    let mut run = mesh.workload("hello").port(port, "http").run(&["sh", "-c", &script]).await;
    let inner = application(&run);
    run.process.kill().await;
    eventually("the shell's own process ends", async || match is_alive(inner) {
        false => Ok(()),
        true => Err(format!("process {inner} is alive")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_and_signals_of_a_command_are_its_own() {
    let mesh = Mesh::start().await;
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let mut run = mesh.workload("job").attempt("run", &["sh", "-c", script]);
        assert_eq!(run.ended().await.code(), Some(code), "{script}");
    }
    let mut run = mesh.workload("job").attempt("run", &["/nonexistent/command"]);
    assert_eq!(run.ended().await.code(), Some(127), "as a shell has it");
    let log = run.log();
    assert!(log.contains("/nonexistent/command"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_http_server_will_do() {
    let Some(python) = meltemi_tests::peer::program("python3") else { return };
    let mesh = Mesh::start().await;
    let mut instances = Vec::new();
    for _ in 0..3 {
        let port = free_port();
        // Speaks HTTP/1.0: each response ends with its connection.
        let command = [
            python.to_str().unwrap(),
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            &port.to_string(),
        ];
        instances.push(mesh.workload("files").port(port, "").run(&command).await);
    }
    let client = mesh.client().await;
    let mut calls = client.http().await;
    for at in 0..30 {
        let response = calls.get("http://files/").await;
        assert_eq!(response.status, 200, "request {at}: {}", response.text());
        assert!(response.text().contains("Directory listing"), "{}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reaches_the_mesh_through_its_environment() {
    let Some(_) = meltemi_tests::peer::program("curl") else { return };
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let page = mesh.directory().join("page");
    let script = format!("exec curl --silent --fail --output {} http://hello/", page.display());
    let mut run = mesh.workload("job").attempt("run", &["sh", "-c", &script]);
    assert_eq!(run.ended().await.code(), Some(0));
    assert_eq!(std::fs::read_to_string(page).unwrap(), "hello-1\n");
    assert_eq!(hello.requests(), [1]);
}

/// What answers `no such port` has not reached the application, so that the default retry would hide it: there is none here.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_joins_is_not_called_before_its_own_sidecar_knows_what_it_stands_for() {
    let mesh = Mesh::start().await;
    let _steady = mesh.http_service("hello", 1).await;
    let rule = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: hello}, spec: {hosts: [hello], \
                http: [{retries: {attempts: 0}, route: [{destination: {host: hello}}]}]}}";
    mesh.apply(rule).await;
    let client = mesh.client().await;
    let load = Load::start(client.outbound, "http://hello/", 4);
    load.answers(50).await;
    for round in 0..6 {
        let name = format!("joins-{round}");
        let app = HttpApp::start(&name).await;
        let mut joins =
            mesh.workload("hello").flag("--name", "joins").port(app.port(), "http").proxy().await;
        eventually("it is called", async || match app.requests() {
            0 => Err("no request".to_owned()),
            _ => Ok(()),
        })
        .await;
        // The next one has its name and its files, and another port.
        joins.process.signal(Signal::TERM);
        joins.process.ended().await;
        load.answers(20).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
}
