//! Callers, servers and antagonists in virtual time: everything that happens follows from the seed.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use meltemi_policy::balance::{Ask, Balancer, Client, Endpoint, Report, Told, hash};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::{LoadBalancer, SimpleLoadBalancer};

use super::server::Server;

/// Cores that a server may count on. Load is in units of what all servers' allocations do together.
const ALLOCATION: f64 = 5.0;
/// What it has while nobody else wants it, and while an antagonist does, in allocations.
const FREE: f64 = 2.1;
const THROTTLED: f64 = 0.85;
/// How much of the time an antagonist is there, and how long it stays.
const ANTAGONISTS: f64 = 0.3;
const STAY: Duration = Duration::from_secs(10);
/// The work of a request: of a normal distribution of this mean and deviation, cut off at 0.
const WORK: f64 = 0.080;
/// What a message takes from a proxy to another.
const WAY: Duration = Duration::from_micros(250);
/// Callers wait for no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What comes before is not counted.
const WARM: Duration = Duration::from_secs(10);

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub algorithm: SimpleLoadBalancer,
    pub servers: usize,
    pub callers: usize,
    /// In parts of all servers' allocations.
    pub load: f64,
    /// Whether antagonists come and go; without them every server has its allocation, always.
    pub is_uneven: bool,
    /// How long, after the time that is not counted.
    pub length: Duration,
    pub seed: u64,
    /// Whether callers, whatever their algorithm, know at once and exactly what every server has to do and to give, and go by
    /// that: what no policy can do, and the best that one could hope for.
    pub is_known: bool,
    /// Whether callers' proxies ask servers for their load where calls tell too little of it.
    pub probes: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Sorted, seconds.
    took: Vec<f32>,
    pub errors: usize,
    /// Probes, after the time that is not counted.
    pub asked: usize,
}

impl Outcome {
    pub fn quantile(&self, quantile: f64) -> f32 {
        let at = (self.took.len() as f64 * quantile) as usize;
        self.took[at.min(self.took.len() - 1)]
    }

    pub fn calls(&self) -> usize {
        self.took.len()
    }

    pub fn error_share(&self) -> f64 {
        self.errors as f64 / self.took.len() as f64
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A caller wants something.
    Call,
    /// It has reached the server.
    Arrive {
        server: usize,
        caller: usize,
        id: u64,
        work: Duration,
        called: Duration,
    },
    /// The server may be done with one.
    Done {
        server: usize,
        version: u64,
    },
    Answer {
        server: usize,
        caller: usize,
        called: Duration,
        in_flight: u32,
        latency: Duration,
    },
    /// Nobody waits for it any longer.
    Late {
        server: usize,
        caller: usize,
        id: u64,
        called: Duration,
    },
    /// A caller's proxy asks a server for its load.
    Asked {
        server: usize,
        caller: usize,
    },
    /// It hears of it.
    Heard {
        server: usize,
        caller: usize,
        in_flight: u32,
        latency: Duration,
    },
    /// An antagonist comes or goes.
    Change {
        server: usize,
    },
}

struct Caller {
    balancer: Balancer,
    in_flight: Vec<Cell<u32>>,
}

/// A row of numbers that look random.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, row: u64) -> Dice {
        Dice(hash(&(seed | row << 56).to_le_bytes()))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        hash(&self.0.to_le_bytes())
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn work(&mut self) -> Duration {
        loop {
            let (a, b) = (self.unit().max(1e-12), self.unit());
            let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
            let work = WORK * (1.0 + normal);
            if work > 0.0 {
                return Duration::from_secs_f64(work);
            }
        }
    }
}

pub struct World {
    trial: Trial,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sequence: u64,
    /// Numbers for what callers want and when, for antagonists, and for what balancers do: each of a row of its own, so that the
    /// world is the same whatever is chosen.
    calls: Dice,
    antagonists: Dice,
    choices: Dice,
    /// For whom probes go to.
    asked: Dice,
    servers: Vec<Server>,
    /// Requests on their way to each.
    sent: Vec<usize>,
    callers: Vec<Caller>,
    called: BTreeMap<u64, Duration>,
    outcome: Outcome,
}

