//! The load generator: as many requests as pass (closed loop), or so many a second whatever the answers do (open loop),
//! where latency counts from the moment at which a request was due.

pub mod connection;
mod hold;
pub mod http1;
pub mod http2;
mod pace;
pub mod tcp;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::{LocalSet, spawn_local};

use self::pace::Pace;
use crate::error::BenchError;
use crate::scenario::Wire;

/// What it prints when the measured window begins.
pub const MEASURING: &str = "measuring";
/// Latencies are told apart from a microsecond to a minute.
const LATENCY_NS: (u64, u64) = (1000, 60_000_000_000);

/// The load.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where connections go, in turn
    #[arg(long, required = true)]
    target: Vec<SocketAddr>,
    /// The host that requests name
    #[arg(long)]
    host: String,
    /// What is spoken
    #[arg(long, value_enum)]
    wire: Wire,
    /// Connections
    #[arg(long)]
    connections: usize,
    /// Streams on each HTTP/2 connection
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// Requests a second; as many as pass if not given
    #[arg(long)]
    rate: Option<u32>,
    /// Not measured
    #[arg(long, default_value_t = 0)]
    warm_up_ms: u64,
    /// Measured
    #[arg(long, default_value_t = 0)]
    window_ms: u64,
    /// One request on each connection, then nothing more
    #[arg(long)]
    hold: bool,
}

/// What a window saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Requests that were answered as they should be.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Requests that were not, and connections that failed.
    pub errors: u64,
    /// The first error's reason.
    pub error: Option<String>,
    /// Length of the window, seconds.
    pub seconds: f64,
    /// Latency, microseconds.
    pub p50: f64,
    /// Latency, microseconds.
    pub p99: f64,
    /// Latency, microseconds.
    pub p999: f64,
}

/// What the parent asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where connections go, in turn.
    pub targets: Vec<SocketAddr>,
    /// The host that requests name.
    pub host: String,
    /// What is spoken.
    pub wire: Wire,
    /// Connections.
    pub connections: usize,
    /// Streams on each.
    pub streams: usize,
}

impl Ask {
    fn words(&self) -> Vec<String> {
        let mut words = vec!["load".to_owned(), format!("--host={}", self.host)];
        words.extend(self.targets.iter().map(|it| format!("--target={it}")));
        words.push(format!("--wire={}", self.wire.word()));
        words.push(format!("--connections={}", self.connections));
        words.push(format!("--streams={}", self.streams));
        words
    }

    /// Arguments of the child that loads for a window, at a rate or as fast as it goes.
    pub fn window(&self, rate: Option<u32>, warm_up: Duration, window: Duration) -> Vec<String> {
        let mut words = self.words();
        words.extend(rate.map(|rate| format!("--rate={rate}")));
        words.push(format!("--warm-up-ms={}", warm_up.as_millis()));
        words.push(format!("--window-ms={}", window.as_millis()));
        words
    }

    /// Arguments of the child that opens connections and lets them idle until it is ended.
    pub fn hold(&self) -> Vec<String> {
        let mut words = self.words();
        words.push("--hold".to_owned());
        words
    }
}

/// Loads, and prints what was seen; or holds connections until it is ended.
pub fn run(args: &Args) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    LocalSet::new().block_on(&runtime, async {
        if args.hold {
            return hold::run(args).await;
        }
        let pace = match args.rate {
            Some(rate) => Pace::open(rate).map_err(BenchError::system("make a timer"))?,
            None => Pace::closed(),
        };
        let load = Rc::new(Load::new(pace));
        for number in 0..args.connections {
            let target = args.target[number % args.target.len()];
            spawn_local(connection::keep(load.clone(), args.clone(), target));
        }
        tokio::time::sleep(Duration::from_millis(args.warm_up_ms)).await;
        load.on.set(true);
        let began = Instant::now();
        println!("{MEASURING}");
        tokio::time::sleep(Duration::from_millis(args.window_ms)).await;
        load.on.set(false);
        let seconds = began.elapsed().as_secs_f64();
        let seen = load.window.borrow().seen(seconds);
        println!("{}", serde_json::to_string(&seen).unwrap_or_default());
        Ok(())
    })
}

