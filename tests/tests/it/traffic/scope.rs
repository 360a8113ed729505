//! For whom rules are: callers' labels and namespaces, `exportTo`, delegates, hosts without a service.

use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_tests::eventually;

use super::{World, answering, arrived, virtual_service};

/// Fields: VirtualService spec.http[].match[].sourceLabels.*
#[tokio::test(flavor = "multi_thread")]
async fn rules_for_the_labels_of_callers_are_for_those_callers() {
    let world = World::start(&["v1", "v2"]).await;
    let front = world.mesh.workload("front").flag("--label", "tier=front").proxy().await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{match: [{sourceLabels: {tier: front}}], route: [{destination: {host: hello, subset: v2}}]},
             {match: [{sourceLabels: {tier: back}}], directResponse: {status: 418}},
             {route: [{destination: {host: hello, subset: v1}}]}",
        )
        .await;
    arrived(&front, "http://hello", 0).await;
    for _ in 0..10 {
        assert_eq!(front.http().await.get("http://hello/").await.served_by(), "hello-v2");
        assert_eq!(world.get("/").await.served_by(), "hello-v1");
    }
}

/// Fields: VirtualService spec.http[].match[].sourceNamespace
#[tokio::test(flavor = "multi_thread")]
async fn rules_for_the_namespace_of_callers_are_for_those_callers() {
    let world = World::start(&["v1", "v2"]).await;
    let far = world.mesh.workload("far").namespace("far").proxy().await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{match: [{sourceNamespace: far}], route: [{destination: {host: hello, subset: v2}}]},
             {route: [{destination: {host: hello, subset: v1}}]}",
        )
        .await;
    arrived(&far, "http://hello.default", 0).await;
    for _ in 0..10 {
        assert_eq!(far.http().await.get("http://hello.default/").await.served_by(), "hello-v2");
        assert_eq!(world.get("/").await.served_by(), "hello-v1");
    }
}

/// Fields: VirtualService spec.exportTo[]
#[tokio::test(flavor = "multi_thread")]
async fn export_to_says_for_which_namespaces_rules_are() {
    let world = World::start(&["v1"]).await;
    let far = world.mesh.workload("far").namespace("far").proxy().await;
    let answer =
        |text: &str| format!("{{directResponse: {{status: 200, body: {{string: {text}}}}}}}");
    for (name, to, number) in [("own", "'.'", 1), ("others", "far", 2)] {
        let spec = format!("hosts: [hello], exportTo: [{to}]");
        let rules = answering(number, &answer(name));
        world.mesh.apply(&virtual_service(name, &spec, &rules)).await;
    }
    arrived(&world.client, "http://hello", 1).await;
    arrived(&far, "http://hello.default", 2).await;
    assert_eq!(world.get("/").await.text(), "own");
    assert_eq!(far.http().await.get("http://hello.default/").await.text(), "others");
}