/// Runs a trial.
pub fn run(trial: Trial) -> Outcome {
    let mut world = World::new(trial);
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        if now > WARM + trial.length {
            break;
        }
        world.now = now;
        world.happen(event);
    }
    world.outcome.took.sort_unstable_by(f32::total_cmp);
    world.outcome
}

impl World {
    fn new(trial: Trial) -> World {
        let names: Vec<String> = (0..trial.servers).map(|it| format!("10.0.0.{it}:80")).collect();
        let mut world = World {
            trial,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            sequence: 0,
            calls: Dice::new(trial.seed, 0),
            antagonists: Dice::new(trial.seed, 1),
            choices: Dice::new(trial.seed, 2),
            asked: Dice::new(trial.seed, 3),
            servers: (0..trial.servers).map(|_| Server::new(ALLOCATION)).collect(),
            sent: vec![0; trial.servers],
            callers: Vec::new(),
            called: BTreeMap::new(),
            outcome: Outcome { took: Vec::new(), errors: 0, asked: 0 },
        };
        world.callers = (0..trial.callers).map(|it| caller(trial, &names, it as u64)).collect();
        world.later(Duration::ZERO, Event::Call);
        if trial.is_uneven {
            for server in 0..trial.servers {
                // In the middle of a stay, so that not all change at once.
                let is_there = world.antagonists.unit() < ANTAGONISTS;
                world.set(server, is_there);
                let after = STAY.mul_f64(world.antagonists.unit());
                world.later(after, Event::Change { server });
            }
        }
        world
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + after, self.sequence, event)));
    }

    fn set(&mut self, server: usize, is_throttled: bool) {
        let cores = if is_throttled { THROTTLED } else { FREE };
        self.servers[server].set_cores(ALLOCATION * cores, self.now);
        self.expect(server);
    }

    fn expect(&mut self, server: usize) {
        let (next, version) = (self.servers[server].next(), self.servers[server].version);
        if let Some(next) = next {
            self.later(next - self.now, Event::Done { server, version });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call => self.call(),
            Event::Arrive { server, caller, id, work, called } => {
                self.sent[server] -= 1;
                self.servers[server].take(id, caller, work, self.now);
                self.called.insert(id, called);
                self.later(PATIENCE, Event::Late { server, caller, id, called });
                self.expect(server);
            }
            Event::Done { server, version } if self.servers[server].version == version => {
                if let Some((job, report)) = self.servers[server].finish(self.now) {
                    let called = self.called.remove(&job.id).unwrap_or_default();
                    let (in_flight, latency) = (report.in_flight as u32, report.latency);
                    let caller = job.caller;
                    self.later(WAY, Event::Answer { server, caller, called, in_flight, latency });
                }
                self.expect(server);
            }
            Event::Done { .. } => {}
            Event::Answer { server, caller, called, in_flight, latency } => {
                let report = Report { in_flight: in_flight as f32, latency, answers_probes: true };
                self.end(server, caller, called, Some(report));
            }
            Event::Late { server, caller, id, called } => {
                if self.called.remove(&id).is_some() && self.servers[server].cancel(id, self.now) {
                    self.expect(server);
                    self.end(server, caller, called, None);
                }
            }
            Event::Asked { server, caller } => {
                let report = self.servers[server].report(self.now);
                let (in_flight, latency) = (report.in_flight as u32, report.latency);
                self.later(WAY, Event::Heard { server, caller, in_flight, latency });
            }
            Event::Heard { server, caller, in_flight, latency } => {
                let report = Report { in_flight: in_flight as f32, latency, answers_probes: true };
                self.callers[caller].balancer.hear(server, report, self.now);
            }
            Event::Change { server } => {
                let is_there = self.antagonists.unit() < ANTAGONISTS;
                self.set(server, is_there);
                self.later(STAY, Event::Change { server });
            }
        }
    }

    fn call(&mut self) {
        let trial = self.trial;
        // The mean of a normal distribution that is cut off at 0 lies above its middle.
        let mean = WORK * 1.2876;
        let rate = trial.load * ALLOCATION * trial.servers as f64 / mean;
        let pause = -self.calls.unit().max(1e-12).ln() / rate;
        self.later(Duration::from_secs_f64(pause), Event::Call);
        let number = (self.calls.next() % trial.callers as u64) as usize;
        let (random, work) = (self.choices.next(), self.calls.work());
        let known = trial.is_known.then(|| self.emptiest(random));
        let caller = &self.callers[number];
        let ask = Ask { random, now: self.now, ..Ask::default() };
        let load = |index: usize| caller.in_flight[index].get();
        let picked = known.or_else(|| caller.balancer.pick(&ask, load, |_| false));
        let Some(server) = picked else { return };
        caller.in_flight[server].set(load(server) + 1);
        self.sent[server] += 1;
        let (id, called) = (self.sequence, self.now);
        self.later(WAY, Event::Arrive { server, caller: number, id, work, called });
        if trial.probes {
            self.ask(number, server);
        }
    }

    /// The caller's proxy asks servers for their load, beside a call to another one, if calls tell it too little.
    fn ask(&mut self, caller: usize, called: usize) {
        loop {
            let (random, now) = (self.asked.next(), self.now);
            let balancer = &self.callers[caller].balancer;
            let Some(server) = balancer.probe(now, random, |it| it != called) else { return };
            self.later(WAY, Event::Asked { server, caller });
            self.outcome.asked += usize::from(now >= WARM);
        }
    }

    /// The server where one more would have the most of a core; of several that are alike any.
    fn emptiest(&self, random: u64) -> usize {
        let count = self.servers.len();
        let from = random as usize % count;
        let slowness = |at: &usize| self.servers[*at].slowness(self.sent[*at] + 1);
        let each = (from..from + count).map(|at| at % count);
        each.min_by(|a, b| slowness(a).total_cmp(&slowness(b))).unwrap_or(from)
    }

    fn end(&mut self, server: usize, caller: usize, called: Duration, report: Option<Report>) {
        let (took, random) = (self.now - called, self.choices.next());
        let caller = &self.callers[caller];
        let own = caller.in_flight[server].get();
        let told = Told { took, is_failure: report.is_none(), report };
        caller.balancer.tell(server, &told, self.now, random);
        caller.in_flight[server].set(own - 1);
        if called >= WARM {
            self.outcome.took.push(took.as_secs_f32());
            self.outcome.errors += usize::from(report.is_none());
        }
    }
}

