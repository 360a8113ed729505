//! Weights, subsets, and subsets that there are not.

use super::{World, count, has_share};

const BOTH: &str = "{route: [
    {destination: {host: hello, subset: v1}, weight: 80},
    {destination: {host: hello, subset: v2}, weight: 20}]}";

/// Fields: VirtualService spec.http[].route[].weight, spec.http[].route[].destination.host,
/// spec.http[].route[].destination.subset
#[tokio::test(flavor = "multi_thread")]
async fn weights_share_requests_out_over_subsets() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world.route(BOTH).await;
    has_share("v2", 0.2, 600, async || count(&world.turns("/", 600).await, "hello-v2")).await;
    let all_to_one = "{route: [
        {destination: {host: hello, subset: v1}, weight: 100},
        {destination: {host: hello, subset: v2}, weight: 0}]}";
    world.route(all_to_one).await;
    assert_eq!(count(&world.turns("/", 100).await, "hello-v1"), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_that_of_the_sum_of_the_weights() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{route: [{destination: {host: hello, subset: v1}, weight: 1},
                      {destination: {host: hello, subset: v2}, weight: 3}]}",
        )
        .await;
    has_share("v2", 0.75, 400, async || count(&world.turns("/", 400).await, "hello-v2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_is_all_instances_with_its_labels_and_no_other() {
    let world = World::start(&["v1", "v2", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world.route("{route: [{destination: {host: hello, subset: v2}}]}").await;
    let before = world.hello.requests();
    world.turns("/", 40).await;
    let new = world.hello.requests().into_iter().zip(before).map(|(now, before)| now - before);
    assert_eq!(new.collect::<Vec<_>>(), [0, 20, 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_that_no_destination_rule_has_is_told() {
    let world = World::start(&["v1"]).await;
    world.destination(&["v1"], "").await;
    world.route("{route: [{destination: {host: hello, subset: v7}}]}").await;
    let response = world.get("/").await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("v7"), "{}", response.text());
    world.counted("503", "NC", 1).await;
    assert_eq!(world.app(0).requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_without_endpoints_is_told() {
    let world = World::start(&["v1"]).await;
    world.destination(&["v1", "v7"], "").await;
    world.route("{route: [{destination: {host: hello, subset: v7}}]}").await;
    let response = world.get("/").await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("v7"), "{}", response.text());
    world.counted("503", "UH", 1).await;
    assert_eq!(world.app(0).requests(), 0);
}
