//! An endpoint whose sidecar takes no more, by a limit of its workload's: what is told of it, and that it is called on.

use meltemi_tests::{HttpApp, Mesh, Sidecar, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::told::named;

/// Has a request held at each of two instances, which is all that each may have.
async fn fill(caller: &Sidecar, apps: [&HttpApp; 2]) -> Vec<JoinHandle<u16>> {
    let mut held = Vec::new();
    for expected in [1, 2] {
        let mut http = caller.http().await;
        held.push(tokio::spawn(async move { http.get("http://hello/hold").await.status }));
        eventually("one more is under way", async || {
            let count = apps.map(HttpApp::in_flight);
            (count.iter().sum::<u64>() == expected).then_some(()).ok_or(format!("{count:?}"))
        })
        .await;
    }
    assert_eq!(apps.map(HttpApp::in_flight), [1, 1]);
    held
}

/// So many of ten requests in a row at each would eject it.
const TOO_MANY: u64 = 20;

/// Fields: Sidecar spec.inboundConnectionPool.http.http2MaxRequests
#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_sheds_is_not_tried_again_and_no_failure_to_connect_and_ejects_nobody() {
    let mesh = Mesh::start().await;
    mesh.apply(
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: busy},
          spec: {workloadSelector: {labels: {app: hello}},
            inboundConnectionPool: {http: {http2MaxRequests: 1}}}}",
    )
    .await;
    let hello = [named(&mesh, "hello-1").await, named(&mesh, "hello-2").await];
    let caller = mesh.workload("a").flag("--name", "a-1").proxy().await;
    let apps = [&hello[0].0, &hello[1].0];
    let held = fill(&caller, apps).await;
    let mut http = caller.http().await;
    for at in 0..TOO_MANY {
        let method = if at < TOO_MANY / 2 { "POST" } else { "GET" };
        let shed = http.call(method, "http://hello/", &[], b"").await;
        assert_eq!(shed.status, 503, "{}", shed.text());
        assert_eq!(shed.header("x-envoy-overloaded"), Some("true"));
        assert_eq!(shed.header("x-meltemi-not-answered"), None);
    }
    eventually("each request was one call, and those that were shed a 5xx each", async || {
        let (status, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello&window=1h").await;
        assert_eq!(told["ejections"], json!([]), "{told}");
        let items = told["items"].as_array().cloned().unwrap_or_default();
        let of = |key: &str| items.iter().map(|it| it[key].clone()).collect::<Vec<Value>>();
        let half = TOO_MANY / 2;
        let is_it = of("issued") == [half + 1, half + 1]
            && of("calls") == [half, half]
            && of("failures") == [json!({"5xx": half}), json!({"5xx": half})];
        is_it.then_some(()).ok_or(format!("{status} {told}"))
    })
    .await;
    apps.iter().for_each(|app| app.release());
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    let before = apps.map(HttpApp::requests);
    eventually("both are called again", async || {
        let status = http.get("http://hello/").await.status;
        let now = apps.map(HttpApp::requests);
        (now[0] > before[0] && now[1] > before[1]).then_some(()).ok_or(format!("{status} {now:?}"))
    })
    .await;
}
