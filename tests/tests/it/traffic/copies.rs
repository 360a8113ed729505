//! Copies of requests for another version.

use meltemi_tests::{Recorded, eventually};

use super::World;

/// Fields: VirtualService spec.http[].mirror.host, spec.http[].mirror.subset
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_body_and_a_host_that_says_so() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{route: [{destination: {host: hello, subset: v1}}], mirror: {host: hello, subset: v2},
              mirrorPercentage: {value: 100}}",
        )
        .await;
    // What the copy is answered does not matter to the caller.
    world.app(1).set_status(500);
    let response = world.call("POST", "/record/201", &[("x-own", "1")], b"payload").await;
    assert_eq!((response.status, response.served_by()), (201, "hello-v1"));
    let copies = eventually("the copy has come", async || {
        let copies = world.app(1).recorded();
        if copies.is_empty() { Err("none".to_owned()) } else { Ok(copies) }
    })
    .await;
    let originals = world.app(0).recorded();
    let seen = |it: &Recorded| {
        (it.header("host").to_owned(), it.header("x-own").to_owned(), it.body.clone())
    };
    let expected = |host: &str| vec![(host.to_owned(), "1".to_owned(), "payload".to_owned())];
    assert_eq!(originals.iter().map(seen).collect::<Vec<_>>(), expected("hello"));
    assert_eq!(copies.iter().map(seen).collect::<Vec<_>>(), expected("hello-shadow"));
}

/// Fields: VirtualService spec.http[].mirrors[].destination.host, spec.http[].mirrors[].destination.subset,
/// spec.http[].mirrors[].percentage.value
#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_requests_is_copied() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    let route = |percent: u32| {
        format!(
            "{{route: [{{destination: {{host: hello, subset: v1}}}}],
               mirrors: [{{destination: {{host: hello, subset: v2}}, percentage: {{value: {percent}}}}}]}}"
        )
    };
    world.route(&route(40)).await;
    assert_eq!(world.turns("/", 600).await, ["hello-v1"; 600]);
    // 600 x 0.4, and four standard deviations: copies come late, so there is one sample only.
    let range = 240 - 48..=240 + 48;
    eventually("copies have come", async || {
        let count = world.app(1).requests();
        (count >= *range.start()).then_some(()).ok_or(count.to_string())
    })
    .await;
    world.route(&route(0)).await;
    assert_eq!(world.turns("/", 100).await, ["hello-v1"; 100]);
    let copied = world.app(1).requests();
    assert!(range.contains(&copied), "{copied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_answered_holds_nobody_up() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{route: [{destination: {host: hello, subset: v1}}], mirror: {host: hello, subset: v2}}",
        )
        .await;
    world.app(0).release();
    for _ in 0..5 {
        let response = world.get("/hold").await;
        assert_eq!((response.status, response.served_by()), (200, "hello-v1"));
    }
    eventually("the copies are held", async || {
        let held = world.app(1).in_flight();
        (held == 5).then_some(()).ok_or(held.to_string())
    })
    .await;
}
