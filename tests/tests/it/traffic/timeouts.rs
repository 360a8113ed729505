//! Requests that take too long.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use meltemi_tests::within;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::World;
use super::shop::Shop;

/// Fields: VirtualService spec.http[].timeout
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_wait_and_is_told_the_application() {
    let world = World::start(&["v1"]).await;
    world.route("{timeout: 0.3s, route: [{destination: {host: hello}}]}").await;
    let started = Instant::now();
    let response = world.get("/record/hold").await;
    let took = started.elapsed();
    assert_eq!((response.status, response.text().as_str()), (504, "upstream request timeout"));
    assert!(took >= Duration::from_millis(300), "{took:?}");
    world.counted("504", "UT", 1).await;
    let recorded = world.app(0).recorded();
    assert_eq!(recorded.len(), 1);
    let left: u64 = recorded[0].header("x-envoy-expected-rq-timeout-ms").parse().unwrap();
    assert!((1..=300).contains(&left), "{left}");
    assert_eq!(world.get("/record/200").await.status, 200, "what is in time is not disturbed");
}

/// Istio's task "Request Timeouts": an application may set its own for a request.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_may_ask_for_another_timeout_and_for_retries() {
    let world = World::start(&["v1"]).await;
    let asked = [("x-envoy-upstream-rq-timeout-ms", "200"), ("x-envoy-max-retries", "0")];
    let has_rules = async || {
        let response = world.call("GET", "/record/hold", &asked, b"").await;
        assert_eq!((response.status, response.text().as_str()), (504, "upstream request timeout"));
    };
    has_rules().await;
    world.route("{timeout: 3600s, route: [{destination: {host: hello}}]}").await;
    has_rules().await;
    world.counted("504", "UT", 2).await;
    for seen in world.app(0).recorded() {
        let left: u64 = seen.header("x-envoy-expected-rq-timeout-ms").parse().unwrap();
        assert!((1..=200).contains(&left), "{left}");
        assert_eq!(
            seen.header("x-envoy-upstream-rq-timeout-ms"),
            "",
            "it is for the sidecar alone"
        );
    }
    let again = [("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "3")];
    assert_eq!(world.call("POST", "/record/500", &again, b"").await.status, 500);
    assert_eq!(
        world.app(0).recorded().len(),
        4,
        "three retries, though nobody else asked for them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_is_for_all_attempts_together() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{timeout: 0.5s, retries: {attempts: 50, perTryTimeout: 0.1s, retryOn: 5xx, backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let started = Instant::now();
    assert_eq!(world.get("/record/hold").await.status, 504);
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let attempts = world.app(0).recorded().len();
    assert!((2..=5).contains(&attempts), "{attempts} attempts of 0.1 s in 0.5 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_is_for_the_whole_answer() {
    let world = World::start(&["v1"]).await;
    world.route("{timeout: 0.3s, route: [{destination: {host: hello}}]}").await;
    let mut calls = world.client.http().await;
    // The head and a first chunk come at once, the rest never.
    let broken = calls.try_call("GET", "http://hello/drip", &[], b"").await;
    assert_eq!(broken.map_err(|error| error.kind()), Err(ErrorKind::UnexpectedEof));
    world.counted("200", "UT", 1).await;
}

/// Posts a body to a path, of which the second half goes when `rest` is over; the status line, and how long after the
/// end of the request it came.
async fn upload(world: &World, path: &str, is_chunked: bool, rest: Duration) -> (String, Duration) {
    let mut stream = world.client.http().await.into_stream();
    let (framing, first, second) = match is_chunked {
        true => ("transfer-encoding: chunked", "5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n"),
        false => ("content-length: 11", "first", "second"),
    };
    let head = format!("POST http://hello{path} HTTP/1.1\r\nhost: hello\r\n{framing}\r\n\r\n");
    stream.get_mut().write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    let mut line = String::new();
    // An answer that comes while the request is still going on shows by being there.
    let early = tokio::time::timeout(rest, stream.read_line(&mut line)).await;
    assert!(early.is_err(), "{line:?} before the end of the request");
    let sent = Instant::now();
    stream.get_mut().write_all(second.as_bytes()).await.unwrap();
    within("an answer", stream.read_line(&mut line)).await.unwrap();
    (line, sent.elapsed())
}

/// Fields: VirtualService spec.http[].timeout
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_begins_with_the_end_of_the_request() {
    let world = World::start(&["v1"]).await;
    let timeout = Duration::from_secs(1);
    world.route("{timeout: 1s, route: [{destination: {host: hello}}]}").await;
    for is_chunked in [false, true] {
        let (line, _) = upload(&world, "/record/200", is_chunked, 2 * timeout).await;
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        let (line, after) = upload(&world, "/record/hold", is_chunked, timeout / 4).await;
        assert!(line.starts_with("HTTP/1.1 504 "), "{line}");
        assert!(after >= timeout, "{after:?} after the end of the request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_connection_is_over_when_it_has_come() {
    let shop = Shop::start(&[]).await;
    // It takes connections and says nothing, so that TLS is never there.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shop.endpoints(&[(silent.local_addr().unwrap().port(), "")]).await;
    let policy = "{connectionPool: {tcp: {connectTimeout: 3600s}}, tls: {mode: SIMPLE, insecureSkipVerify: true}}";
    shop.ruled(policy, "timeout: 0.3s, retries: {attempts: 0},").await;
    let mut calls = shop.client.http().await;
    calls
        .send("POST http://shop.example.com/ HTTP/1.1\r\nhost: shop.example.com\r\ncontent-length: 4\r\n\r\n")
        .await;
    let connection = within("a connection", silent.accept()).await.unwrap();
    calls.send("body").await;
    let response = within("an answer", calls.response()).await;
    assert_eq!((response.status, response.text().as_str()), (504, "upstream request timeout"));
    drop(connection);
}
