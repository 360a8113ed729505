//! Which failures have an endpoint left out, and how many endpoints may be.

use meltemi_tests::{HttpApp, eventually};
use tokio::net::TcpSocket;

use super::World;
use super::shop::{Shop, apps};

/// How often of 20 calls of `/set` each of two instances answers.
async fn shares(world: &World) -> [u64; 2] {
    let requests = || [0, 1].map(|at| world.app(at).requests());
    let before = requests();
    let mut calls = world.client.http().await;
    for _ in 0..20 {
        calls.call("POST", "http://hello/set", &[], b"").await;
    }
    let after = requests();
    [0, 1].map(|at| after[at] - before[at])
}

/// A service with two instances of which the first fails, after some calls.
async fn one_fails(world: &World, policy: &str) -> [u64; 2] {
    world.policy(&format!("{{outlierDetection: {{{policy}}}}}")).await;
    world.app(0).set_status(500);
    shares(world).await;
    shares(world).await
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.consecutiveGatewayErrors
#[tokio::test(flavor = "multi_thread")]
async fn gateway_errors_are_counted_apart_from_other_errors() {
    let world = World::start(&["v1", "v2"]).await;
    world
        .policy(
            "{outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 2,
              baseEjectionTime: 300s, maxEjectionPercent: 100}}",
        )
        .await;
    world.app(0).set_status(500);
    assert_eq!(shares(&world).await, [10, 10], "500 is no gateway error");
    world.app(0).set_status(502);
    assert_eq!(shares(&world).await, [2, 18]);
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.consecutiveErrors
#[tokio::test(flavor = "multi_thread")]
async fn the_old_word_for_consecutive_errors_is_known() {
    let world = World::start(&["v1", "v2"]).await;
    let seen =
        one_fails(&world, "consecutiveErrors: 3, baseEjectionTime: 300s, maxEjectionPercent: 100")
            .await;
    assert_eq!(seen, [0, 20]);
    assert_eq!(world.app(0).requests(), 3);
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.minHealthPercent
#[tokio::test(flavor = "multi_thread")]
async fn where_too_few_are_well_all_are_called() {
    for (percent, expected) in [(40, [0, 20]), (60, [10, 10])] {
        let world = World::start(&["v1", "v2"]).await;
        let policy = format!(
            "consecutive5xxErrors: 1, baseEjectionTime: 300s, maxEjectionPercent: 100,
             minHealthPercent: {percent}"
        );
        assert_eq!(one_fails(&world, &policy).await, expected, "{percent}");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.maxEjectionPercent,
/// DestinationRule spec.trafficPolicy.outlierDetection.consecutive5xxErrors
#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_left_out_than_may_be() {
    let shop = Shop::start(&[]).await;
    let apps = apps(["a", "b", "c", "d"]).await;
    let endpoints: Vec<_> = apps.iter().map(|app| (app.port(), "")).collect();
    shop.endpoints(&endpoints).await;
    shop.policy(
        "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 300s,
           maxEjectionPercent: 50}}",
    )
    .await;
    apps.iter().for_each(|app| app.set_status(500));
    for _ in 0..20 {
        assert_eq!(shop.get("/set").await.status, 500);
    }
    let mut seen: Vec<_> = apps.iter().map(HttpApp::requests).collect();
    seen.sort_unstable();
    assert_eq!(seen[..2], [1, 1], "two of four are left out after one failure: {seen:?}");
    assert!(seen[2] > 1, "{seen:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures,
/// spec.trafficPolicy.outlierDetection.splitExternalLocalOriginErrors
#[tokio::test(flavor = "multi_thread")]
async fn failures_to_connect_are_counted_apart_where_the_rule_says_so() {
    // The number of failures before the endpoint is left out: 3 of its own kind, 1 where it is an error like others.
    for (split, failures) in [(true, 3), (false, 1)] {
        let shop = Shop::start(&[]).await;
        let [app] = apps(["good"]).await;
        // Nobody listens on it, and nobody else can while this has it.
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = closed.local_addr().unwrap().port();
        shop.endpoints(&[(port, ""), (app.port(), "")]).await;
        shop.policy(&format!(
            "{{outlierDetection: {{splitExternalLocalOriginErrors: {split}, consecutiveLocalOriginFailures: 3,
               consecutive5xxErrors: 1, baseEjectionTime: 300s, maxEjectionPercent: 100}}}}"
        ))
        .await;
        let mut failed = 0;
        for _ in 0..20 {
            failed += u32::from(shop.get("/").await.status == 503);
        }
        assert_eq!(failed, failures, "{split}");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.interval
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_let_back_at_the_end_of_an_interval() {
    let shop = Shop::start(&[]).await;
    let apps = apps(["bad", "good"]).await;
    shop.endpoints(&[(apps[0].port(), ""), (apps[1].port(), "")]).await;
    let interval = |time: &str| {
        format!(
            "{{outlierDetection: {{consecutive5xxErrors: 1, interval: {time}, baseEjectionTime: 1ms,
               maxEjectionPercent: 100}}}}"
        )
    };
    shop.policy(&interval("3600s")).await;
    apps[0].set_status(500);
    eventually("one fails", async || {
        let status = shop.get("/set").await.status;
        (status == 500).then_some(()).ok_or(status.to_string())
    })
    .await;
    // The time of its ejection is over long ago; nobody looks.
    assert_eq!(shop.turns(50).await, ["good"; 50]);
    shop.policy(&interval("0.1s")).await;
    eventually("it is let back", async || {
        let turns = shop.turns(2).await;
        turns.contains(&"bad".to_owned()).then_some(()).ok_or(format!("{turns:?}"))
    })
    .await;
}
