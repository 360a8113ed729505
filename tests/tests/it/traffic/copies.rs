//! Copies of requests for another version.

use meltemi_tests::{HttpApp, Mesh, Recorded, eventually};

use super::shop::apps;
use super::{World, answering, arrived, virtual_service};

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

/// Fields: VirtualService spec.http[].mirrorPercent, spec.http[].mirror_percent, spec.http[].mirrorPercentage.value
#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_copies_is_said_in_three_forms() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    for (at, form) in
        ["mirrorPercent: N", "mirror_percent: N", "mirrorPercentage: {value: N}"].iter().enumerate()
    {
        for percent in [0, 100] {
            let share = form.replace('N', &percent.to_string());
            world
                .route(&format!(
                    "{{route: [{{destination: {{host: hello, subset: v1}}}}],
                       mirror: {{host: hello, subset: v2}}, {share}}}"
                ))
                .await;
            for _ in 0..20 {
                assert_eq!(world.get(&format!("/record/200?{at}-{percent}")).await.status, 200);
            }
        }
        // All that came is of the second half.
        let mut copies = Vec::new();
        eventually("the copies have come", async || {
            copies.extend(world.app(1).recorded());
            (copies.len() >= 20).then_some(()).ok_or(copies.len().to_string())
        })
        .await;
        let own = format!("/record/200?{at}-100");
        assert!(
            copies.iter().all(|it| it.target == own) && copies.len() == 20,
            "{form}: {copies:?}"
        );
    }
}

/// Fields: VirtualService spec.http[].route[].destination.port.number, spec.http[].mirror.port.number,
/// spec.http[].mirrors[].destination.port.number
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_copies_go_to_the_ports_that_are_named() {
    let mesh = Mesh::start().await;
    let apps = apps(["own", "routed", "mirrored"]).await;
    let ports: Vec<_> = apps.iter().map(HttpApp::port).collect();
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
          spec: {{hosts: [shop.example.com], resolution: STATIC,
            ports: [{{number: 80, name: a, protocol: HTTP}}, {{number: 81, name: b, protocol: HTTP}},
              {{number: 82, name: c, protocol: HTTP}}],
            endpoints: [{{address: 127.0.0.1, ports: {{a: {}, b: {}, c: {}}}}}]}}}}",
        ports[0], ports[1], ports[2]
    ))
    .await;
    let client = mesh.client().await;
    let to = |port: u16| format!("{{host: shop.example.com, port: {{number: {port}}}}}");
    for (number, mirror) in
        [(1, format!("mirror: {}", to(82))), (2, format!("mirrors: [{{destination: {}}}]", to(82)))]
    {
        let route = format!("{{route: [{{destination: {}}}], {mirror}}}", to(81));
        let rules = answering(number, &route);
        mesh.apply(&virtual_service("shop", "hosts: [shop.example.com]", &rules)).await;
        arrived(&client, "http://shop.example.com", number).await;
        let response = client.http().await.get("http://shop.example.com/record/200").await;
        assert_eq!((response.status, response.served_by()), (200, "routed"));
        eventually("the copy has come", async || {
            let copies = apps[2].recorded().len();
            (copies == 1).then_some(()).ok_or(copies.to_string())
        })
        .await;
    }
    assert_eq!(apps[0].requests(), 0);
}
