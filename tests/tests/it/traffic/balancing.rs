//! Balancers by name.

use meltemi_tests::eventually;
use tokio::task::JoinSet;

use super::{World, count, has_share};

/// Fields: DestinationRule spec.host, spec.trafficPolicy.loadBalancer.simple
#[tokio::test(flavor = "multi_thread")]
async fn random_goes_anywhere() {
    let world = World::start(&["v1", "v2"]).await;
    world.policy("{loadBalancer: {simple: RANDOM}}").await;
    has_share("v1", 0.5, 400, async || count(&world.turns("/", 400).await, "hello-v1")).await;
    let turns = world.turns("/", 100).await;
    assert!(turns.windows(2).any(|it| it[0] == it[1]), "it is not round robin");
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_takes_turns() {
    let world = World::start(&["v1", "v2"]).await;
    world.policy("{loadBalancer: {simple: ROUND_ROBIN}}").await;
    let turns = world.turns("/", 100).await;
    assert!(turns.windows(2).all(|it| it[0] != it[1]), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn least_request_spares_an_instance_that_is_busy() {
    let world = World::start(&["v1", "v2"]).await;
    world.policy("{loadBalancer: {simple: LEAST_REQUEST}}").await;
    let mut held = JoinSet::new();
    for _ in 0..20 {
        let mut calls = world.client.http().await;
        held.spawn(async move { calls.get("http://hello/hold").await.status });
    }
    eventually("all are held", async || {
        let counts = [0, 1].map(|at| world.app(at).in_flight());
        (counts.iter().sum::<u64>() == 20).then_some(()).ok_or(format!("{counts:?}"))
    })
    .await;
    // Now one has nothing to do and the other has still its requests.
    world.app(1).release();
    eventually("one has nothing to do", async || {
        let held = world.app(1).in_flight();
        (held == 0).then_some(()).ok_or(held.to_string())
    })
    .await;
    assert!(world.app(0).in_flight() > 2);
    // Of two that are drawn the less busy one is taken: three in four if one may be drawn twice. Half of 400, without
    // regard to what is busy, would be 200 +- 30.
    let turns = world.turns("/", 400).await;
    assert!(count(&turns, "hello-v2") > 250, "{}", count(&turns, "hello-v2"));
    world.app(0).release();
    assert!(held.join_all().await.iter().all(|status| *status == 200));
}

/// Fields: DestinationRule spec.subsets[].trafficPolicy
#[tokio::test(flavor = "multi_thread")]
async fn a_subset_has_the_policy_of_its_service_or_one_of_its_own() {
    let world = World::start(&["v1", "v1", "v2", "v2"]).await;
    let yaml =
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: hello},
        spec: {host: hello,
          trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}},
          subsets: [{name: v1, labels: {version: v1}},
            {name: v2, labels: {version: v2},
             trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]}}";
    world.mesh.apply(yaml).await;
    for (subset, expected) in [("v1", [0, 0, 0, 10]), ("v2", [0, 0, 5, 5])] {
        world
            .route(&format!("{{route: [{{destination: {{host: hello, subset: {subset}}}}}]}}"))
            .await;
        let (mut calls, before) = (world.client.http().await, world.hello.requests());
        for _ in 0..10 {
            let response = calls.call("GET", "http://hello/", &[("x-user", "a")], b"").await;
            assert_eq!(response.served_by(), format!("hello-{subset}"));
        }
        let new = world.hello.requests().into_iter().zip(before).map(|(now, before)| now - before);
        let mut new: Vec<_> = new.collect();
        new.sort_unstable();
        assert_eq!(new, expected, "{subset}");
    }
}
