//! Faults that rules inject.

use std::time::{Duration, Instant};

use meltemi_tests::calls::Ask;
use meltemi_tests::client::{self, Http2};
use meltemi_tests::{GrpcApp, Mesh, eventually, free_port};
use tonic::{Code, Request};

use super::{World, has_share, virtual_service};

/// Fields: VirtualService spec.http[].fault.delay.fixedDelay, spec.http[].fault.delay.percentage.value
#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_waited_and_marked() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{fault: {delay: {fixedDelay: 0.3s, percentage: {value: 100}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let started = Instant::now();
    assert_eq!(world.get("/").await.served_by(), "hello-v1");
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    world.counted("200", "DI", 1).await;
}

/// Fields: VirtualService spec.http[].fault.abort.httpStatus
#[tokio::test(flavor = "multi_thread")]
async fn an_abort_answers_in_the_applications_stead() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{fault: {abort: {httpStatus: 418, percentage: {value: 100}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let response = world.get("/").await;
    assert_eq!((response.status, response.text().as_str()), (418, "fault filter abort"));
    world.counted("418", "FI", 1).await;
    assert_eq!(world.app(0).requests(), 0);
}

/// Fields: VirtualService spec.http[].fault.abort.percentage.value
#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_requests_is_aborted() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{fault: {abort: {httpStatus: 500, percentage: {value: 30}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let mut calls = world.client.http().await;
    has_share("aborted", 0.3, 400, async || {
        let mut aborted = 0;
        for _ in 0..400 {
            aborted += usize::from(calls.get("http://hello/").await.status == 500);
        }
        aborted
    })
    .await;
}

/// Fields: VirtualService spec.http[].fault.abort.grpcStatus
#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_grpc_is_a_status_of_grpc() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let mut calls = Http2::connect(world.client.outbound).await;
    let request = http::Request::post("http://hello/meltemi.test.v1.Calls/Unary")
        .header("content-type", "application/grpc")
        .body(Default::default())
        .unwrap();
    let response = calls.call(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    world.counted("200", "FI", 1).await;
    assert_eq!(world.app(0).requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_goes_before_an_abort() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{fault: {delay: {fixedDelay: 0.2s, percentage: {value: 100}},
                      abort: {httpStatus: 503, percentage: {value: 100}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let started = Instant::now();
    assert_eq!(world.get("/").await.status, 503);
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    world.counted("503", "DI,FI", 1).await;
    assert_eq!(world.app(0).requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_grpc_go_by_rules_for_their_methods_and_metadata() {
    let mesh = Mesh::start().await;
    let app = GrpcApp::start("calls-1").await;
    let _server = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let listen = free_port();
    let upstream = format!("calls:{}", app.port());
    let _client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let rules = "{match: [{uri: {exact: /meltemi.test.v1.Calls/Unary}, headers: {x-bad: {exact: 'yes'}}}],
          fault: {abort: {grpcStatus: RESOURCE_EXHAUSTED, percentage: {value: 100}}},
          route: [{destination: {host: calls}}]},
         {match: [{uri: {prefix: /meltemi.test.v1.Calls/}}], route: [{destination: {host: calls}}]}";
    mesh.apply(&virtual_service("calls", "hosts: [calls]", rules)).await;
    let mut calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
    let ask = || Ask { text: "one".to_owned(), ..Ask::default() };
    let bad = || {
        let mut request = Request::new(ask());
        request.metadata_mut().insert("x-bad", "yes".parse().unwrap());
        request
    };
    eventually("the rule has arrived", async || match calls.unary(bad()).await {
        Err(status) if status.code() == Code::ResourceExhausted => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(calls.unary(ask()).await.unwrap().into_inner().served_by, "calls-1");
    let mut answers = calls.server_stream(Ask { answers: 2, ..ask() }).await.unwrap().into_inner();
    for _ in 0..2 {
        assert_eq!(answers.message().await.unwrap().unwrap().served_by, "calls-1");
    }
}

/// Fields: VirtualService spec.http[].fault.delay.percent
#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_delays_has_an_old_form() {
    let world = World::start(&["v1"]).await;
    let route = |percent: u32| {
        format!(
            "{{fault: {{delay: {{fixedDelay: 1ms, percent: {percent}}}}}, route: [{{destination: {{host: hello}}}}]}}"
        )
    };
    world.route(&route(100)).await;
    world.turns("/", 10).await;
    world.counted("200", "DI", 10).await;
    world.route(&route(0)).await;
    world.turns("/", 10).await;
    world.counted("200", "DI", 10).await;
}