fn caller(trial: Trial, names: &[String], number: u64) -> Caller {
    let balancer = balancer(trial.algorithm, names, trial.seed ^ number);
    Caller { balancer, in_flight: vec![Cell::new(0); trial.servers] }
}

/// A caller's balancer over endpoints that are all alike; `number` says where its turn begins.
pub fn balancer(algorithm: SimpleLoadBalancer, names: &[String], number: u64) -> Balancer {
    let labels = BTreeMap::new();
    let endpoint = |name| Endpoint {
        name,
        weight: 1,
        locality: "",
        network: "",
        cluster: "",
        labels: &labels,
        is_healthy: true,
        is_ejected: false,
        ready_since: None,
        observed: None,
    };
    let endpoints: Vec<Endpoint<'_>> = names.iter().map(|name| endpoint(name.as_str())).collect();
    let load_balancer = LoadBalancer { simple: Some(algorithm), ..LoadBalancer::default() };
    let policy = TrafficPolicy { load_balancer: Some(load_balancer), ..TrafficPolicy::default() };
    let client = Client { locality: "", network: "", cluster: "", labels: &labels };
    // Each begins elsewhere, as sidecars do.
    let turn = hash(&number.to_le_bytes()) % names.len() as u64;
    Balancer::new(&endpoints, &policy, &client, Arc::new(turn.into()))
}
