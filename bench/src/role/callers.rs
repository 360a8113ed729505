//! Many callers with one schedule: requests come when they come (Poisson's process, or evenly), however many are still
//! unanswered, each by one of the callers' proxies.

mod arrivals;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};

use self::arrivals::Arrivals;
use super::load::connection::connect;
use super::load::http1::{Http1, request};
use crate::error::BenchError;

/// What it prints when the first request is due.
pub const BEGUN: &str = "begun";
/// More requests than these are not open at once: those beyond are counted as failed.
const MOST_OPEN: usize = 20_000;
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Latencies are told apart from a microsecond to a minute.
const LATENCY_US: (u64, u64) = (1, 60_000_000);

/// The callers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The callers' proxies
    #[arg(long, required = true)]
    target: Vec<SocketAddr>,
    /// The host that requests name
    #[arg(long)]
    host: String,
    /// Requests a second, of all callers together
    #[arg(long)]
    rate: f64,
    /// One after the other at the same distance, each by the next caller
    #[arg(long)]
    even: bool,
    /// Not measured
    #[arg(long)]
    warm_up_ms: u64,
    /// Measured: requests that are due in this time, whenever they are answered
    #[arg(long)]
    window_ms: u64,
    /// Answers within this time are counted
    #[arg(long)]
    within_ms: u64,
    /// Of arrivals
    #[arg(long)]
    seed: u64,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The callers' proxies.
    pub targets: Vec<SocketAddr>,
    /// The host that requests name.
    pub host: String,
    /// Requests a second, of all callers together.
    pub rate: f64,
    /// One after the other at the same distance; else Poisson's process.
    pub is_even: bool,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub window: Duration,
    /// Answers within this time are counted.
    pub within: Duration,
    /// Of arrivals.
    pub seed: u64,
}

impl Ask {
    /// As arguments of the child.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["callers".to_owned(), format!("--host={}", self.host)];
        words.extend(self.targets.iter().map(|it| format!("--target={it}")));
        words.extend(self.is_even.then(|| "--even".to_owned()));
        words.push(format!("--rate={}", self.rate));
        words.push(format!("--warm-up-ms={}", self.warm_up.as_millis()));
        words.push(format!("--window-ms={}", self.window.as_millis()));
        words.push(format!("--within-ms={}", self.within.as_millis()));
        words.push(format!("--seed={}", self.seed));
        words
    }
}

/// What the callers saw of the requests that were due in the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// How many there were.
    pub requests: u64,
    /// Those that were not answered with 200.
    pub errors: u64,
    /// The first error's reason.
    pub error: Option<String>,
    /// Those that were answered with 200 in the time asked for.
    pub within: u64,
    /// Milliseconds from when a request was due to its end, failures included.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Milliseconds.
    pub p999: f64,
}

/// Calls, and prints what was seen.
pub fn run(args: &Args) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    LocalSet::new().block_on(&runtime, async {
        let callers = Rc::new(Callers::new(args));
        println!("{BEGUN}");
        call(args, &callers).await;
        let seen = callers.window.borrow().seen();
        println!("{}", serde_json::to_string(&seen).unwrap_or_default());
        Ok(())
    })
}

/// Sends every request when it is due, and waits for what became of it.
async fn call(args: &Args, callers: &Rc<Callers>) {
    let mut arrivals = Arrivals::new(args.rate, args.even, args.seed);
    let mut choice = StdRng::seed_from_u64(args.seed ^ u64::MAX);
    let warm_up = Duration::from_millis(args.warm_up_ms);
    let end = warm_up + Duration::from_millis(args.window_ms);
    let began = Instant::now();
    let mut open = JoinSet::new();
    let mut turn = 0;
    loop {
        let at = arrivals.next();
        if at >= end {
            break;
        }
        // To the millisecond, for all alike; latency counts from the very moment.
        tokio::time::sleep_until((began + at).into()).await;
        while open.try_join_next().is_some() {}
        turn += 1;
        let caller = match args.even {
            true => turn % args.target.len(),
            false => choice.random_range(0..args.target.len()),
        };
        let (counts, callers) = (at >= warm_up, callers.clone());
        if open.len() >= MOST_OPEN {
            callers.note(counts, Duration::ZERO, Err("too many requests are open".to_owned()));
            continue;
        }
        open.spawn_local(async move {
            let outcome = tokio::time::timeout(PATIENCE, callers.exchange(caller)).await;
            let outcome = match outcome {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            };
            callers.note(counts, (began + at).elapsed(), outcome);
        });
    }
    while open.join_next().await.is_some() {}
}

