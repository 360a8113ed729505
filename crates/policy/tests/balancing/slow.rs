//! One of eleven endpoints is slow for a time, as in the experiment that Linkerd's authors published in 2016 ("Beyond Round
//! Robin: Load Balancing for Latency"): 1,000 requests a second for a minute, 167 ms each, two seconds at one endpoint
//! from second 15 to second 45. An endpoint takes any number of requests at once. What counts is the share answered within a second.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use meltemi_policy::balance::{Ask, Balancer, Report, Told, hash};
use meltemi_policy::destination::rule::SimpleLoadBalancer;

const ENDPOINTS: usize = 11;
const GAP: Duration = Duration::from_millis(1);
const USUAL: Duration = Duration::from_millis(167);
const SLOW: Duration = Duration::from_secs(2);
const SLOW_FROM: Duration = Duration::from_secs(15);
const SLOW_UNTIL: Duration = Duration::from_secs(45);
const END: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(1);

/// Requests answered too late, of all.
#[derive(Debug, Clone, Copy)]
pub struct Late {
    pub count: u32,
    pub all: u32,
}

impl Late {
    /// The share answered in time.
    pub fn share_within(self) -> f64 {
        1.0 - f64::from(self.count) / f64::from(self.all)
    }
}

struct Caller {
    balancer: Balancer,
    in_flight: Vec<Cell<u32>>,
}

/// Runs it with so many callers that take turns.
pub fn run(algorithm: SimpleLoadBalancer, callers: usize, seed: u64) -> Late {
    let names: Vec<String> = (0..ENDPOINTS).map(|it| format!("10.0.0.{it}:80")).collect();
    let caller = |number| Caller {
        balancer: super::world::balancer(algorithm, &names, seed ^ number),
        in_flight: vec![Cell::new(0); ENDPOINTS],
    };
    let callers: Vec<Caller> = (0..callers as u64).map(caller).collect();
    let mut under_way = [0u32; ENDPOINTS];
    let mut answers = BinaryHeap::new();
    let mut late = Late { count: 0, all: 0 };
    let random = |number: u32| hash(&(seed ^ u64::from(number) << 8).to_le_bytes());
    for number in 0..(END.as_millis() / GAP.as_millis()) as u32 {
        let now = GAP * number;
        while let Some(Reverse((at, endpoint, caller, called))) = answers.peek().copied()
            && at <= now
        {
            answers.pop();
            let caller: &Caller = &callers[caller];
            let (in_flight, latency) = (under_way[endpoint] as f32, at - called);
            let report = Report { in_flight, latency, answers_probes: false };
            let told = Told { took: at - called, is_failure: false, report: Some(report) };
            caller.balancer.tell(endpoint, &told, at, random(number) ^ 1);
            under_way[endpoint] -= 1;
            caller.in_flight[endpoint].set(caller.in_flight[endpoint].get() - 1);
        }
        let at = number as usize % callers.len();
        let caller = &callers[at];
        let ask = Ask { random: random(number), now, ..Ask::default() };
        let load = |index: usize| caller.in_flight[index].get();
        let Some(endpoint) = caller.balancer.pick(&ask, load, |_| false) else { continue };
        let is_slow = endpoint == 0 && (SLOW_FROM..SLOW_UNTIL).contains(&now);
        let took = if is_slow { SLOW } else { USUAL };
        under_way[endpoint] += 1;
        caller.in_flight[endpoint].set(load(endpoint) + 1);
        answers.push(Reverse((now + took, endpoint, at, now)));
        late.all += 1;
        late.count += u32::from(took > WITHIN);
    }
    late
}
