//! What a choice among endpoints costs, by algorithm and number of endpoints; fails if one costs a microsecond or more.
//!
//! `cargo bench -p meltemi-policy --bench pick`

#![allow(clippy::disallowed_methods)] // It measures time.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_policy::balance::{Ask, Balancer, Client, Endpoint, Report, Told, hash};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::{
    ConsistentHash, HashTable, LoadBalancer, OutlierDetection, SimpleLoadBalancer, Warmup,
};

/// No choice may cost so much.
const BOUND: Duration = Duration::from_micros(1);
const SIZES: [usize; 3] = [3, 100, 10_000];

fn main() -> ExitCode {
    // A build for tests only shows that it runs.
    let choices = if cfg!(debug_assertions) { 100 } else { 1_000_000 };
    println!(
        "{:<24} {:>9} {:>8} {:>11} {:>11} {:>11}",
        "algorithm", "endpoints", "ejected", "a pick", "build", "ejection"
    );
    let mut is_fast = true;
    for (name, balancer, is_weighted) in algorithms() {
        for count in SIZES {
            for ejected in [0, count / 3] {
                let took = measure(name, &balancer, is_weighted, count, ejected, choices);
                is_fast &= cfg!(debug_assertions) || took < BOUND;
            }
        }
    }
    if is_fast { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn algorithms() -> Vec<(&'static str, LoadBalancer, bool)> {
    let simple = |simple| LoadBalancer { simple: Some(simple), ..Default::default() };
    let hashing = |table| LoadBalancer {
        consistent_hash: Some(ConsistentHash { key: None, table }),
        ..Default::default()
    };
    let warmup = |balancer| LoadBalancer { warmup: Some(Warmup::over(100_000)), ..balancer };
    vec![
        ("round robin", simple(SimpleLoadBalancer::RoundRobin), false),
        ("round robin, weighted", simple(SimpleLoadBalancer::RoundRobin), true),
        ("round robin, warming", warmup(simple(SimpleLoadBalancer::RoundRobin)), false),
        ("least request", simple(SimpleLoadBalancer::LeastRequest), false),
        ("least request, weighted", simple(SimpleLoadBalancer::LeastRequest), true),
        ("least request, warming", warmup(simple(SimpleLoadBalancer::LeastRequest)), false),
        ("peak EWMA", simple(SimpleLoadBalancer::PeakEwma), false),
        ("learned", simple(SimpleLoadBalancer::Learned), false),
        ("learned, weighted", simple(SimpleLoadBalancer::Learned), true),
        ("random, weighted", simple(SimpleLoadBalancer::Random), true),
        ("ring hash", hashing(HashTable::default()), false),
        ("maglev", hashing(HashTable::MAGLEV), false),
    ]
}

/// Prints a line and gives the time of one choice.
fn measure(
    name: &str,
    load_balancer: &LoadBalancer,
    is_weighted: bool,
    count: usize,
    ejected: usize,
    choices: u64,
) -> Duration {
    let names: Vec<String> = (0..count).map(|number| format!("10.0.{number}.1:8080")).collect();
    let labels = BTreeMap::new();
    let endpoints: Vec<Endpoint<'_>> = (0u32..)
        .zip(&names)
        .map(|(number, name)| Endpoint {
            name,
            weight: if is_weighted { 1 + number % 7 } else { 1 },
            locality: "eu/a/1",
            network: "",
            cluster: "",
            labels: &labels,
            is_healthy: true,
            is_ejected: false,
            ready_since: Some(Duration::ZERO),
            observed: None,
        })
        .collect();
    let policy = TrafficPolicy {
        load_balancer: Some(load_balancer.clone()),
        outlier_detection: Some(OutlierDetection::default()),
        ..Default::default()
    };
    let client = Client { locality: "eu/a/1", network: "", cluster: "", labels: &labels };
    let start = Instant::now();
    let balancer = Balancer::new(&endpoints, &policy, &client, Arc::default());
    let build = start.elapsed();
    let start = Instant::now();
    balancer.set_ejected((0..ejected).map(|index| (index * 3, true)));
    let ejection = start.elapsed();
    let loads: Vec<u32> = (0..count as u32).map(|number| number % 5).collect();
    // All have spoken, as under a steady load.
    let (now, report) =
        (Duration::from_secs(30), Report { in_flight: 3.0, latency: BOUND, answers_probes: true });
    let told = Told { took: Duration::from_millis(3), is_failure: false, report: Some(report) };
    (0..count).for_each(|index| balancer.tell(index, &told, now, hash(&index.to_le_bytes())));
    let start = Instant::now();
    for number in 0..choices {
        let random = hash(&number.to_le_bytes());
        let ask =
            Ask { random, now: Duration::from_secs(30), hash: Some(random), ..Ask::default() };
        black_box(balancer.pick(&ask, |index| loads[index], |_| false));
    }
    let took = start.elapsed() / choices as u32;
    println!("{name:<24} {count:>9} {ejected:>8} {took:>11.1?} {build:>11.1?} {ejection:>11.1?}");
    took
}
