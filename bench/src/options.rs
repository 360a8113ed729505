//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};

use crate::contestant::Kind;
use crate::role::backend::BODY;
use crate::scenario::Scenario;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p meltemi-bench -- pair-http1
  cargo run --release -p meltemi-bench -- pair-http1 --connections 1,16,64,512 --plot pair.svg
  cargo run --release -p meltemi-bench -- pair-http1 --body 100k
  cargo run --release -p meltemi-bench -- connect --against nginx,haproxy --rounds 5
  cargo run --release -p meltemi-bench -- services --services 5,1000 --called 5 --against none
  cargo run --release -p meltemi-bench -- churn --against rules --rounds 1 --seconds 30 --rate 2000 --strict
  ENVOY=/opt/envoy/bin/envoy cargo run --release -p meltemi-bench -- services --against envoy --output json

The guard against regressions and the experiments with balancing have command lines of their own:
meltemi-bench guard --help, meltemi-bench experiment --help";

/// From here on a body's bytes cost more than its request, and a rate that suits a kilobyte would be too much.
const BULKY: usize = 16 << 10;
/// The longest body, bytes: each of the backend's endpoints keeps two.
const MAX_BODY: usize = 64 << 20;

/// Measures what a request costs in Meltemi and in its peers, side by side on this machine's loopback.
#[derive(Debug, Parser)]
#[command(name = "meltemi-bench", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Options {
    /// What to measure
    #[arg(value_enum)]
    pub scenario: Scenario,
    /// The peers; one that is not installed is skipped
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "envoy,nginx,haproxy",
        value_name = "PEER"
    )]
    pub against: Vec<Peer>,
    /// Leave Meltemi out: for the peers and the floor alone
    #[arg(long)]
    pub without_meltemi: bool,
    /// How often each contestant is measured, in turn with the others
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub rounds: u32,
    /// Length of one measured window; there are two a contestant and round
    #[arg(long, default_value = "3", value_parser = seconds, value_name = "S")]
    pub seconds: Duration,
    /// Load before each window that is not measured
    #[arg(long, default_value = "0.7", value_parser = seconds, value_name = "S")]
    pub warm_up: Duration,
    /// Connections of the load generator; idle ones in `idle`. A list gives a section for each number. The scenario's own
    /// number if not given
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: Vec<u32>,
    /// Length of an answer's body over HTTP, as 1k, 100k or 10m
    #[arg(long, default_value = "1k", value_parser = length, value_name = "SIZE")]
    pub body: usize,
    /// In `services`: how many of them; a section for each number
    #[arg(long, value_delimiter = ',', default_value = "1,1000", value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub services: Vec<u32>,
    /// In `services`: how many of them are called; all if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub called: Option<u32>,
    /// In `churn`: changes of the configuration in a second. Of endpoints' weights, and with `--against rules` of the rules
    /// too, and of which endpoints there are
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub changes: u32,
    /// Streams on each HTTP/2 connection
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub streams: u32,
    /// Endpoints behind the balancer, each with a sidecar of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16), value_name = "N")]
    pub endpoints: u32,
    /// Requests a second at which latency is taken; the scenario's own if not given
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Worker threads or processes of each proxy; the number of cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: Option<u32>,
    /// Count syscalls too, in a window of its own (needs `strace`)
    #[arg(long)]
    pub syscalls: bool,
    /// End with exit code 1 where a request through Meltemi failed in a measured window
    #[arg(long)]
    pub strict: bool,
    /// How to print
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
    /// Also draw the figures, into this file
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

/// One table of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Connections of the load generator.
    pub connections: usize,
    /// Services that the proxy knows, where that is what is measured.
    pub services: Option<usize>,
}

/// A proxy to be held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// The binary `envoy` on PATH, or what ENVOY names
    Envoy,
    /// The binary `nginx` on PATH, or what NGINX names
    Nginx,
    /// The binary `haproxy` on PATH, or what HAPROXY names
    Haproxy,
    /// Meltemi itself with rules for the service: all that can be on is on
    Rules,
    /// No peer
    None,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

impl Options {
    /// Who takes part, in the order in which they are measured.
    pub fn contestants(&self) -> Vec<Kind> {
        let mut kinds = vec![Kind::Direct, Kind::Relay];
        if !self.without_meltemi {
            kinds.push(Kind::Meltemi);
        }
        for peer in &self.against {
            let kind = match peer {
                Peer::Envoy => Kind::Envoy,
                Peer::Nginx => Kind::Nginx,
                Peer::Haproxy => Kind::Haproxy,
                Peer::Rules => Kind::Rules,
                Peer::None => continue,
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// The command line; ends the process where it is wrong.
    pub fn read() -> Options {
        let options = Options::parse();
        if let Err(reason) = options.check() {
            Options::command().error(ErrorKind::ArgumentConflict, reason).exit();
        }
        options
    }

    /// What clap cannot know: which flag belongs to which scenario.
    fn check(&self) -> Result<(), String> {
        let scenario = self.scenario.to_possible_value();
        let scenario = scenario.as_ref().map_or("it", |it| it.get_name());
        if self.body != BODY && !self.scenario.has_body() {
            return Err(format!(
                "`{scenario}` has no bodies of another length: leave --body out, or take pair-http1, pair-h2, \
                 connect or proxy-http1"
            ));
        }
        if self.scenario == Scenario::Services && !self.connections.is_empty() {
            return Err(format!(
                "`{scenario}` has no load: leave --connections out, see --services"
            ));
        }
        if self.scenario != Scenario::Services && self.called.is_some() {
            return Err(format!("`{scenario}` calls one service: leave --called out"));
        }
        Ok(())
    }

    /// The sections, in the order in which they are measured.
    pub fn sections(&self) -> Vec<Section> {
        let own = [self.scenario.connections()];
        if self.scenario == Scenario::Services {
            let of = |services: &u32| Section {
                connections: own[0] as usize,
                services: Some(*services as usize),
            };
            return self.services.iter().map(of).collect();
        }
        let given = if self.connections.is_empty() { &own[..] } else { &self.connections };
        given.iter().map(|it| Section { connections: *it as usize, services: None }).collect()
    }

    /// Whether bodies are long enough for their bytes to be the price.
    pub fn is_bulky(&self) -> bool {
        self.body > BULKY
    }

    /// The rate at which latency is taken; none by itself where bodies are long.
    pub fn rate(&self) -> Option<u32> {
        let own = self.scenario.rate()?;
        match self.rate {
            Some(rate) => Some(rate),
            None => (!self.is_bulky()).then_some(own),
        }
    }

    /// Worker threads or processes of each proxy.
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.workers.map_or_else(cores, |it| it as usize)
    }
}

/// A number of bytes, with k or m behind it for 1024 or 1024 * 1024.
fn length(text: &str) -> Result<usize, String> {
    let small = text.to_ascii_lowercase();
    let (digits, factor) = match (small.strip_suffix('k'), small.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (&small[..], 1),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|it| it.checked_mul(factor));
    bytes.filter(|it| (BODY..=MAX_BODY).contains(it)).ok_or_else(|| {
        format!("`{text}` is not a length: expected bytes, 1k to 64m, as 100k or 10m")
    })
}

/// Seconds, bounded: a benchmark ends.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(number) if (0.1..=600.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!("`{text}` is not a length of time: expected seconds, 0.1 to 600")),
    }
}

#[cfg(test)]
mod tests;
