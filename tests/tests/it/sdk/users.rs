//! Libraries that are built on `http` and `tower::Service`: an axum router and a tonic server as handlers, tonic's client with
//! a service's own identity, and the mesh itself as a `tower::Service`.

use axum::Json;
use axum::extract::{Path, Query};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::Full;
use meltemi_sdk::Service;
use meltemi_tests::calls::Ask;
use meltemi_tests::calls::calls_client::CallsClient;
use meltemi_tests::{GrpcApp, Mesh};
use serde_json::{Value, json};

use super::{get as ask, join};

#[tokio::test(flavor = "multi_thread")]
async fn an_axum_router_is_a_handler() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let double = |Path(number): Path<u32>| async move { Json(json!({ "double": 2 * number })) };
    let echo = |Query(query): Query<Value>, body: String| async move { format!("{query} {body}") };
    let router =
        axum::Router::new().route("/double/{number}", get(double)).route("/echo", post(echo));
    let service = Service::new("sums", 8001).handler(router);
    let _sums = service.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    let response = program.call_whole(ask("http://sums:8001/double/21"), 1024).await;
    let response = response.expect("an answer");
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"{\"double\":42}"[..]));
    let missing = program.call_whole(ask("http://sums:8001/nothing"), 1024).await;
    assert_eq!(missing.expect("an answer").status(), 404);

    // The mesh is a `tower::Service` itself.
    let request = Request::post("http://sums:8001/echo?a=b").body(Full::new(Bytes::from("sent")));
    let mut as_service = program.clone();
    let calling = tower_service::Service::call(&mut as_service, request.expect("a request"));
    let body = http_body_util::BodyExt::collect(calling.await.expect("an answer").into_body());
    assert_eq!(body.await.expect("whole").to_bytes(), "{\"a\":\"b\"} sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tonic_server_is_a_handler_and_a_tonic_client_calls_as_a_service() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let server = Service::new("calls", 50_051).protocol("grpc").expect("a protocol");
    let server = server.handler(GrpcApp::service("calls-1"));
    let _server = server.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    let caller = super::saying("caller", 8001, "");
    let caller = caller.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    for channel in [program.channel("http://calls:50051"), caller.channel("http://calls:50051")] {
        let mut calls = CallsClient::new(channel.expect("an origin"));
        let ask = |text: &str| Ask { text: text.to_owned(), ..Ask::default() };
        let answer = calls.unary(ask("one")).await.expect("an answer").into_inner();
        assert_eq!((&*answer.text, &*answer.served_by), ("one", "calls-1"));
        let asks = stream::iter((0..50).map(move |at| ask(&format!("{at},"))));
        let answer = calls.client_stream(asks).await.expect("an answer").into_inner();
        assert_eq!(answer.asked, 50);
        let failing = Ask { fail_code: 5, ..ask("gone") };
        let failed = calls.unary(failing).await.expect_err("it fails");
        assert_eq!((failed.code(), failed.message()), (tonic::Code::NotFound, "gone"));
    }
}
