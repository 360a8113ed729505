//! Endpoints that fail, and too much at once.

use meltemi_tests::{eventually, within};
use tokio::task::JoinSet;

use super::World;

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.consecutive5xxErrors,
/// spec.trafficPolicy.outlierDetection.baseEjectionTime
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_again_and_again_is_left_out_for_a_while() {
    let world = World::start(&["v1", "v2"]).await;
    world
        .policy(
            "{outlierDetection: {consecutive5xxErrors: 3, interval: 0.1s, baseEjectionTime: 3s,
              maxEjectionPercent: 100}}",
        )
        .await;
    world.app(0).set_status(500);
    let mut calls = world.client.http().await;
    let (mut failures, mut well) = (0, 0);
    while well < 20 {
        match calls.get("http://hello/set").await.status {
            200 => well += 1,
            500 => (failures, well) = (failures + 1, 0),
            status => panic!("{status}"),
        }
        assert!(failures <= 3, "the fourth failure in sequence");
    }
    assert_eq!(failures, 3);
    world.app(0).set_status(200);
    eventually("it is let back", async || {
        let response = calls.get("http://hello/set").await;
        assert_eq!(response.status, 200);
        (response.served_by() == "hello-v1").then_some(()).ok_or(response.served_by().to_owned())
    })
    .await;
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.http2MaxRequests
#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_at_once_are_refused_at_once() {
    let world = World::start(&["v1"]).await;
    world.policy("{connectionPool: {http: {http2MaxRequests: 2}}}").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut calls = world.client.http().await;
        held.push(tokio::spawn(async move { calls.get("http://hello/hold").await.status }));
    }
    eventually("both are under way", async || {
        let held = world.app(0).in_flight();
        (held == 2).then_some(()).ok_or(held.to_string())
    })
    .await;
    let refused = world.get("/").await;
    assert_eq!((refused.status, refused.header("x-envoy-overloaded")), (503, Some("true")));
    world.counted("503", "UO", 1).await;
    assert_eq!(world.app(0).requests(), 2);
    world.app(0).release();
    for held in held {
        assert_eq!(held.await.unwrap(), 200, "what was under way is not disturbed");
    }
    eventually("there is room again", async || {
        let response = world.get("/").await;
        (response.status == 200).then_some(()).ok_or(response.text())
    })
    .await;
}

/// Fields: DestinationRule spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests,
/// spec.trafficPolicy.connectionPool.tcp.maxConnections
#[tokio::test(flavor = "multi_thread")]
async fn one_request_more_than_may_wait_for_a_connection_is_refused_at_once() {
    let world = World::start(&["v1"]).await;
    // A worker that has no connection always gets one, as with Envoy.
    let client = world.mesh.workload("client").flag("--workers", "1").proxy().await;
    let world = World { client, ..world };
    world
        .policy("{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}")
        .await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let mut one = world.client.http().await;
        calls.spawn(async move { one.get("http://hello/hold").await.status });
    }
    // One has the connection, one waits for it.
    let first = within("an answer", calls.join_next()).await.unwrap().unwrap();
    assert_eq!(first, 503);
    world.counted("503", "UO", 1).await;
    world.app(0).release();
    assert_eq!(calls.join_all().await, [200, 200]);
}

/// Fields: DestinationRule spec.trafficPolicy.portLevelSettings[], spec.trafficPolicy.portLevelSettings[].port.number
#[tokio::test(flavor = "multi_thread")]
async fn a_port_has_settings_of_its_own() {
    let world = World::start(&["v1"]).await;
    world
        .policy(
            "{connectionPool: {http: {http2MaxRequests: 1}},
              portLevelSettings: [{port: {number: 80},
                connectionPool: {http: {http2MaxRequests: 2}}}]}",
        )
        .await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let mut one = world.client.http().await;
        calls.spawn(async move { one.get("http://hello/hold").await.status });
    }
    let first = within("an answer", calls.join_next()).await.unwrap().unwrap();
    assert_eq!(first, 503);
    eventually("two are under way", async || {
        let held = world.app(0).in_flight();
        (held == 2).then_some(()).ok_or(held.to_string())
    })
    .await;
    world.app(0).release();
    assert_eq!(calls.join_all().await, [200, 200]);
}
