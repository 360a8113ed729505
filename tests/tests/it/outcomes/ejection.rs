//! What one caller finds out by outlier detection is known to all others that detect outliers.

use std::time::{Duration, Instant};

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, eventually};

use super::told::named;

/// Has callers of `hello` detect outliers: five errors of 500 and more in a row are the default.
async fn detecting(mesh: &Mesh) {
    mesh.apply(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: hello}\n\
         spec:\n  host: hello\n  trafficPolicy:\n    outlierDetection:\n\
         \x20     {maxEjectionPercent: 50, baseEjectionTime: 300s}\n",
    )
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

/// Calls until an application has failed five times.
async fn find_out(caller: &Sidecar, app: &HttpApp) {
    let mut calls = caller.http().await;
    while app.requests() < 5 {
        calls.call("POST", "http://hello/set", &[], b"").await;
    }
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.maxEjectionPercent
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_never_called_it_leaves_out_what_another_found_to_fail() {
    let mesh = Mesh::start().await;
    let hello = [named(&mesh, "hello-1").await, named(&mesh, "hello-2").await];
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    detecting(&mesh).await;
    hello[0].0.set_status(500);
    find_out(&a, &hello[0].0).await;
    let since = Instant::now();
    ejected(&mesh, 1).await;
    let told = since.elapsed();
    eprintln!("the control plane knew after {told:?}");
    assert!(told < Duration::from_secs(10), "promised are two seconds: {told:?}");
    let mut calls = b.http().await;
    for _ in 0..20 {
        assert_eq!(calls.call("POST", "http://hello/set", &[], b"").await.status, 200);
    }
    assert_eq!(hello[0].0.requests(), 5, "nobody else had to find out");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_endpoint_of_a_service_stays() {
    let mesh = Mesh::start().await;
    let hello = named(&mesh, "hello-1").await;
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    detecting(&mesh).await;
    hello.0.set_status(500);
    find_out(&a, &hello.0).await;
    // The report of the ejection has been read once the calls of it are told.
    eventually("the calls are told", async || {
        let (_, told) = mesh.api().get("/meltemi/v1/outcomes?service=hello&window=1h").await;
        let failed = told["items"][0]["failures"]["5xx"].as_u64();
        (failed == Some(5)).then_some(()).ok_or(told.to_string())
    })
    .await;
    ejected(&mesh, 0).await;
    let status = b.http().await.call("POST", "http://hello/set", &[], b"").await.status;
    assert_eq!(status, 500, "it was called");
}
