//! Balancing by what calls tell of endpoints.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use meltemi_tests::{Mesh, Sidecar, eventually, free_port, test_app};
use tokio::task::JoinSet;

use super::{World, count, virtual_service};

/// Nobody may get `/denied`.
const DENY: &str =
    "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: denied},
    spec: {action: DENY, rules: [{to: [{operation: {paths: [/denied]}}]}]}}";

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
    eventually("all have their part while nobody is busy", async || {
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

/// What an application knows of its load its sidecar may not see: it is believed in a field, and behind the body as servers of gRPC
/// say it, and goes on to the caller.
#[tokio::test(flavor = "multi_thread")]
async fn learned_spares_an_instance_whose_application_says_that_it_does_too_much() {
    // `application_utilization` of 1.5; the message has that alone.
    let (field, trailer) = ("JSON {\"application_utilization\": 1.5}", "SQAAAAAAAPg/");
    let world = World::start(&["v1", "v2"]).await;
    world.balance("LEARNED").await;
    let mut calls = world.client.http().await;
    for (at, field, trailer) in [(0, Some(field), None), (1, None, Some(trailer))] {
        world.app(at).set_load(field, trailer);
        let mut is_heard = field.is_none();
        // Both are remembered, and half of one call in 17 goes to it all the same: 6 +- 8 of 200. Without its word it is one of
        // two that are alike: 100 +- 22.
        eventually("the one that does too much is spared", async || {
            let mut busy = 0;
            for _ in 0..200 {
                let te = &[("te", "trailers")];
                let answer = calls.call("GET", "http://hello/trailers", te, b"").await;
                assert_eq!(answer.status, 200);
                busy += u32::from(answer.served_by() == ["hello-v1", "hello-v2"][at]);
                is_heard |=
                    answer.header("endpoint-load-metrics").is_some_and(|it| Some(it) == field);
            }
            let what = format!("{busy} of 200 to it, its word has come to the caller: {is_heard}");
            (busy < 60 && is_heard).then_some(()).ok_or(what)
        })
        .await;
        world.app(at).set_load(None, None);
    }
}

/// A report as it stands between two proxies: a rule of the caller's that asks in their word shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_how_busy_the_command_beside_the_sidecar_is() {
    let mesh = Mesh::start().await;
    let (app, port) = (test_app().to_str().unwrap().to_owned(), free_port().to_string());
    // It keeps a processor busy for as long as it runs.
    let script = "while :; do :; done & exec \"$0\" \"$1\" hello-1";
    let hello = mesh.workload("hello").port(port.parse().unwrap(), "http");
    let hello = hello.run(&["sh", "-c", script, &app, &port]).await;
    let ask = "{headers: {request: {set: {x-meltemi-report-load: '1'}}},
                route: [{destination: {host: hello}}]}";
    mesh.apply(&virtual_service("hello", "hosts: [hello]", ask)).await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    let measure = |report: &str, name: &str| {
        let found = report.split(',').find_map(|pair| pair.trim().strip_prefix(name));
        found.and_then(|value| value.strip_prefix('=')?.parse::<f64>().ok())
    };
    eventually("the report has all of it", async || {
        let answer = calls.get("http://hello/").await;
        let report = answer.header("endpoint-load-metrics").unwrap_or_default().to_owned();
        let cpu = measure(&report, "cpu_utilization").is_some_and(|it| it > 0.01 && it <= 1.0);
        let rate = measure(&report, "rps_fractional").is_some_and(|it| it > 0.0);
        let errors = measure(&report, "eps") == Some(0.0);
        (cpu && rate && errors).then_some(()).ok_or(report)
    })
    .await;
    drop(hello);
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

/// What became of probes, by all these sidecars: `answered` and `missed` on the side that asks, `told` and `refused` on the other.
async fn probes<'s>(sidecars: impl IntoIterator<Item = &'s Sidecar>, result: &str) -> u64 {
    let mut count = 0;
    for sidecar in sidecars {
        let scrape = sidecar.scrape().await;
        count += scrape.sum("meltemi_load_probes_total", &[("result", result)]) as u64;
    }
    count
}

/// Where calls are so few that words are too old when the next one is made, the caller's sidecar asks the others besides, and
/// their applications see nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn instances_are_asked_for_their_load_where_calls_are_few() {
    let world = World::start(&["v1", "v2", "v3", "v4"]).await;
    world.balance("LEARNED").await;
    let mut calls = world.client.http().await;
    let (mut made, mut spoken) = (world.hello.requests().iter().sum::<u64>(), HashSet::new());
    // Connections to all stand, and all have spoken.
    while spoken.len() < 4 {
        spoken.insert(calls.get("http://hello/").await.served_by().to_owned());
        made += 1;
    }
    let mut called = Instant::now();
    let servers = || world.hello.instances.iter().map(|(_, sidecar)| sidecar);
    eventually("three are asked beside a call, and answer", async || {
        // A word is believed for a second: a call after a longer one is the first that finds none.
        if called.elapsed() > Duration::from_millis(1500) {
            calls.get("http://hello/").await;
            (made, called) = (made + 1, Instant::now());
        }
        let answered = probes([&world.client], "answered").await;
        let told = probes(servers(), "told").await;
        let what = format!("{answered} answered, {told} told");
        (answered >= 3 && told >= answered).then_some(()).ok_or(what)
    })
    .await;
    assert_eq!(world.hello.requests().iter().sum::<u64>(), made, "applications see calls alone");
    assert_eq!(probes(servers(), "refused").await, 0);
    let mut counted = 0;
    for sidecar in servers() {
        counted += sidecar.scrape().await.sum("istio_requests_total", &[]) as u64;
    }
    assert_eq!(counted, made, "and so do the sidecars' metrics of requests");
}

/// Who may not make a call is not told the load either.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_not_told_the_load() {
    let world = World::start(&["v1", "v2"]).await;
    world.mesh.apply(DENY).await;
    world.balance("LEARNED").await;
    let mut calls = world.client.http().await;
    eventually("the policy is everywhere", async || {
        let mut refused = 0;
        for _ in 0..20 {
            refused += u32::from(calls.get("http://hello/denied").await.status == 403);
        }
        (refused == 20).then_some(()).ok_or(format!("{refused} of 20"))
    })
    .await;
    let mut spoken = HashSet::new();
    while spoken.len() < 2 {
        spoken.insert(calls.get("http://hello/").await.served_by().to_owned());
    }
    // Refusals bring no words, so that those of the calls before get old. The last questions of those may still be under way
    // as the first round begins.
    eventually("questions are asked beside refused calls, and all are refused", async || {
        let before = probes([&world.client], "answered").await;
        let missed = probes([&world.client], "missed").await;
        for _ in 0..20 {
            assert_eq!(calls.get("http://hello/denied").await.status, 403);
        }
        let missed = probes([&world.client], "missed").await - missed;
        let answered = probes([&world.client], "answered").await - before;
        let what = format!("{answered} answered, {missed} missed");
        (answered == 0 && missed > 0).then_some(()).ok_or(what)
    })
    .await;
    let servers = world.hello.instances.iter().map(|(_, sidecar)| sidecar);
    assert!(probes(servers, "refused").await > 0);
}
