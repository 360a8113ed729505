//! Balancing by what calls tell of endpoints.

use meltemi_tests::eventually;
use tokio::task::JoinSet;

use super::{World, count};

/// A DestinationRule that is balanced in this way, with a subset of the first instance.
fn rule(balancing: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule,
          metadata: {{name: hello, annotations: {{meltemi.io/balancing: {balancing}}}}},
          spec: {{host: hello, subsets: [{{name: v1, labels: {{version: v1}}}}]}}}}"
    )
}

impl World {
    /// Has calls with the header `to: v1` go to the first instance, and others be balanced in this way.
    async fn balance(&self, balancing: &str) {
        self.mesh.apply(&rule(balancing)).await;
        self.route(
            "{match: [{headers: {to: {exact: v1}}}],
              route: [{destination: {host: hello, subset: v1}}]},
             {route: [{destination: {host: hello}}]}",
        )
        .await;
    }

    /// Has a client hold so many requests at the first instance.
    async fn hold(&self, client: &meltemi_tests::Sidecar, requests: u64) -> JoinSet<u16> {
        let mut held = JoinSet::new();
        for _ in 0..requests {
            let mut calls = client.http().await;
            held.spawn(async move {
                calls.call("GET", "http://hello/hold", &[("to", "v1")], b"").await.status
            });
        }
        eventually("all are held", async || {
            let count = self.app(0).in_flight();
            (count == requests).then_some(()).ok_or(count.to_string())
        })
        .await;
        held
    }
}

/// A caller that has nothing under way anywhere still learns where others have much: from the instance itself.
#[tokio::test(flavor = "multi_thread")]
async fn learned_spares_an_instance_that_others_keep_busy() {
    let world = World::start(&["v1", "v2", "v3", "v4"]).await;
    world.balance("LEARNED").await;
    eventually("all are called while nobody is busy", async || {
        let turns = world.turns("/", 200).await;
        let counts: Vec<usize> = (1..5).map(|it| count(&turns, &format!("hello-v{it}"))).collect();
        counts.iter().all(|count| *count > 10).then_some(()).ok_or(format!("{counts:?}"))
    })
    .await;
    let other = world.mesh.client().await;
    let held = world.hold(&other, 40).await;
    // All four are remembered, and one call in 17 goes elsewhere to hear of others: a quarter of those are 6 +- 8 of 400.
    // Without regard to what instances say it would be 100 +- 26.
    eventually("the busy instance is spared", async || {
        let busy = count(&world.turns("/", 400).await, "hello-v1");
        (busy < 60).then_some(()).ok_or(format!("{busy} of 400 to it"))
    })
    .await;
    world.app(0).release();
    assert!(held.join_all().await.iter().all(|status| *status == 200));
}

/// What proxies say to each other stays between them, and what an application says of its load goes on to its caller.
#[tokio::test(flavor = "multi_thread")]
async fn applications_do_not_see_what_proxies_ask_and_say() {
    let world = World::start(&["v1", "v2"]).await;
    world.balance("LEARNED").await;
    for _ in 0..8 {
        let response = world.call("GET", "/echo", &[("x-meltemi-report-load", "1")], b"").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("endpoint-load-metrics"), None);
        assert!(!response.text().contains("x-meltemi"), "{}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peak_ewma_spares_an_instance_where_a_call_took_long() {
    let world = World::start(&["v1", "v2"]).await;
    world.balance("PEAK_EWMA").await;
    eventually("the other instance has most calls", async || {
        let held = world.hold(&world.client, 1).await;
        // One call takes as long as a hundred, which another instance answers one by one.
        world.turns("/", 100).await;
        world.app(0).release_held();
        assert!(held.join_all().await.iter().all(|status| *status == 200));
        // Drawn twice it is a quarter of the time: 50 +- 18. Half, without regard to the time, would be 100 +- 21.
        let slow = count(&world.turns("/", 200).await, "hello-v1");
        (slow < 75).then_some(()).ok_or(format!("{slow} of 200"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_word_is_refused_and_the_possible_ones_are_named() {
    let world = World::start(&["v1"]).await;
    let refused = world.mesh.command(&["apply", "-f", "-"], &rule("LEAST_WORK")).await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stderr.contains("LEARNED or PEAK_EWMA"), "{refused}");
    assert!(refused.stderr.contains("metadata.annotations"), "{refused}");
}
