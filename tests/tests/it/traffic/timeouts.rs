//! Requests that take too long.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::World;

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
