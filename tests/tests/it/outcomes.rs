//! What became of calls, as the registry tells it: per endpoint and caller, also after a restart, and to whom it may.

use meltemi_tests::{Http1, Mesh, Signal, TcpApp, eventually};
use serde_json::Value;

mod classes;
mod ejection;
mod left;
mod overload;
mod shortage;
pub(crate) mod told;

use told::{Figures, outcomes};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_told_per_endpoint_and_caller() {
    let mesh = Mesh::start().await;
    let hello = [told::named(&mesh, "hello-1").await, told::named(&mesh, "hello-2").await];
    let (one, two) = (mesh.workload("one").proxy().await, mesh.workload("two").proxy().await);
    for (client, calls) in [(&one, 20), (&two, 6)] {
        let mut http = client.http().await;
        for _ in 0..calls {
            assert_eq!(http.get("http://hello/").await.status, 200);
        }
    }
    hello[1].0.set_status(404);
    hello[0].0.set_status(500);
    let mut http = two.http().await;
    for _ in 0..4 {
        http.call("POST", "http://hello/set", &[], b"four").await;
    }
    let expected = [
        ("one", "hello-1", Figures { calls: 10, ..Figures::default() }),
        ("one", "hello-2", Figures { calls: 10, ..Figures::default() }),
        ("two", "hello-1", Figures { calls: 5, server_errors: 2, sent: 8 }),
        ("two", "hello-2", Figures { calls: 5, server_errors: 0, sent: 8 }),
    ];
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
    let (_, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello&window=1h").await;
    for item in told["items"].as_array().unwrap() {
        let latency = &item["latencyMillis"];
        let at = |name: &str| latency[name].as_f64().unwrap();
        assert!(0.0 < at("p50") && at("p50") <= at("p90") && at("p90") <= at("p99"), "{item}");
        assert!(at("relativeError") <= 0.0625, "{item}");
        assert_eq!(item["inFlight"], 0, "{item}");
    }
}

/// A machine that stands still closes no connection: its lease is what ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_stands_still_leaves_and_its_outcomes_stay() {
    let mesh = Mesh::start().await;
    let hello = [told::named(&mesh, "hello-1").await, told::named(&mesh, "hello-2").await];
    let one = mesh.workload("one").proxy().await;
    let mut http = one.http().await;
    for _ in 0..10 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    let figures = |calls| Figures { calls, ..Figures::default() };
    let before = [("one", "hello-1", figures(5)), ("one", "hello-2", figures(5))];
    outcomes(&mesh, "service=hello&window=1h", &before).await;
    hello[0].1.process.signal(Signal::STOP);
    mesh.api().healthy("default", "hello", 1).await;
    // A call of it would stand still as well: none is made before the caller knows.
    eventually("the caller knows it no longer", async || {
        let dump = Http1::connect(one.admin).await.get("/config_dump").await.text();
        let is_known = |name: &str| dump.contains(&format!("\"default/{name}\""));
        (is_known("hello-2") && !is_known("hello-1")).then_some(()).ok_or(dump)
    })
    .await;
    for _ in 0..10 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    assert_eq!([0, 1].map(|at| hello[at].0.requests()), [5, 15]);
    eventually("what became of its calls is told", async || {
        let (status, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello&window=1h").await;
        let items = told["items"].as_array().cloned().unwrap_or_default();
        let is_it = |item: &&Value| item["endpoint"] == "default/hello-1";
        let calls = items.iter().find(is_it).and_then(|item| item["calls"].as_u64());
        (calls == Some(5)).then_some(()).ok_or(format!("{status} {told}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_calls_too_and_failures_have_their_class() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let sidecar = mesh.workload("echo").port(app.port(), "tcp").proxy().await;
    let listen = meltemi_tests::free_port();
    let upstream = format!("echo:{}", app.port());
    let client = mesh.workload("one").upstream(&upstream, listen).proxy().await;
    told::echo(listen, b"hello").await;
    let whole = Figures { calls: 1, server_errors: 0, sent: 5 };
    outcomes(&mesh, "service=echo&window=1h", &[("one", "echo-", whole)]).await;
    drop((sidecar, client));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_control_plane_forgets_nothing_and_loses_nothing_of_meanwhile() {
    let mesh = Mesh::start().await;
    let _hello = told::named(&mesh, "hello-1").await;
    let client = mesh.workload("one").proxy().await;
    let mut http = client.http().await;
    http.get("http://hello/").await;
    let of = |calls| [("one", "hello-1", Figures { calls, ..Figures::default() })];
    outcomes(&mesh, "service=hello&window=1h", &of(1)).await;
    assert_eq!(mesh.stop_control().await, Some(0));
    for _ in 0..2 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    mesh.restart_control().await;
    outcomes(&mesh, "service=hello&window=1h", &of(3)).await;
}

/// What is written down within a second or two is there after SIGKILL, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_killed_knows_what_it_had_written() {
    let mesh = Mesh::start_with(&["--report-interval", "1h"]).await;
    let _hello = told::named(&mesh, "hello-1").await;
    let mut client = mesh.workload("one").flag("--name", "one-1").proxy().await;
    let mut http = client.http().await;
    for _ in 0..5 {
        assert_eq!(http.get("http://hello/").await.status, 200);
    }
    drop(http);
    // Its last report is its only one.
    client.process.signal(Signal::TERM);
    client.process.ended().await;
    let expected = [("one-1", "hello-1", Figures { calls: 5, ..Figures::default() })];
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
    let (file, caller) = (mesh.state().join("outcomes"), b"default/one-1");
    eventually("it is written down", async || {
        let kept = std::fs::read(&file).map_err(|error| error.to_string())?;
        let found = kept.windows(caller.len()).any(|it| it == caller);
        found.then_some(()).ok_or(format!("{} bytes without the caller", kept.len()))
    })
    .await;
    mesh.kill_control().await;
    mesh.restart_control().await;
    outcomes(&mesh, "service=hello&window=1h", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_the_services_of_a_namespace_may_read_their_outcomes_and_no_others() {
    let mesh = Mesh::start().await;
    let app = meltemi_tests::HttpApp::start("far").await;
    let _far = mesh.workload("far").namespace("far").port(app.port(), "http").proxy().await;
    let client = mesh.workload("one").proxy().await;
    client.http().await.get("http://far.far/").await;
    let expected = [("one", "far-", Figures { calls: 1, ..Figures::default() })];
    outcomes(&mesh, "namespace=far", &expected).await;
    mesh.apply(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: eye, namespace: far}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {name: eye, namespace: far}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: viewer}\n\
         subjects: [{kind: ServiceAccount, name: eye, namespace: far}]\n",
    )
    .await;
    let api = mesh.api();
    let path = "/api/v1/namespaces/far/serviceaccounts/eye/token";
    let (status, token) = api.post(path, &serde_json::json!({"spec": {}})).await;
    assert_eq!(status, 201, "{token}");
    let eye = api.with_token(token["status"]["token"].as_str().unwrap());
    for (query, expected) in
        [("namespace=far", 200), ("namespace=default", 403), ("", 403), ("service=far.far", 403)]
    {
        let (status, told) = eye.get(&format!("/meltemi/v1/outcomes?{query}")).await;
        assert_eq!(status, expected, "{query}: {told}");
    }
    for wrong in ["window=2h", "window=x", "nothing=1", "window=1m&window=5m"] {
        let (status, told) = api.get(&format!("/meltemi/v1/outcomes?{wrong}")).await;
        assert_eq!((status, &told["reason"]), (400, &"BadRequest".into()), "{wrong}: {told}");
    }
    for (service, status, rows) in [
        ("far.far", 200, Some(1)),
        ("far.far:80", 200, Some(1)),
        ("far.far.svc.cluster.local:1", 200, Some(0)),
        ("nobody", 404, None),
        ("far", 404, None),
    ] {
        let path = format!("/meltemi/v1/outcomes?window=1h&service={service}");
        let (answered, told) = api.get(&path).await;
        let items = told["items"].as_array().map(Vec::len);
        assert_eq!((answered, items), (status, rows), "{service}: {told}");
    }
    let (_, told) = api.get("/meltemi/v1/outcomes").await;
    assert_eq!(told["windowSeconds"], 60);
    let (_, told) = api.get("/meltemi/v1/outcomes?service=nobody").await;
    assert!(told["message"].as_str().is_some_and(|it| it.contains("nobody")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_show_them() {
    let mesh = Mesh::start_with(&["--report-interval", "200ms"]).await;
    let _hello = told::named(&mesh, "hello-1").await;
    let client = mesh.workload("one").flag("--name", "caller-1").proxy().await;
    client.http().await.get("http://hello/").await;
    let expected = [("caller-1", "hello-1", Figures { calls: 1, ..Figures::default() })];
    outcomes(&mesh, "window=1h", &expected).await;
    let wide =
        mesh.command(&["get", "outcomes", "hello", "--window", "1h", "-o", "wide"], "").await;
    assert_eq!(wide.code, Some(0), "{wide}");
    let mut rows = wide.stdout.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let head = rows.next().unwrap();
    assert_eq!(head[..6], ["SERVICE", "ENDPOINT", "CALLER", "SUCCESS", "RATE", "CALLS"], "{wide}");
    let row = rows.next().unwrap();
    assert_eq!(row[1..4], ["default/hello-1", "default/caller-1", "100.00%"], "{wide}");
    assert!(row[0].starts_with("hello.default.svc.cluster.local:"), "{wide}");
    let json = mesh.command(&["get", "outcomes", "-A", "--window=1h", "-o", "json"], "").await;
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["windowSeconds"], 3600, "{json}");
    assert_eq!(told["items"][0]["caller"], "default/caller-1", "{json}");
    // The service as its row tells it, and by a short name with its port.
    let port = row[0].rsplit_once(':').unwrap().1;
    for name in [row[0], &format!("hello:{port}"), "hello"] {
        let named = mesh.command(&["get", "outcomes", name, "--window", "1h"], "").await;
        assert!(named.code == Some(0) && named.stdout.contains("default/caller-1"), "{named}");
    }
    let unknown = mesh.command(&["get", "outcomes", "nope"], "").await;
    assert!(unknown.code != Some(0) && unknown.stderr.contains("no service \"nope\""), "{unknown}");
    let other = mesh.command(&["get", "outcomes", "-n", "other"], "").await;
    assert!(other.stdout.is_empty() && other.stderr.contains("No calls"), "{other}");
    let refused = mesh.command(&["get", "outcomes", "--watch"], "").await;
    assert!(refused.code != Some(0) && refused.stderr.contains("--watch"), "{refused}");
    let refused = mesh.command(&["get", "services", "--window", "5m"], "").await;
    assert!(refused.code != Some(0) && refused.stderr.contains("--window"), "{refused}");
    let described = mesh.command(&["describe", "service", "hello"], "").await;
    assert!(described.stdout.contains("Calls:"), "{described}");
    assert!(described.stdout.contains("default/caller-1"), "{described}");
}