/// What the connections share.
#[derive(Debug)]
struct Load {
    pace: Pace,
    window: RefCell<Window>,
    on: Cell<bool>,
    /// Which target is next, where all connections take them in turn.
    turn: Cell<usize>,
}

impl Load {
    fn new(pace: Pace) -> Self {
        Load { pace, window: RefCell::default(), on: Cell::new(false), turn: Cell::new(0) }
    }

    /// Counts a good answer of so many bytes to a request that was due at a time.
    fn answered(&self, due: Instant, bytes: usize) {
        if self.on.get() {
            let latency = due.elapsed();
            self.window.borrow_mut().answered(latency, bytes);
        }
    }

    /// Counts bytes that belong to no request.
    fn received(&self, bytes: usize) {
        if self.on.get() {
            self.window.borrow_mut().bytes += bytes as u64;
        }
    }

    /// Counts what went wrong.
    fn failed(&self, reason: impl ToString) {
        if self.on.get() {
            self.window.borrow_mut().failed(reason);
        }
    }
}

/// What is counted in the measured window.
#[derive(Debug)]
struct Window {
    latency: Histogram<u64>,
    bytes: u64,
    errors: u64,
    error: Option<String>,
}

impl Default for Window {
    fn default() -> Self {
        // The bounds are good: the lower one is above zero, and half of the upper.
        let latency = Histogram::new_with_bounds(LATENCY_NS.0, LATENCY_NS.1, 3)
            .unwrap_or_else(|_| unreachable!("constant bounds"));
        Window { latency, bytes: 0, errors: 0, error: None }
    }
}

impl Window {
    fn answered(&mut self, latency: Duration, bytes: usize) {
        let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(latency.clamp(LATENCY_NS.0, LATENCY_NS.1));
        self.bytes += bytes as u64;
    }

    fn failed(&mut self, reason: impl ToString) {
        self.errors += 1;
        self.error.get_or_insert_with(|| reason.to_string());
    }

    fn seen(&self, seconds: f64) -> Seen {
        let microseconds = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        Seen {
            requests: self.latency.len(),
            bytes: self.bytes,
            errors: self.errors,
            error: self.error.clone(),
            seconds,
            p50: microseconds(0.5),
            p99: microseconds(0.99),
            p999: microseconds(0.999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tells_quantiles_and_the_first_error() {
        let mut window = Window::default();
        for milliseconds in 1..=1000 {
            window.answered(Duration::from_millis(milliseconds), 10);
        }
        window.failed("first");
        window.failed("second");
        let seen = window.seen(2.0);
        assert_eq!((seen.requests, seen.bytes, seen.errors), (1000, 10_000, 2));
        assert_eq!(seen.error.as_deref(), Some("first"));
        assert!((seen.p50 - 500_000.0).abs() < 1000.0, "{seen:?}");
        assert!((seen.p99 - 990_000.0).abs() < 2000.0, "{seen:?}");
        window.answered(Duration::MAX, 0);
        assert_eq!(window.seen(1.0).requests, 1001);
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
            wire: Wire::Http1Close,
            connections: 7,
            streams: 2,
        };
        let words = ask.window(Some(5), Duration::from_millis(70), Duration::from_secs(1));
        let Line { args } = clap::Parser::parse_from(words);
        assert_eq!((args.target, args.wire), (ask.targets.clone(), Wire::Http1Close));
        assert_eq!((args.connections, args.streams, args.rate), (7, 2, Some(5)));
        assert_eq!((args.warm_up_ms, args.window_ms, args.hold), (70, 1000, false));
        let Line { args } = clap::Parser::parse_from(ask.hold());
        assert!(args.hold && args.rate.is_none());
    }
}
