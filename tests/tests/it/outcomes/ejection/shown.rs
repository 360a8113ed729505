//! Which endpoint is ejected, by whom and until when: as the registry tells it, and each sidecar of itself.

use meltemi_tests::{Http1, Mesh, Sidecar, eventually};
use serde_json::Value;

use super::{calls, ejected, find_out};
use crate::outcomes::told::{Figures, named, outcomes};

/// What a sidecar says of an instance of `hello` in `/config_dump`.
async fn dumped(sidecar: &Sidecar, endpoint: &str) -> Value {
    let dump = Http1::connect(sidecar.admin).await.get("/config_dump").await.json();
    let services = dump["services"].as_array().into_iter().flatten();
    let ports = services.flat_map(|it| it["ports"].as_array().into_iter().flatten());
    let mut endpoints = ports.flat_map(|it| it["endpoints"].as_array().into_iter().flatten());
    let found = endpoints.find(|it| it["workload"] == *endpoint).cloned();
    found.unwrap_or_else(|| panic!("{endpoint} is not among {dump:#}"))
}

/// How many endpoints of the called port of `hello` a sidecar's metrics say to be ejected, and how often one was.
async fn counted(sidecar: &Sidecar) -> [f64; 2] {
    let scrape = sidecar.scrape().await;
    let cluster = [("cluster_name", "outbound|80||hello.default.svc.cluster.local")];
    ["active", "enforced_total"].map(|what| {
        scrape.sum(&format!("envoy_cluster_outlier_detection_ejections_{what}"), &cluster)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_ejected_and_by_whom_is_shown_to_people() {
    let mesh = Mesh::start().await;
    let hello = [
        named(&mesh, "hello-1").await,
        named(&mesh, "hello-2").await,
        named(&mesh, "hello-3").await,
    ];
    let a = mesh.workload("a").flag("--name", "a-1").proxy().await;
    let b = mesh.workload("b").flag("--name", "b-1").proxy().await;
    assert_eq!(calls(&a, 3).await, [200; 3]);
    assert_eq!(calls(&b, 3).await, [200; 3]);
    let before = mesh.command(&["describe", "service", "hello"], "").await;
    assert!(before.stdout.contains("3 of 3 ready\n"), "{before}");
    assert!(dumped(&a, "default/hello-1").await["ejected"].is_null());
    assert_eq!(counted(&a).await, [0.0, 0.0]);

    hello[0].0.set_status(500);
    find_out(&a, &hello[0].0).await;
    ejected(&mesh, 1).await;
    let described = mesh.command(&["describe", "service", "hello"], "").await;
    assert!(described.stdout.contains("3 of 3 ready, 1 ejected\n"), "{described}");
    let lines: Vec<&str> = described.stdout.lines().map(str::trim_end).collect();
    let line = |name: &str| lines.iter().find(|it| it.trim_start().starts_with(name)).unwrap();
    let marked = line("hello-1 ");
    assert!(marked.contains("back in ") && marked.ends_with("told by default/a-1"), "{described}");
    assert!(line("hello-2 ").ends_with(" no"), "{described}");

    let (_, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello").await;
    let ejections = told["ejections"].as_array().unwrap();
    let [one] = &ejections[..] else { panic!("{told}") };
    let fields = ["endpoint", "caller", "reason", "port", "namespace", "service"];
    let host = "hello.default.svc.cluster.local";
    let said = ["default/hello-1", "default/a-1", "consecutive_5xx", "80", "default", host];
    for (field, expected) in fields.into_iter().zip(said) {
        assert_eq!(one[field].to_string().trim_matches('"'), expected, "{field}: {told}");
    }
    assert!(one["toldToAll"] == true && one["secondsLeft"].as_u64() <= Some(30), "{told}");
    let (_, other) = mesh.api().get("/meltemi/v1/outcomes?service=hello:1").await;
    assert_eq!(other["ejections"], serde_json::json!([]), "another port");

    // The calls are told with the ejection, or before it.
    let wide = mesh.command(&["get", "outcomes", "hello", "-o", "wide"], "").await;
    let rows: Vec<Vec<&str>> =
        wide.stdout.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(rows[0].last(), Some(&"EJECTED"), "{wide}");
    let row = |of: [&str; 2]| rows.iter().find(|it| it[1..3] == of).and_then(|it| it.last());
    let marked = row(["default/hello-1", "default/a-1"]);
    assert!(marked.is_some_and(|it| it.ends_with('s')), "{wide}");
    assert_eq!(row(["default/hello-2", "default/a-1"]), Some(&"-"), "{wide}");
    let json = mesh.command(&["get", "outcomes", "hello", "-o", "json"], "").await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["ejections"][0]["endpoint"], "default/hello-1", "{json}");

    let own = dumped(&a, "default/hello-1").await;
    assert_eq!(own["ejected"]["reason"], "consecutive_5xx", "{own}");
    assert!(own["ejected"]["seconds_left"].as_f64().is_some_and(|it| it <= 30.0), "{own}");
    assert!(dumped(&a, "default/hello-2").await["ejected"].is_null());
    assert_eq!(counted(&a).await, [1.0, 1.0]);
    eventually("the other caller says so, too", async || {
        let other = dumped(&b, "default/hello-1").await;
        (other["ejected"]["reason"] == "told").then_some(()).ok_or(other.to_string())
    })
    .await;
    assert_eq!(counted(&b).await, [1.0, 1.0]);
}

/// It ejects by its own rule the only endpoint that there is, which nobody else is told of.
/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.baseEjectionTime
#[tokio::test(flavor = "multi_thread")]
async fn what_one_caller_leaves_out_for_itself_alone_is_shown_for_as_long_as_it_says() {
    let mesh = Mesh::start().await;
    let hello = named(&mesh, "hello-1").await;
    let policy = "outlierDetection: {baseEjectionTime: 300s}";
    super::rule(&mesh, "default", "hello", policy, "").await;
    let a = mesh.workload("a").flag("--name", "a-1").proxy().await;
    hello.0.set_status(500);
    find_out(&a, &hello.0).await;
    eventually("it is told", async || {
        let (_, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello").await;
        let one = &told["ejections"][0];
        let is_told = one["toldToAll"] == false && one["secondsLeft"].as_u64() > Some(100);
        is_told.then_some(()).ok_or(told.to_string())
    })
    .await;
    let described = mesh.command(&["describe", "service", "hello"], "").await;
    assert!(described.stdout.contains(" s, for default/a-1 alone"), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_by_two_ports_of_a_service_are_told_apart() {
    let mesh = Mesh::start().await;
    let hello = named(&mesh, "hello-1").await;
    let a = mesh.workload("a").flag("--name", "a-1").proxy().await;
    let mut http = a.http().await;
    let port = hello.0.port();
    for target in ["http://hello/".to_owned(), format!("http://hello:{port}/")] {
        assert_eq!(http.get(&target).await.status, 200);
    }
    let one = ("a-1", "hello-1", Figures { calls: 1, ..Figures::default() });
    outcomes(&mesh, "service=hello&window=1h", &[one, one]).await;
    let described = mesh.command(&["describe", "service", "hello"], "").await;
    let rows = described.stdout.lines().map(|it| it.split_whitespace().collect::<Vec<_>>());
    let rows: Vec<Vec<&str>> = rows.filter(|it| it.first() == Some(&"default/hello-1")).collect();
    for port in ["80".to_owned(), port.to_string()] {
        let place = ["default/hello-1", &port, "default/a-1"];
        assert!(rows.iter().any(|it| it[..3] == place), "{port}: {described}");
    }
}
