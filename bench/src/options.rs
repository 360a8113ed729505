//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::contestant::Kind;
use crate::scenario::Scenario;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p meltemi-bench -- pair-http1
  cargo run --release -p meltemi-bench -- connect --against nginx,haproxy --rounds 5
  ENVOY=/opt/envoy/bin/envoy cargo run --release -p meltemi-bench -- pair-http1 --against envoy --output json";

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
    /// Connections of the load generator; idle ones in `idle`. The scenario's own number if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: Option<u32>,
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
    /// How to print
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
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
                Peer::None => continue,
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Connections of the load generator.
    pub fn connections(&self) -> usize {
        self.connections.map_or(self.scenario.connections(), |it| it as usize)
    }

    /// The rate at which latency is taken.
    pub fn rate(&self) -> Option<u32> {
        self.scenario.rate().map(|own| self.rate.unwrap_or(own))
    }

    /// Worker threads or processes of each proxy.
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.workers.map_or_else(cores, |it| it as usize)
    }
}

/// Seconds, bounded: a benchmark ends.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(number) if (0.1..=600.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!("`{text}` is not a length of time: expected seconds, 0.1 to 600")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
        for text in ["0", "601", "-1", "x", "", "inf", "NaN"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn contestants_are_those_that_were_asked_for_each_once() {
        let read = |text: &str| Options::parse_from(text.split(' ')).contestants();
        let all =
            [Kind::Direct, Kind::Relay, Kind::Meltemi, Kind::Envoy, Kind::Nginx, Kind::Haproxy];
        assert_eq!(read("bench pair-http1"), all);
        let some = read("bench connect --against nginx,nginx --without-meltemi");
        assert_eq!(some, [Kind::Direct, Kind::Relay, Kind::Nginx]);
        assert_eq!(read("bench idle --against none"), all[..3]);
    }
}
