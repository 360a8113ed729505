//! Bodies of calls of a program: long ones, streams both ways, trailers, calls that are given up; and gRPC.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use meltemi_sdk::Service;
use meltemi_tests::calls::Ask;
use meltemi_tests::calls::calls_client::CallsClient;
use meltemi_tests::{GrpcApp, Mesh, eventually, within};
use tokio_stream::StreamExt as _;

use super::{get, join};

/// Longer than anything on the way holds back.
const LONG: usize = 20 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_pass_both_ways_whole() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let echo = Service::new("echo", 8001)
        .handler_fn(|request| async { http::Response::new(request.into_body()) });
    let _echo = echo.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    let long: Vec<u8> = (0..LONG).map(|at| (at / 251) as u8).collect();
    let request = Request::post("http://echo:8001/").body(Full::new(Bytes::from(long.clone())));
    let response = program.call_whole(request.expect("a request"), LONG).await.expect("an answer");
    assert!(response.body() == &long, "{} bytes", response.body().len());

    // As a stream of unknown length, whose answer begins before it has ended.
    let (send, pieces) = tokio::sync::mpsc::channel::<Bytes>(1);
    let pieces = tokio_stream::wrappers::ReceiverStream::new(pieces);
    let body = StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    let request = Request::post("http://echo:8001/").body(body).expect("a request");
    send.send(Bytes::from("one")).await.expect("it is read");
    let response = within("the head", program.call(request)).await.expect("an answer");
    let mut body = response.into_body();
    for piece in ["one", "two", "three"] {
        if piece != "one" {
            send.send(Bytes::from(piece)).await.expect("it is read");
        }
        let frame = within("a piece", body.frame()).await.expect("a frame").expect("whole");
        assert_eq!(frame.into_data().ok().as_deref(), Some(piece.as_bytes()));
    }
    drop(send);
    assert!(within("the end", body.frame()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_come_and_a_body_that_lies_about_its_length_is_no_request() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let program = join(&mesh).await;
    let request = Request::get("http://hello/trailers").header("te", "trailers");
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let response = program.call(request).await.expect("an answer");
    let collected = response.into_body().collect().await.expect("whole");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers.get("x-checked").map(|it| it.as_bytes()), Some(&b"yes"[..]));

    // The field's length is not believed: the body's own is sent.
    let request = Request::post("http://hello/record/200").header("content-length", "3");
    let request = request.body(Full::new(Bytes::from("longer"))).expect("a request");
    assert_eq!(program.call_whole(request, 1024).await.expect("an answer").status(), 200);
    let recorded = hello.app(0).recorded();
    assert_eq!(recorded.last().map(|it| it.body.len()), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_ends_at_the_application() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let program = join(&mesh).await;
    let calling = {
        let program = program.clone();
        tokio::spawn(async move { program.call(get("http://hello/hold")).await.map(drop) })
    };
    let in_flight = async |count| {
        eventually("requests under way", async || match hello.app(0).in_flight() {
            found if found == count => Ok(()),
            found => Err(format!("{found}")),
        })
        .await;
    };
    in_flight(1).await;
    calling.abort();
    in_flight(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_on_ends_at_the_handler() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let (send, pieces) = tokio::sync::mpsc::channel::<Bytes>(1);
    let pieces = std::sync::Arc::new(parking_lot::Mutex::new(Some(pieces)));
    let endless = Service::new("endless", 8001).handler_fn(move |_| {
        let pieces = pieces.lock().take().expect("it is called once");
        let pieces = tokio_stream::wrappers::ReceiverStream::new(pieces);
        let body = StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
        async { http::Response::new(body) }
    });
    let _endless = endless.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    send.send(Bytes::from("first")).await.expect("it is read");
    let response = program.call(get("http://endless:8001/")).await.expect("an answer");
    let mut body = response.into_body();
    let frame = within("a piece", body.frame()).await.expect("a frame").expect("whole");
    assert_eq!(frame.into_data().ok().as_deref(), Some(&b"first"[..]));
    drop(body);
    within("the handler's body is dropped", send.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_clients_call_through_a_channel() {
    let mesh = Mesh::start().await;
    let app = GrpcApp::start("calls-1").await;
    let _sidecar = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let program = join(&mesh).await;
    let channel = program.channel(&format!("http://calls:{}", app.port())).expect("an origin");
    let mut calls = CallsClient::new(channel);
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
