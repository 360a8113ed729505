//! What is counted of a rule that has a name for statistics: Envoy's figures of a route.

use meltemi_tests::eventually;

use super::World;

const HOST: (&str, &str) = ("envoy_virtual_host", "hello.default.svc.cluster.local:80");

/// A figure of a route: the end of its name, further labels, count.
type Figure<'a> = (&'a str, &'a [(&'a str, &'a str)], u64);

impl World {
    /// Waits until the caller's figures of a route are these.
    async fn figures(&self, route: &str, expected: &[Figure<'_>]) {
        eventually(&format!("the figures of {route}"), async || {
            let scrape = self.client.scrape().await;
            for (name, labels, count) in expected {
                let mut all = vec![HOST, ("envoy_route", route)];
                all.extend_from_slice(labels);
                let seen = scrape.sum(&format!("envoy_vhost_route_upstream_rq{name}"), &all) as u64;
                if seen != *count {
                    return Err(format!("{name} {labels:?}: {seen}, not {count}"));
                }
            }
            Ok(())
        })
        .await;
    }
}

/// Fields: VirtualService spec.http[].match[].statPrefix
#[tokio::test(flavor = "multi_thread")]
async fn a_match_with_a_name_for_statistics_is_counted_on_its_own() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{uri: {prefix: /status}, statPrefix: statuses}],
              retries: {attempts: 2, retryOn: '503', backoff: 1ms},
              route: [{destination: {host: hello}}]},
             {match: [{uri: {prefix: /record}, statPrefix: slow}],
              timeout: 0.2s, route: [{destination: {host: hello}}]},
             {match: [{uri: {exact: /moved}, statPrefix: moved}], redirect: {uri: /}},
             {match: [{uri: {prefix: /none}, statPrefix: none}],
              route: [{destination: {host: hello, subset: none}}]},
             {route: [{destination: {host: hello}}]}",
        )
        .await;
    for (path, status) in [
        ("/status/200", 200),
        ("/status/200", 200),
        ("/status/404", 404),
        ("/status/503", 503),
        ("/record/hold", 504),
        ("/moved", 301),
        ("/none", 503),
        ("/", 200),
    ] {
        assert_eq!(world.get(path).await.status, status, "{path}");
    }
    world
        .figures(
            "statuses",
            &[
                ("", &[("envoy_response_code", "200")], 2),
                ("", &[("envoy_response_code", "404")], 1),
                ("", &[("envoy_response_code", "503")], 1),
                ("_xx", &[("envoy_response_code_class", "2")], 2),
                ("_xx", &[("envoy_response_code_class", "5")], 1),
                ("_completed", &[], 4),
                ("_total", &[], 6),
                ("_retry", &[], 2),
                ("_retry_success", &[], 0),
                ("_retry_limit_exceeded", &[], 1),
                ("_timeout", &[], 0),
                ("_time_count", &[], 4),
            ],
        )
        .await;
    world
        .figures(
            "slow",
            &[
                ("", &[("envoy_response_code", "504")], 1),
                ("_timeout", &[], 1),
                ("_total", &[], 1),
                ("_time_count", &[], 0),
            ],
        )
        .await;
    // Nobody is called, so that nothing is counted; and a request without a name for it is nobody's.
    world.figures("moved", &[("_completed", &[], 0)]).await;
    world.figures("none", &[("_completed", &[], 0)]).await;
    let scrape = world.client.scrape().await;
    assert_eq!(scrape.sum("envoy_vhost_route_upstream_rq_completed", &[HOST]) as u64, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_brings_the_answer_is_a_success() {
    let world = World::start(&["v1", "v2"]).await;
    world
        .route(
            "{match: [{uri: {prefix: /}, statPrefix: both}],
              retries: {attempts: 3, perTryTimeout: 0.2s, retryOn: 5xx, backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    // One of two answers at once, the other never: round robin comes to both, and each request gets its answer.
    world.app(1).release();
    for _ in 0..2 {
        assert_eq!(world.get("/record/hold").await.status, 200);
    }
    eventually("one retry was needed, and brought the answer", async || {
        let scrape = world.client.scrape().await;
        let of = |name: &str| {
            let name = format!("envoy_vhost_route_upstream_rq{name}");
            scrape.sum(&name, &[HOST, ("envoy_route", "both")]) as u64
        };
        match [of("_retry"), of("_retry_success"), of("_completed")] {
            [retries, successes, 2] if retries >= 1 && successes == retries => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
}
