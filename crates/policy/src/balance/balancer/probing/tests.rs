use std::time::Duration;

use super::*;
use crate::balance::balancer::tests::{build, endpoint, policy, simple};
use crate::balance::hash;
use crate::destination::rule::SimpleLoadBalancer;

const COUNT: usize = 20;
const REPORT: Report =
    Report { in_flight: 2.0, latency: Duration::from_millis(20), answers_probes: true };

fn balancer(algorithm: SimpleLoadBalancer) -> Balancer {
    let endpoints = [(); COUNT].map(|()| endpoint(0, 1, ""));
    build(&endpoints, &policy(simple(algorithm), None))
}

/// Who is asked beside a call: as many as there are in a row.
fn asked(balancer: &Balancer, now: Duration, is_reachable: impl Fn(usize) -> bool) -> Vec<usize> {
    let random = |at: u64| hash(&(now.as_nanos() as u64 ^ at << 56).to_le_bytes());
    // Draws may miss the only one that fits.
    let tries = (0..64).filter_map(|at| balancer.probe(now, random(at), &is_reachable));
    tries.collect()
}

#[test]
fn who_never_spoke_and_whose_word_is_young_is_not_asked() {
    let balancer = balancer(SimpleLoadBalancer::Learned);
    let second = Duration::from_secs(1);
    assert!(asked(&balancer, second, |_| true).is_empty());
    balancer.hear(2, REPORT, second);
    assert!(asked(&balancer, second * 3 / 2, |_| true).is_empty());
    assert!(asked(&balancer, second * 3, |it| it != 2).is_empty(), "it cannot be reached");
    let late = asked(&balancer, second * 3, |_| true);
    assert!(!late.is_empty() && late.iter().all(|it| *it == 2), "{late:?}");
}

#[test]
fn nobody_is_asked_where_all_places_have_young_words() {
    let balancer = balancer(SimpleLoadBalancer::Learned);
    let second = Duration::from_secs(1);
    (0..COUNT).for_each(|index| balancer.hear(index, REPORT, second));
    assert!(!asked(&balancer, second * 3, |_| true).is_empty());
    (0..COUNT).for_each(|index| balancer.hear(index, REPORT, second * 4));
    assert!(asked(&balancer, second * 9 / 2, |_| true).is_empty());
}

#[test]
fn a_proxy_that_does_not_say_that_it_answers_is_not_asked() {
    let balancer = balancer(SimpleLoadBalancer::Learned);
    let report = Report { answers_probes: false, ..REPORT };
    (0..COUNT).for_each(|index| balancer.hear(index, report, Duration::from_secs(1)));
    assert!(asked(&balancer, Duration::from_secs(5), |_| true).is_empty());
}

#[test]
fn nobody_is_asked_twice_in_a_second() {
    let balancer = balancer(SimpleLoadBalancer::Learned);
    (0..COUNT).for_each(|index| balancer.hear(index, REPORT, Duration::from_secs(1)));
    let calls = (0..10).map(|tenth| Duration::from_millis(5000 + 100 * tenth));
    let mut all: Vec<_> = calls.flat_map(|now| asked(&balancer, now, |_| true)).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert!(count >= 10 && all.len() == count, "{count} times {} different ones", all.len());
}

#[test]
fn three_are_asked_beside_a_call_and_ten_a_second() {
    let balancer = balancer(SimpleLoadBalancer::Learned);
    (0..COUNT).for_each(|index| balancer.hear(index, REPORT, Duration::from_secs(1)));
    let later = Duration::from_secs(5);
    assert_eq!(asked(&balancer, later, |_| true).len(), 3);
    let calls = (1..=1000).map(|milli| later + Duration::from_millis(milli));
    let count: usize = calls.map(|now| asked(&balancer, now, |_| true).len()).sum();
    assert_eq!(count, 10, "in a second without an answer");
}

#[test]
fn other_algorithms_ask_nobody() {
    for simple in [SimpleLoadBalancer::PeakEwma, SimpleLoadBalancer::LeastRequest] {
        let balancer = balancer(simple);
        (0..COUNT).for_each(|index| balancer.hear(index, REPORT, Duration::from_secs(1)));
        assert!(asked(&balancer, Duration::from_secs(5), |_| true).is_empty());
    }
}
