//! New endpoints that get their share slowly.

use std::time::{Duration, Instant};

use meltemi_tests::HttpApp;

use super::count;
use super::shop::Shop;

/// How many of 200 calls the new endpoint gets beside one that has its whole share.
///
/// The rule is told a time that is over for the old endpoint, and of which less than a quarter is over for the new one
/// when the calls are through. On a busy machine that may not be so: then another new one comes, when the old one is
/// older, so that the time is longer.
async fn share_of_new(rule: impl Fn(Duration) -> String) -> usize {
    let shop = Shop::start(&[]).await;
    let old = HttpApp::start("old").await;
    shop.endpoints(&[(old.port(), "")]).await;
    shop.policy("{}").await;
    let known = Instant::now();
    loop {
        let new = HttpApp::start("new").await;
        let (window, begun) = (known.elapsed(), Instant::now());
        shop.endpoints(&[(old.port(), ""), (new.port(), "")]).await;
        shop.policy(&format!("{{loadBalancer: {{{}}}}}", rule(window))).await;
        let turns = shop.turns(200).await;
        if begun.elapsed() < window / 4 {
            return count(&turns, "new");
        }
    }
}

/// A time as rules have it.
fn seconds(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}

// Both in turn would have 100 each. With a share of a quarter the new one has 40 of 200, give or take 17 (three standard
// deviations).

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.warmup.duration
#[tokio::test(flavor = "multi_thread")]
async fn a_new_endpoint_has_less_than_its_share() {
    let slow = share_of_new(|window| format!("warmup: {{duration: {}}}", seconds(window))).await;
    assert!((1..65).contains(&slow), "{slow} of 200");
    assert_eq!(share_of_new(|_| "warmup: {duration: 0.001s}".to_owned()).await, 100);
    assert_eq!(share_of_new(|_| String::new()).await, 100);
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.warmupDurationSecs
#[tokio::test(flavor = "multi_thread")]
async fn the_old_word_for_the_duration_is_known() {
    let slow = share_of_new(|window| format!("warmupDurationSecs: {}", seconds(window))).await;
    assert!((1..65).contains(&slow), "{slow} of 200");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.warmup.minimumPercent
#[tokio::test(flavor = "multi_thread")]
async fn a_new_endpoint_begins_with_the_least_that_the_rule_says() {
    // From 90 of 100 on it has 95 of 200, give or take 21.
    for (percent, expected) in [("90", 74..101), ("100", 100..101)] {
        let warmup = |window| {
            let window = seconds(window);
            format!("warmup: {{duration: {window}, minimumPercent: {percent}}}")
        };
        let new = share_of_new(warmup).await;
        assert!(expected.contains(&new), "{percent}: {new} of 200");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.warmup.aggression
#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_a_new_endpoint_rises_as_aggression_says() {
    // The thousandth root of a part is near 1 however small it is, the tenth power of one below a quarter next to nothing.
    for (aggression, expected) in [("1000", 74..101), ("0.1", 0..8)] {
        let warmup = |window| {
            let window = seconds(window);
            format!("warmup: {{duration: {window}, minimumPercent: 0, aggression: {aggression}}}")
        };
        let new = share_of_new(warmup).await;
        assert!(expected.contains(&new), "{aggression}: {new} of 200");
    }
}