/// Fields: VirtualService spec.http[].delegate.name, spec.http[].delegate.namespace
#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_brings_the_rules_for_a_part_of_the_paths() {
    let world = World::start(&["v1"]).await;
    let delegate = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: pages, namespace: far},
        spec: {http: [
          {match: [{uri: {prefix: /pages/new}}], directResponse: {status: 200, body: {string: new}}},
          {directResponse: {status: 200, body: {string: old}}}]}}";
    let far = "{apiVersion: v1, kind: Namespace, metadata: {name: far}}";
    world.mesh.apply(far).await;
    world.mesh.apply(delegate).await;
    world
        .route(
            "{match: [{uri: {prefix: /pages}}], delegate: {name: pages, namespace: far}},
             {route: [{destination: {host: hello}}]}",
        )
        .await;
    assert_eq!(world.get("/pages/new/1").await.text(), "new");
    assert_eq!(world.get("/pages/1").await.text(), "old");
    assert_eq!(world.get("/other").await.served_by(), "hello-v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_service_may_have_rules() {
    let world = World::start(&["v1"]).await;
    let rules = answering(
        1,
        "{match: [{uri: {exact: /teapot}}], directResponse: {status: 418}},
         {route: [{destination: {host: hello}}]}",
    );
    world.mesh.apply(&virtual_service("shop", "hosts: [shop.example.com]", &rules)).await;
    arrived(&world.client, "http://shop.example.com", 1).await;
    let mut calls = world.client.http().await;
    assert_eq!(calls.get("http://shop.example.com/teapot").await.status, 418);
    let response = calls.get("http://shop.example.com/echo").await;
    assert_eq!((response.status, response.served_by()), (200, "hello-v1"), "{}", response.text());
    let headers = response.json()["headers"].to_string();
    assert!(headers.contains(r#"["host","shop.example.com"]"#), "{headers}");
}

/// Fields: VirtualService spec.hosts[]
#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_host_is_for_all_names_below_it_and_the_more_specific_goes_before() {
    let world = World::start(&["v1"]).await;
    for (name, host, number) in [("any", "'*.example.com'", 1), ("one", "a.example.com", 2)] {
        let rules = answering(number, "{route: [{destination: {host: hello}}]}");
        world.mesh.apply(&virtual_service(name, &format!("hosts: [{host}]"), &rules)).await;
    }
    arrived(&world.client, "http://a.example.com", 2).await;
    arrived(&world.client, "http://b.example.com", 1).await;
    arrived(&world.client, "http://c.b.example.com", 1).await;
    let response = world.client.http().await.get("http://b.example.com/").await;
    assert_eq!(response.served_by(), "hello-v1", "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rules_for_a_host_the_older_counts() {
    let world = World::start(&["v1"]).await;
    let answer =
        |text: &str| format!("{{directResponse: {{status: 200, body: {{string: {text}}}}}}}");
    world.route(&answer("older")).await;
    // Times of creation are whole seconds, and of two of one second the name decides.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = second();
    eventually("another second has begun", async || {
        (second() > before).then_some(()).ok_or(before.to_string())
    })
    .await;
    // The other host shows that the younger one has come.
    let spec = "hosts: [hello, other.example.com]";
    world.mesh.apply(&virtual_service("a-younger", spec, &answering(7, &answer("younger")))).await;
    arrived(&world.client, "http://other.example.com", 7).await;
    let mut calls = world.client.http().await;
    for _ in 0..20 {
        assert_eq!(calls.get("http://hello/").await.text(), "older");
        assert_eq!(calls.get("http://other.example.com/").await.text(), "younger");
    }
}

/// Fields: VirtualService spec.gateways[], spec.http[].match[].gateways[]
#[tokio::test(flavor = "multi_thread")]
async fn rules_for_gateways_are_not_for_sidecars() {
    let world = World::start(&["v1"]).await;
    let teapot = "{directResponse: {status: 418}}";
    // It goes before the other by its age, and by its name within a second.
    let spec = "hosts: [hello], gateways: [default/edge]";
    world.mesh.apply(&virtual_service("a-first", spec, teapot)).await;
    world
        .route(
            "{match: [{uri: {exact: /both}, gateways: [default/edge]}], directResponse: {status: 418}},
             {match: [{uri: {exact: /both}, gateways: [default/edge, mesh]}], route: [{destination: {host: hello}}]}",
        )
        .await;
    assert_eq!(world.get("/both").await.served_by(), "hello-v1");
    let spec = "hosts: [hello], gateways: [default/edge, mesh]";
    world.mesh.apply(&virtual_service("a-first", spec, teapot)).await;
    world.client.until("it is for both", "http://hello/both", |it| it.status == 418).await;
}

/// Fields: DestinationRule spec.exportTo[]
#[tokio::test(flavor = "multi_thread")]
async fn destination_rules_are_for_the_namespaces_that_they_are_exported_to() {
    let world = World::start(&["v1"]).await;
    let far = world.mesh.workload("far").namespace("far").proxy().await;
    world.destination(&["v1"], ", exportTo: ['.']").await;
    world.route("{route: [{destination: {host: hello, subset: v1}}]}").await;
    arrived(&far, "http://hello.default", 0).await;
    for _ in 0..5 {
        assert_eq!(world.get("/").await.status, 200);
        assert_eq!(far.http().await.get("http://hello.default/").await.status, 503);
    }
}

/// Fields: DestinationRule spec.workloadSelector.matchLabels.*
#[tokio::test(flavor = "multi_thread")]
async fn destination_rules_are_for_the_callers_that_they_select() {
    let world = World::start(&["v1"]).await;
    let front = world.mesh.workload("front").flag("--label", "tier=front").proxy().await;
    world.destination(&["v1"], ", workloadSelector: {matchLabels: {tier: front}}").await;
    world.route("{route: [{destination: {host: hello, subset: v1}}]}").await;
    arrived(&front, "http://hello", 0).await;
    for _ in 0..5 {
        assert_eq!(front.http().await.get("http://hello/").await.status, 200);
        assert_eq!(world.get("/").await.status, 503);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_rules_is_applied_and_holds() {
    let world = World::start(&["v1"]).await;
    let rule = |at: u32| {
        format!(
            "{{match: [{{uri: {{exact: /part/{at}/of/a/very/long/list/of/rules}}, headers: {{x-part: {{exact: '{at}'}}}}}}],
               directResponse: {{status: 200, body: {{string: 'part {at}'}}}}}}"
        )
    };
    let rules: Vec<_> = (0..6_000).map(rule).collect();
    let rules = rules.join(",\n");
    assert!(rules.len() > 1 << 20, "{} bytes", rules.len());
    let own = format!("{rules}, {{route: [{{destination: {{host: hello}}}}]}}");
    world.route(&own).await;
    for at in ["0", "2999", "5999"] {
        let path = format!("/part/{at}/of/a/very/long/list/of/rules");
        let answer = world.call("GET", &path, &[("x-part", at)], b"").await;
        assert_eq!((answer.status, answer.text()), (200, format!("part {at}")));
    }
    assert_eq!(world.get("/").await.served_by(), "hello-v1");
}
