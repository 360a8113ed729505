//! Attempts: how many the application sees, on what, and of which methods.

use meltemi_tests::HttpApp;

use super::World;
use super::shop::{Shop, apps};

impl World {
    /// Calls a path; the status, and the attempts that the applications saw.
    async fn attempts(&self, method: &str, path: &str) -> (u16, Vec<String>) {
        let response = self.call(method, path, &[], b"").await;
        let apps = self.hello.instances.iter().flat_map(|(app, _)| app.recorded());
        let mut seen: Vec<_> =
            apps.map(|it| it.header("x-envoy-attempt-count").to_owned()).collect();
        seen.sort();
        (response.status, seen)
    }
}

fn numbers(last: u32) -> Vec<String> {
    (1..=last).map(|it| it.to_string()).collect()
}

/// Fields: VirtualService spec.http[].retries.attempts, spec.http[].retries.retryOn
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_retries_on_what_it_names_as_often_as_it_says() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{match: [{headers: {x-none: {}}}], route: [{destination: {host: hello}}]},
             {retries: {attempts: 3, retryOn: '5xx,418', backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    for (path, attempts) in [
        ("/record/500", 4),
        ("/record/503", 4),
        ("/record/418", 4),
        ("/record/404", 1),
        ("/record/200", 1),
    ] {
        let status = path.rsplit_once('/').unwrap().1.parse().unwrap();
        assert_eq!(world.attempts("GET", path).await, (status, numbers(attempts)), "{path}");
    }
    world.counted("500", "URX", 1).await;
}

/// Fields: VirtualService spec.http[].retries.perTryTimeout
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_attempt_ends_and_another_is_made() {
    let world = World::start(&["v1", "v2"]).await;
    world
        .route(
            "{retries: {attempts: 2, perTryTimeout: 0.1s, retryOn: '5xx', backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    assert_eq!(world.attempts("GET", "/record/hold").await, (504, numbers(3)));
    // One of two answers: the attempt at the other one is the last.
    world.app(1).release();
    for _ in 0..4 {
        let (status, attempts) = world.attempts("GET", "/record/hold").await;
        assert_eq!(status, 200);
        assert!(attempts.len() <= 2, "{attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_repeated_only_where_a_rule_names_the_reason() {
    let world = World::start(&["v1"]).await;
    world.route("{route: [{destination: {host: hello}}]}").await;
    assert_eq!(world.attempts("GET", "/record/503").await, (503, numbers(3)), "two by default");
    assert_eq!(world.attempts("POST", "/record/503").await, (503, numbers(1)));
    world.route("{retries: {attempts: 4}, route: [{destination: {host: hello}}]}").await;
    assert_eq!(world.attempts("GET", "/record/503").await, (503, numbers(5)));
    assert_eq!(world.attempts("POST", "/record/503").await, (503, numbers(1)));
    world
        .route("{retries: {attempts: 1, retryOn: 5xx}, route: [{destination: {host: hello}}]}")
        .await;
    assert_eq!(world.attempts("POST", "/record/503").await, (503, numbers(2)));
    world.route("{retries: {attempts: 0}, route: [{destination: {host: hello}}]}").await;
    assert_eq!(world.attempts("GET", "/record/503").await, (503, numbers(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_the_body_again_and_goes_to_another_endpoint() {
    let world = World::start(&["v1", "v2"]).await;
    world
        .route("{retries: {attempts: 1, retryOn: 5xx}, route: [{destination: {host: hello}}]}")
        .await;
    for _ in 0..5 {
        assert_eq!(world.call("POST", "/record/500", &[], b"payload").await.status, 500);
    }
    for at in 0..2 {
        let recorded = world.app(at).recorded();
        assert_eq!(recorded.len(), 5, "each request came to both");
        assert!(recorded.iter().all(|it| it.body == "payload"), "{recorded:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_errors_are_502_503_and_504() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{retries: {attempts: 1, retryOn: gateway-error, backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    for (status, attempts) in [(500, 1), (501, 1), (502, 2), (503, 2), (504, 2), (505, 1)] {
        let path = format!("/record/{status}");
        assert_eq!(world.attempts("PATCH", &path).await, (status, numbers(attempts)), "{path}");
    }
}

/// Fields: VirtualService spec.http[].retries.backoff
#[tokio::test(flavor = "multi_thread")]
async fn the_back_off_is_the_rules() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{timeout: 15s, retries: {attempts: 200, retryOn: 5xx, backoff: 1ms},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    // At most 10 ms each; by Envoy's default of 25 ms they would take 25 s, and the timeout would end them.
    let (status, attempts) = world.attempts("GET", "/record/500").await;
    assert_eq!((status, attempts.len()), (500, 201));
}

/// Fields: VirtualService spec.http[].retries.retryIgnorePreviousHosts
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_may_go_to_the_endpoint_that_failed_where_the_rule_says_so() {
    let world = World::start(&["v1", "v2"]).await;
    // The hash leads each attempt to the same endpoint.
    let policy = "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}";
    world.destination(&[], &format!(", trafficPolicy: {policy}")).await;
    for (ignored, expected) in [(true, [1, 1]), (false, [0, 2])] {
        world
            .route(&format!(
                "{{retries: {{attempts: 1, retryOn: 5xx, retryIgnorePreviousHosts: {ignored}}},
                   route: [{{destination: {{host: hello}}}}]}}"
            ))
            .await;
        assert_eq!(world.call("GET", "/record/500", &[("x-user", "ann")], b"").await.status, 500);
        let mut seen = [0, 1].map(|at| world.app(at).recorded().len());
        seen.sort_unstable();
        assert_eq!(seen, expected, "{ignored}");
    }
}

/// Fields: VirtualService spec.http[].retries.retryRemoteLocalities
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_elsewhere_where_the_rule_says_so() {
    let shop = Shop::start(&["istio-locality=eu.a.1"]).await;
    let apps = apps(["near-1", "near-2", "far"]).await;
    let places = ["locality: eu/a/1", "locality: eu/a/1", "locality: us/b"];
    let endpoints: Vec<_> = apps.iter().map(HttpApp::port).zip(places).collect();
    shop.endpoints(&endpoints).await;
    apps[..2].iter().for_each(|app| app.set_status(500));
    // It stays near even where all that is near was tried.
    for (elsewhere, attempts, status) in [(true, 1, 200), (false, 4, 500)] {
        let retries = format!(
            "retries: {{attempts: {attempts}, retryOn: 5xx, backoff: 1ms, retryRemoteLocalities: {elsewhere}}},"
        );
        shop.ruled("{outlierDetection: {consecutive5xxErrors: 1000}}", &retries).await;
        for _ in 0..10 {
            assert_eq!(shop.get("/set").await.status, status, "{elsewhere}");
        }
    }
}
