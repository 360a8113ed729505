//! What one caller finds out by outlier detection is known to all others, without a rule and by one.

use std::time::Duration;

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, Signal, eventually};

use super::told::named;

mod measured;
mod shown;

/// Neither kind of error ejects: Istio's way to say that nothing does.
const OFF: &str = "outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 0}";

/// Has calls of a host treated by a `trafficPolicy`; further fields are those of `spec`.
async fn rule(mesh: &Mesh, namespace: &str, host: &str, policy: &str, further: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule,
          metadata: {{name: ejection, namespace: {namespace}}},
          spec: {{host: {host}, trafficPolicy: {{{policy}}}, {further}}}}}"
    ))
    .await;
}

/// Waits until the control plane says that so many endpoints are ejected.
async fn ejected(mesh: &Mesh, count: usize) {
    let line = format!("meltemi_ejected_endpoints {count}");
    eventually(&line, async || {
        let mut monitoring = Http1::connect(mesh.addresses().monitoring).await;
        let metrics = monitoring.get("/metrics").await.text();
        metrics.lines().any(|it| it == line).then_some(()).ok_or(metrics)
    })
    .await;
}

/// The status of each of so many calls, none of which is tried again.
async fn calls(caller: &Sidecar, count: usize) -> Vec<u16> {
    let mut http = caller.http().await;
    let mut statuses = Vec::with_capacity(count);
    for _ in 0..count {
        statuses.push(http.call("POST", "http://hello/set", &[], b"").await.status);
    }
    statuses
}

/// Calls until an application that fails from now on has failed five times.
async fn find_out(caller: &Sidecar, app: &HttpApp) {
    let before = app.requests();
    while app.requests() < before + 5 {
        calls(caller, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_never_called_it_leaves_out_what_another_found_to_fail() {
    let mesh = Mesh::start().await;
    let hello = [
        named(&mesh, "hello-1").await,
        named(&mesh, "hello-2").await,
        named(&mesh, "hello-3").await,
    ];
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    hello[0].0.set_status(500);
    find_out(&a, &hello[0].0).await;
    assert_eq!(calls(&a, 20).await, [200; 20], "who found out does not call it again");
    ejected(&mesh, 1).await;
    assert_eq!(calls(&b, 20).await, [200; 20]);
    assert_eq!(hello[0].0.requests(), 5, "nobody else had to find out");
    // A second of three would be more than half of them, for those who call and for the control plane.
    hello[1].0.set_status(500);
    let failed = calls(&b, 20).await.iter().filter(|status| **status == 500).count();
    assert_eq!(failed, 10, "the second stays in, as often as it fails");
    ejected(&mesh, 1).await;
}

/// The mended version of a service has the name of the one that failed.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_under_the_same_name_begins_anew() {
    let mesh = Mesh::start().await;
    let (failing, mut sidecar) = named(&mesh, "hello-1").await;
    let _others = [named(&mesh, "hello-2").await, named(&mesh, "hello-3").await];
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    failing.set_status(500);
    find_out(&a, &failing).await;
    ejected(&mesh, 1).await;
    calls(&b, 1).await;
    sidecar.process.signal(Signal::TERM);
    sidecar.process.ended().await;
    mesh.api().healthy("default", "hello", 2).await;
    let (mended, _sidecar) = named(&mesh, "hello-1").await;
    let c = mesh.workload("c").proxy().await;
    // Long before the ejection would be over by itself.
    let soon = tokio::time::timeout(Duration::from_secs(15), async {
        for caller in [&a, &b, &c] {
            let before = mended.requests();
            while mended.requests() == before {
                assert_eq!(calls(caller, 1).await, [200]);
            }
        }
    });
    soon.await.expect("all call the one that came back");
    ejected(&mesh, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_may_go_and_the_other_stays() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 2).await;
    let a = mesh.workload("a").proxy().await;
    (0..2).for_each(|at| hello.app(at).set_status(500));
    calls(&a, 30).await;
    let mut seen = hello.requests();
    seen.sort_unstable();
    assert_eq!(seen, [5, 25]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_endpoint_of_a_service_stays() {
    let mesh = Mesh::start().await;
    let hello = named(&mesh, "hello-1").await;
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    hello.0.set_status(500);
    assert_eq!(calls(&a, 20).await, [500; 20], "without a rule it is called as before");
    // With a rule one may always go, as with Istio: that caller's own affair.
    rule(&mesh, "default", "hello", "outlierDetection: {baseEjectionTime: 300s}", "").await;
    eventually("the rule has the only one ejected", async || {
        let statuses = calls(&a, 6).await;
        statuses.contains(&503).then_some(()).ok_or(format!("{statuses:?}"))
    })
    .await;
    // The report of the ejection has been read once the calls before it are told.
    let failed = hello.0.requests();
    eventually("the calls are told", async || {
        let (_, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello&window=1h").await;
        let is_told = told["items"][0]["failures"]["5xx"].as_u64() == Some(failed);
        is_told.then_some(()).ok_or(told.to_string())
    })
    .await;
    ejected(&mesh, 0).await;
    // B's own rule would have it ejected, too, were it told.
    assert_eq!(calls(&b, 1).await, [500], "it was called");
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.consecutive5xxErrors,
/// DestinationRule spec.trafficPolicy.outlierDetection.consecutiveGatewayErrors
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_switches_it_off_for_its_callers_alone() {
    let mesh = Mesh::start().await;
    let hello = [named(&mesh, "hello-1").await, named(&mesh, "hello-2").await];
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    rule(&mesh, "default", "hello", OFF, "workloadSelector: {matchLabels: {app: b}}").await;
    hello[0].0.set_status(500);
    find_out(&a, &hello[0].0).await;
    ejected(&mesh, 1).await;
    eventually("half of the calls of the other fail, again and again", async || {
        let statuses = calls(&b, 20).await;
        let failed = statuses.iter().filter(|status| **status == 500).count();
        (failed == 10).then_some(()).ok_or(format!("{statuses:?}"))
    })
    .await;
    assert_eq!(calls(&a, 20).await, [200; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_the_whole_mesh_switches_it_off_and_brings_back_who_is_out() {
    let mesh = Mesh::start().await;
    let hello = [named(&mesh, "hello-1").await, named(&mesh, "hello-2").await];
    let a = mesh.workload("a").proxy().await;
    hello[0].0.set_status(500);
    find_out(&a, &hello[0].0).await;
    assert_eq!(calls(&a, 10).await, [200; 10]);
    rule(&mesh, "istio-system", "'*.svc.cluster.local'", OFF, "").await;
    eventually("half of the calls fail, again and again", async || {
        let statuses = calls(&a, 20).await;
        let failed = statuses.iter().filter(|status| **status == 500).count();
        (failed == 10).then_some(()).ok_or(format!("{statuses:?}"))
    })
    .await;
}
