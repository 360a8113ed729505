//! Choices over endpoints that fail, come back, warm up, and lie in different places.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::balance::{Report, Told};
use crate::destination::rule::{
    ConsistentHash, HashTable, LoadBalancer, LocalityDistribute, LocalityLbSetting,
    OutlierDetection, SimpleLoadBalancer, Warmup,
};

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();
const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

pub(super) fn endpoint(number: usize, weight: u32, locality: &'static str) -> Endpoint<'static> {
    Endpoint {
        name: NAMES[number],
        weight,
        locality,
        network: "",
        cluster: "",
        labels: &NO_LABELS,
        is_healthy: true,
        is_ejected: false,
        ready_since: None,
        observed: None,
    }
}

fn endpoints(weights: &[u32]) -> Vec<Endpoint<'static>> {
    weights.iter().enumerate().map(|(number, weight)| endpoint(number, *weight, "")).collect()
}

pub(super) fn simple(simple: SimpleLoadBalancer) -> LoadBalancer {
    LoadBalancer { simple: Some(simple), ..Default::default() }
}

fn hashing(table: HashTable) -> LoadBalancer {
    let hash = ConsistentHash { key: None, table };
    LoadBalancer { consistent_hash: Some(hash), ..Default::default() }
}

pub(super) fn policy(
    load_balancer: LoadBalancer,
    min_health_percent: Option<u32>,
) -> TrafficPolicy {
    let outlier = OutlierDetection { min_health_percent, ..Default::default() };
    TrafficPolicy {
        load_balancer: Some(load_balancer),
        outlier_detection: Some(outlier),
        ..Default::default()
    }
}