#[derive(Debug)]
struct Callers {
    request: Vec<u8>,
    targets: Vec<SocketAddr>,
    /// Connections that idle, by caller.
    idle: Vec<RefCell<Vec<Http1>>>,
    window: RefCell<Window>,
}

impl Callers {
    fn new(args: &Args) -> Callers {
        let within = Duration::from_millis(args.within_ms);
        Callers {
            request: request(&args.host, false),
            targets: args.target.clone(),
            idle: args.target.iter().map(|_| RefCell::default()).collect(),
            window: RefCell::new(Window::new(within)),
        }
    }

    async fn exchange(&self, caller: usize) -> std::io::Result<()> {
        let idle = self.idle[caller].borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Http1::new(connect(self.targets[caller]).await?),
        };
        let answer = connection.exchange(&self.request).await?;
        if !answer.close {
            self.idle[caller].borrow_mut().push(connection);
        }
        Ok(())
    }

    fn note(&self, counts: bool, took: Duration, outcome: Result<(), String>) {
        if counts {
            self.window.borrow_mut().note(took, outcome);
        }
    }
}

#[derive(Debug)]
struct Window {
    within: Duration,
    latency: Histogram<u64>,
    seen: Seen,
}

impl Window {
    fn new(within: Duration) -> Window {
        // The bounds are good: the lower one is above zero, and half of the upper.
        let latency = Histogram::new_with_bounds(LATENCY_US.0, LATENCY_US.1, 3)
            .unwrap_or_else(|_| unreachable!("constant bounds"));
        Window { within, latency, seen: Seen::default() }
    }

    fn note(&mut self, took: Duration, outcome: Result<(), String>) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(microseconds.clamp(LATENCY_US.0, LATENCY_US.1));
        self.seen.requests += 1;
        match outcome {
            Ok(()) => self.seen.within += u64::from(took <= self.within),
            Err(reason) => {
                self.seen.errors += 1;
                self.seen.error.get_or_insert(reason);
            }
        }
    }

    fn seen(&self) -> Seen {
        let milliseconds = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        Seen {
            p50: milliseconds(0.5),
            p99: milliseconds(0.99),
            p999: milliseconds(0.999),
            ..self.seen.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_latency_and_is_never_within_the_time() {
        let mut window = Window::new(Duration::from_secs(1));
        window.note(Duration::from_millis(10), Ok(()));
        window.note(Duration::from_millis(1000), Ok(()));
        window.note(Duration::from_millis(1001), Ok(()));
        window.note(Duration::from_millis(5), Err("first".into()));
        window.note(Duration::from_secs(5), Err("second".into()));
        let seen = window.seen();
        assert_eq!((seen.requests, seen.errors, seen.within), (5, 2, 2));
        assert_eq!(seen.error.as_deref(), Some("first"));
        assert!((seen.p999 - 5000.0).abs() < 5.0, "{seen:?}");
    }

    #[test]
    fn arguments_are_read_as_they_were_written() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let ask = Ask {
            targets: vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()],
            host: "bench".into(),
            rate: 0.5,
            is_even: true,
            warm_up: Duration::from_millis(70),
            window: Duration::from_secs(1),
            within: Duration::from_secs(2),
            seed: 3,
        };
        let Line { args } = clap::Parser::parse_from(ask.words());
        assert_eq!((args.target, args.host), (ask.targets, ask.host));
        assert_eq!((args.warm_up_ms, args.window_ms, args.within_ms), (70, 1000, 2000));
        assert_eq!((args.rate, args.even, args.seed), (0.5, true, 3));
    }
}