pub(super) fn build(endpoints: &[Endpoint<'_>], policy: &TrafficPolicy) -> Balancer {
    let client = Client { locality: "eu/a/1", network: "", cluster: "", labels: &NO_LABELS };
    Balancer::new(endpoints, policy, &client, Arc::default())
}

fn ask(random: u64) -> Ask {
    Ask { random: mix(random), ..Default::default() }
}

fn pick(balancer: &Balancer, random: u64) -> Option<usize> {
    balancer.pick(&ask(random), |_| 0, |_| false)
}

fn counts(balancer: &Balancer, total: u64) -> Vec<u64> {
    let mut counts = vec![0; balancer.len()];
    (0..total).for_each(|random| counts[pick(balancer, random).unwrap()] += 1);
    counts
}

/// Whether a count of choices is within 3 standard deviations of its expectation.
fn is_expected(count: u64, total: u64, chance: f64) -> bool {
    let expected = total as f64 * chance;
    (count as f64 - expected).abs() <= 3.0 * (expected * (1.0 - chance)).sqrt()
}

#[test]
fn round_robin_stays_exact_as_endpoints_go_and_return() {
    let policy = policy(simple(SimpleLoadBalancer::RoundRobin), None);
    let balancer = build(&endpoints(&[1, 1, 1, 1]), &policy);
    assert_eq!(counts(&balancer, 400), [100; 4]);
    balancer.set_ejected([(1, true)]);
    assert_eq!(balancer.healthy(), 3);
    assert_eq!(counts(&balancer, 300), [100, 0, 100, 100]);
    balancer.set_ejected([(1, false), (1, false), (99, true)]);
    assert_eq!(counts(&balancer, 400), [100; 4]);
    let weighted = build(&endpoints(&[5, 0, 3, 2]), &policy);
    assert_eq!(counts(&weighted, 1000), [500, 0, 300, 200]);
}

#[test]
fn the_turn_goes_on_with_the_next_balancer() {
    let turn = Arc::new(AtomicU64::new(0));
    let client = Client { locality: "", network: "", cluster: "", labels: &NO_LABELS };
    let all = endpoints(&[1, 1, 1]);
    let next = || Balancer::new(&all, &TrafficPolicy::default(), &client, turn.clone());
    let found: Vec<usize> = (0..6).map(|random| pick(&next(), random).unwrap()).collect();
    assert_eq!(found, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn random_and_least_request_follow_weights() {
    for algorithm in [SimpleLoadBalancer::Random, SimpleLoadBalancer::LeastRequest] {
        for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
            let balancer = build(&endpoints(&weights), &policy(simple(algorithm), None));
            let sum: u32 = weights.iter().sum();
            for (count, weight) in counts(&balancer, 20_000).into_iter().zip(weights) {
                let chance = f64::from(weight) / f64::from(sum);
                assert!(is_expected(count, 20_000, chance), "{algorithm:?} {weights:?}: {count}");
            }
        }
    }
}

#[test]
fn least_request_reads_the_load_by_endpoint() {
    let policy = policy(simple(SimpleLoadBalancer::LeastRequest), None);
    let balancer = build(&endpoints(&[1, 1, 1]), &policy);
    balancer.set_ejected([(0, true)]);
    // Of the two that are left, the second is loaded: it is taken only if drawn twice.
    let loads = [0, 0, 7];
    let total = 8000;
    let loaded = (0..total)
        .filter(|random| balancer.pick(&ask(*random), |index| loads[index], |_| false) == Some(2));
    assert!(is_expected(loaded.count() as u64, total, 0.25));
}

#[test]
fn load_spills_over_to_the_next_place_as_endpoints_fail() {
    let places = ["eu/a/1", "eu/a/1", "eu/a/1", "eu/a/1", "us/a/1", "us/a/1"];
    let all: Vec<_> = places.iter().enumerate().map(|(at, it)| endpoint(at, 1, it)).collect();
    let balancer = build(&all, &policy(simple(SimpleLoadBalancer::RoundRobin), None));
    let abroad = || counts(&balancer, 4000)[4..].iter().sum::<u64>();
    assert_eq!(abroad(), 0);
    assert_eq!((balancer.priority(0), balancer.priority(5)), (Some(0), Some(1)));
    // 3 of 4 take 1.4 times their share: still all of it. 2 of 4 take 70%.
    balancer.set_ejected([(0, true)]);
    assert_eq!(abroad(), 0);
    balancer.set_ejected([(1, true)]);
    assert!(is_expected(abroad(), 4000, 0.3));
    balancer.set_ejected([(2, true), (3, true)]);
    assert_eq!(abroad(), 4000);
    balancer.set_ejected((0..4).map(|index| (index, false)));
    assert_eq!(abroad(), 0);
    // A retry elsewhere.
    let elsewhere = Ask { avoid: 1, ..ask(1) };
    let found = balancer.pick(&elsewhere, |_| 0, |_| false);
    assert!(found >= Some(4));
    let nowhere = Ask { avoid: 3, ..ask(1) };
    assert!(balancer.pick(&nowhere, |_| 0, |_| false) < Some(4));
    // All that is near was tried: a retry that may leave does so.
    let is_near = |index: usize| index < 4;
    assert!(balancer.pick(&ask(1), |_| 0, is_near) >= Some(4));
    let stays = Ask { stays: true, ..ask(1) };
    assert!(balancer.pick(&stays, |_| 0, is_near).is_some_and(is_near));
}

#[test]
fn panic_calls_all_and_a_threshold_of_nothing_calls_none() {
    let all = endpoints(&[1, 1, 1, 1]);
    for (threshold, expected) in [(Some(50), vec![100; 4]), (None, vec![0, 0, 0, 400])] {
        let policy = policy(simple(SimpleLoadBalancer::RoundRobin), threshold);
        let balancer = build(&all, &policy);
        balancer.set_ejected([(0, true), (1, true), (2, true)]);
        assert_eq!(balancer.is_panicking(), threshold.is_some());
        assert_eq!(counts(&balancer, 400), expected);
        balancer.set_ejected([(3, true)]);
        assert_eq!(pick(&balancer, 1).is_some(), threshold.is_some());
        assert_eq!(balancer.healthy(), 0);
    }
    let nobody = build(&[], &TrafficPolicy::default());
    assert!(pick(&nobody, 1).is_none() && nobody.is_empty());
}

#[test]
fn without_a_rule_half_may_be_out_and_where_more_are_all_are_called() {
    let balancer = build(&endpoints(&[1, 1, 1, 1]), &TrafficPolicy::default());
    balancer.set_ejected([(0, true), (1, true)]);
    assert_eq!(counts(&balancer, 400), [0, 0, 200, 200]);
    balancer.set_ejected([(2, true), (3, true)]);
    assert_eq!(counts(&balancer, 400), [100; 4], "nobody else is left");
}

#[test]
fn distributed_shares_hold_and_move_only_when_a_place_fails() {
    let shares = LocalityDistribute {
        from: "eu/*".into(),
        to: BTreeMap::from([("eu/*".into(), 80), ("us/*".into(), 20)]),
    };
    let setting = LocalityLbSetting { distribute: vec![shares], ..Default::default() };
    let all = [
        endpoint(0, 1, "eu/a/1"),
        endpoint(1, 1, "us/a/1"),
        endpoint(2, 1, "us/a/1"),
        endpoint(3, 1, "asia/a/1"),
    ];
    for table in [None, Some(HashTable::MAGLEV)] {
        let algorithm = table.map_or(simple(SimpleLoadBalancer::Random), hashing);
        let algorithm = LoadBalancer { locality_lb_setting: Some(setting.clone()), ..algorithm };
        let balancer = build(&all, &policy(algorithm, None));
        let got = counts(&balancer, 20_000);
        for (count, chance) in got.iter().zip([0.8, 0.1, 0.1]) {
            assert!(is_expected(*count, 20_000, chance), "{table:?}: {got:?}");
        }
        assert_eq!((got[3], balancer.priority(3)), (0, None));
        balancer.set_ejected([(0, true)]);
        assert_eq!(counts(&balancer, 1000)[0], 0);
    }
}

#[test]
fn a_new_endpoint_gets_its_share_slowly() {
    let mut all = endpoints(&[1, 1]);
    all[1].ready_since = Some(Duration::from_secs(100));
    for algorithm in [SimpleLoadBalancer::RoundRobin, SimpleLoadBalancer::LeastRequest] {
        let warmup = Some(Warmup::over(10_000));
        let policy = policy(LoadBalancer { warmup, ..simple(algorithm) }, None);
        let balancer = build(&all, &policy);
        for (age, share) in [(0, 0.1), (5, 0.5), (10, 1.0)] {
            let now = Duration::from_secs(100 + age);
            let news = (0..20_000).filter(|random| {
                balancer.pick(&Ask { now, ..ask(*random) }, |_| 0, |_| false) == Some(1)
            });
            let chance = share / (1.0 + share);
            assert!(is_expected(news.count() as u64, 20_000, chance), "{algorithm:?} at {age} s");
        }
    }
}

#[test]
fn a_key_stays_and_only_the_keys_of_an_ejected_endpoint_move() {
    for table in [HashTable::default(), HashTable::MAGLEV] {
        let balancer = build(&endpoints(&[1; 12]), &policy(hashing(table), None));
        let find = |key: u64, random: u64| {
            balancer.pick(&Ask { hash: Some(mix(key)), ..ask(random) }, |_| 0, |_| false).unwrap()
        };
        let before: Vec<usize> = (0..3000).map(|key| find(key, key)).collect();
        assert!((0..3000).all(|key| find(key, 77) == before[key as usize]));
        balancer.set_ejected([(5, true)]);
        let mut heirs = vec![0; 12];
        for key in 0..3000 {
            let now = find(key, key);
            assert!(now != 5 && (now == before[key as usize] || before[key as usize] == 5));
            if before[key as usize] == 5 {
                heirs[now] += 1;
            }
        }
        // Its keys are shared by many.
        assert!(heirs.iter().filter(|count| **count > 0).count() > 8, "{heirs:?}");
        // With next to nobody left, the key still decides.
        balancer.set_ejected((0..10).map(|index| (index, true)));
        assert!((0..3000).all(|key| find(key, 1) >= 10 && find(key, 1) == find(key, 2)));
        balancer.set_ejected((0..10).map(|index| (index, false)));
        assert!((0..3000).all(|key| find(key, key) == before[key as usize]));
        // A request without a key goes anywhere.
        assert!(counts(&balancer, 3000).into_iter().all(|count| count > 100));
    }
}

#[test]
fn passthrough_is_said() {
    let balancer = build(&endpoints(&[1]), &policy(simple(SimpleLoadBalancer::Passthrough), None));
    assert!(balancer.is_passthrough() && !balancer.is_hashing());
    assert!(!build(&[], &TrafficPolicy::default()).is_passthrough());
}

#[derive(Debug, Clone)]
struct Scene {
    endpoints: Vec<(u32, &'static str, bool, bool, bool)>,
    balancer: LoadBalancer,
}

fn scenes() -> impl Strategy<Value = Scene> {
    let place = prop::sample::select(vec!["", "eu/a/1", "eu/b/1", "us/a/1"]);
    let endpoint = (0u32..4, place, any::<bool>(), any::<bool>(), any::<bool>());
    let balancer = prop::sample::select(vec![
        simple(SimpleLoadBalancer::RoundRobin),
        simple(SimpleLoadBalancer::LeastRequest),
        simple(SimpleLoadBalancer::Random),
        hashing(HashTable::default()),
        hashing(HashTable::Maglev { table_size: 251 }),
    ]);
    let endpoints = prop::collection::vec(endpoint, 0..NAMES.len());
    (endpoints, balancer).prop_map(|(endpoints, balancer)| Scene { endpoints, balancer })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A usable endpoint that was not tried is found whenever there is one; a tried one whenever only such are left.
    #[test]
    fn what_can_be_used_is_found(scene in scenes(), seed: u64) {
        let all = scene.endpoints.iter().enumerate().map(|(at, (weight, place, healthy, ..))| {
            Endpoint { is_healthy: *healthy, ..endpoint(at, *weight, place) }
        });
        let balancer = build(&all.collect::<Vec<_>>(), &policy(scene.balancer, None));
        balancer.set_ejected(scene.endpoints.iter().map(|it| it.3).enumerate());
        let is_usable = |index: usize| scene.endpoints[index].2 && !scene.endpoints[index].3;
        let is_tried = |index: usize| scene.endpoints[index].4;
        let usable: Vec<usize> = (0..balancer.len()).filter(|index| is_usable(*index)).collect();
        prop_assert_eq!(balancer.healthy(), usable.len());
        for random in 0..20 {
            let found = balancer.pick(&ask(seed ^ random), |index| index as u32, is_tried);
            prop_assert_eq!(found.is_some(), !usable.is_empty());
            let Some(found) = found else { continue };
            prop_assert!(is_usable(found));
            let is_other_left = usable.iter().any(|index| !is_tried(*index));
            prop_assert!(!is_other_left || !is_tried(found));
        }
    }

    /// Every endpoint with a weight is called sooner or later.
    #[test]
    fn nobody_starves(scene in scenes(), seed: u64) {
        let all = scene.endpoints.iter().enumerate();
        let all = all.map(|(at, (weight, ..))| endpoint(at, weight + 1, "eu/a/1"));
        let balancer = build(&all.collect::<Vec<_>>(), &policy(scene.balancer, None));
        let mut seen = vec![false; balancer.len()];
        for random in 0..2000 {
            if let Some(found) = pick(&balancer, seed ^ random) {
                seen[found] = true;
            }
        }
        prop_assert!(seen.iter().all(|seen| *seen), "{:?}", seen);
    }
}

/// Endpoints that speak with each answer, called one by one; the counts of calls.
fn learn(balancer: &Balancer, count: usize, calls: u64, tell: impl Fn(usize) -> Told) -> Vec<u32> {
    let mut counts = vec![0; count];
    for call in 0..calls {
        let now = Duration::from_millis(call);
        let random = mix(call);
        let ask = Ask { random, now, ..Ask::default() };
        let picked = balancer.pick(&ask, |_| 0, |_| false).unwrap();
        counts[picked] += 1;
        balancer.tell(picked, &tell(picked), now, mix(random));
    }
    counts
}

fn told(in_flight: f32, millis: u64) -> Told {
    let latency = Duration::from_millis(millis);
    let report = Report { in_flight, latency, answers_probes: false };
    Told { took: latency, is_failure: false, report: Some(report) }
}

#[test]
fn learned_spares_what_says_that_it_is_busy_or_slow() {
    let balancer = build(&endpoints(&[1; 8]), &policy(simple(SimpleLoadBalancer::Learned), None));
    let busy = learn(&balancer, 8, 4000, |index| told(if index == 3 { 30.0 } else { 1.0 }, 5));
    let others = busy.iter().enumerate().filter(|(index, _)| *index != 3);
    assert!(others.clone().all(|(_, count)| *count > 250), "nobody else is: {busy:?}");
    assert!(busy[3] < 200, "{busy:?}");
    let balancer = build(&endpoints(&[1; 8]), &policy(simple(SimpleLoadBalancer::Learned), None));
    let slow = learn(&balancer, 8, 4000, |index| told(1.0, if index == 3 { 50 } else { 5 }));
    assert!(slow[3] < 250, "{slow:?}");
}

#[test]
fn learned_spreads_what_takes_less_than_a_millisecond() {
    let balancer = build(&endpoints(&[1; 4]), &policy(simple(SimpleLoadBalancer::Learned), None));
    let took = [0.05, 0.2, 0.9, 1.9];
    let counts = learn(&balancer, 4, 4000, |index| {
        let mut told = told(1.0, 0);
        let latency = Duration::from_secs_f64(took[index] / 1000.0);
        told.report.as_mut().unwrap().latency = latency;
        told
    });
    assert!(counts.iter().all(|count| *count > 700), "{counts:?}");
}

#[test]
fn learned_shares_by_weight() {
    let weights = [1, 1, 1, 1, 3, 3, 3, 3];
    let balancer = build(&endpoints(&weights), &policy(simple(SimpleLoadBalancer::Learned), None));
    // As many under way as the share would be if it were exact.
    let counts = learn(&balancer, 8, 4000, |_| told(6.0, 5));
    let (light, heavy): (u32, u32) = (counts[..4].iter().sum(), counts[4..].iter().sum());
    assert!(heavy > 2 * light, "{counts:?}");
}

#[test]
fn learned_is_no_sinkhole_for_what_fails_fast() {
    let balancer = build(&endpoints(&[1; 8]), &policy(simple(SimpleLoadBalancer::Learned), None));
    let failing = |index: usize| match index {
        3 => Told { is_failure: true, ..told(0.0, 0) },
        _ => told(5.0, 20),
    };
    let counts = learn(&balancer, 8, 8000, failing);
    assert!(counts[3] < 60, "six at first, then one a second: {counts:?}");
    // Where all fail, all are called.
    let balancer = build(&endpoints(&[1; 8]), &policy(simple(SimpleLoadBalancer::Learned), None));
    let counts = learn(&balancer, 8, 8000, |_| Told { is_failure: true, ..told(1.0, 1) });
    assert!(counts.iter().all(|count| *count > 400), "{counts:?}");
}

#[test]
fn peak_ewma_goes_by_latency_and_load() {
    let balancer = build(&endpoints(&[1; 4]), &policy(simple(SimpleLoadBalancer::PeakEwma), None));
    let counts = learn(&balancer, 4, 4000, |index| told(0.0, if index == 0 { 80 } else { 8 }));
    assert!(counts[0] < 40, "until it has answered: {counts:?}");
    let random =
        |call: u64| Ask { random: mix(call), now: Duration::from_secs(4), ..Ask::default() };
    let load = |index: usize| if index == 1 { 40 } else { 0 };
    let busy = (0..1000).filter(|call| balancer.pick(&random(*call), load, |_| false) == Some(1));
    assert!(busy.count() < 150);
}

proptest! {
    /// Whatever endpoints say and however calls end, one that may be called is picked, and one that was tried only where
    /// there is no other.
    #[test]
    fn learning_never_picks_what_must_not_be_called(
        ejected in prop::collection::vec(any::<bool>(), 1..12),
        steps in prop::collection::vec((0..12usize, any::<bool>(), prop::option::of(any::<f32>()), 0..4000u64), 0..200),
        is_learned: bool,
        seed: u64,
    ) {
        let count = ejected.len();
        let algorithm = match is_learned {
            true => SimpleLoadBalancer::Learned,
            false => SimpleLoadBalancer::PeakEwma,
        };
        let balancer = build(&endpoints(&vec![1; count]), &policy(simple(algorithm), Some(0)));
        balancer.set_ejected(ejected.iter().copied().enumerate());
        let mut now = Duration::ZERO;
        for (number, (index, is_failure, in_flight, pause)) in (0u64..).zip(steps) {
            now += Duration::from_millis(pause);
            let report = |in_flight| Report { in_flight, latency: now, answers_probes: false };
            let report = in_flight.map(report);
            let told = Told { took: now, is_failure, report };
            balancer.tell(index % count, &told, now, mix(seed ^ number));
            let ask = Ask { random: mix(seed.wrapping_add(number)), now, ..Ask::default() };
            let tried = index % count;
            let picked = balancer.pick(&ask, |_| 0, |it| it == tried);
            match picked {
                Some(picked) => {
                    prop_assert!(ejected.iter().all(|it| *it) || !ejected[picked]);
                    let others = (0..count).filter(|it| !ejected[*it] && *it != tried).count();
                    prop_assert!(picked != tried || others == 0);
                }
                None => prop_assert!(ejected.iter().all(|it| *it)),
            }
        }
    }
}
