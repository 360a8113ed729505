//! Servers that others slow down: each has what was set aside for it, and what its machine has to spare beyond that, unless an
//! antagonist takes it. Antagonists move on every ten seconds. After the experiments of Prequal's authors (NSDI '24).

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::policy::Policy;
use super::report::{self, Pass};
use super::world::{self, Plan, World};
use crate::error::BenchError;
use crate::options::Output;
use crate::role::callers::{Ask, Seen};
use crate::role::server::Setting;

/// How long antagonists stay.
const STAY: Duration = Duration::from_secs(10);
/// The part of the servers that have one.
const SLOWED: f64 = 0.3;
/// Cores that are set aside for each server.
const ALLOCATION: f64 = 5.0;
/// What one that has an antagonist is left with.
const SLOW: f64 = 0.85 * ALLOCATION;
/// What one without has.
const FREE: f64 = 2.1 * ALLOCATION;
/// What starting a world and ending it takes at most, of forty sidecars and twenty servers; with [`GRACE`] a pass never takes
/// longer than is told.
const STARTING: Duration = Duration::from_secs(15);
/// After the last request callers wait for answers that are still due: a request has five seconds.
const GRACE: Duration = Duration::from_secs(5);
/// Mean work of a request: a server's capacity, by which loads are told, is 62.5 a second.
const WORK: Duration = Duration::from_millis(80);

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The policies
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "round-robin,least-request,peak-ewma,learned",
        value_name = "POLICY,..."
    )]
    policies: Vec<Policy>,
    /// Loads, in parts of the capacity that is set aside for all servers together
    #[arg(long, value_delimiter = ',', default_value = "0.75,0.93,1.03,1.27,1.57", value_name = "LOAD,...", value_parser = load)]
    loads: Vec<f64>,
    /// Servers, each a process with a sidecar
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200), value_name = "N")]
    servers: u32,
    /// Callers, each a sidecar
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200), value_name = "N")]
    callers: u32,
    /// Length of a pass that is measured, after ten seconds that are not
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(10..=600), value_name = "S")]
    seconds: u32,
    /// Passes of each policy at each load
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    rounds: u32,
    /// Begin no round that would not be over in so many minutes from the start
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1440), value_name = "N")]
    minutes: Option<u32>,
    /// Of everything that is drawn: arrivals, work, whom antagonists visit, the order of passes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How to print
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORMAT")]
    output: Output,
}

fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if (0.01..=10.0).contains(&load) => Ok(load),
        _ => Err(format!("`{text}` is not a load: expected a number between 0.01 and 10")),
    }
}

/// Runs all passes, one at a time.
pub async fn run(options: &Options) -> Result<(), BenchError> {
    let mut passes = Vec::new();
    let mut random = StdRng::seed_from_u64(options.seed);
    let (began, mut time) = (Instant::now(), Time::new(options));
    eprintln!("{}", time.told(options.rounds));
    for round in 0..options.rounds {
        let limit = options.minutes.map(|minutes| Duration::from_secs(60 * u64::from(minutes)));
        if limit.is_some_and(|limit| round > 0 && began.elapsed() + time.round() > limit) {
            eprintln!("another round would take longer than there is: {round} are done");
            break;
        }
        // The same world and the same arrivals for each policy of a round.
        let seed = random.random::<u32>().into();
        let mut order: Vec<(f64, Policy)> = Vec::new();
        for load in &options.loads {
            order.extend(options.policies.iter().map(|policy| (*load, *policy)));
        }
        order.shuffle(&mut random);
        for (load, policy) in order {
            let started = Instant::now();
            let seen = pass(options, policy, load, seed).await?;
            time.took(started.elapsed());
            eprintln!(
                "round {}: {} at {load}: p99 {:.0} ms, {} of {} failed{}",
                round + 1,
                policy.name(),
                seen.p99,
                seen.errors,
                seen.requests,
                seen.error.as_ref().map(|it| format!(" ({it})")).unwrap_or_default()
            );
            passes.push(Pass { load, policy, seen });
        }
    }
    report::latencies(options.output, &options.loads, &options.policies, &passes)
}

/// What passes take: as long as none was made, what they may take at most, then what the longest one took.
#[derive(Debug)]
struct Time {
    passes: u32,
    longest: Option<Duration>,
    most: Duration,
}

impl Time {
    fn new(options: &Options) -> Time {
        let passes = (options.policies.len() * options.loads.len()) as u32;
        let window = Duration::from_secs(options.seconds.into());
        Time { passes, longest: None, most: STARTING + STAY + window + GRACE }
    }

    fn took(&mut self, pass: Duration) {
        self.longest = Some(self.longest.unwrap_or_default().max(pass));
    }

    /// What a round takes.
    fn round(&self) -> Duration {
        self.longest.unwrap_or(self.most) * self.passes
    }

    fn told(&self, rounds: u32) -> String {
        let minutes = self.round().as_secs_f64() / 60.0;
        format!(
            "{rounds} rounds of {} passes: at most {minutes:.0} minutes a round, {:.0} in all",
            self.passes,
            minutes * f64::from(rounds)
        )
    }
}

async fn pass(options: &Options, policy: Policy, load: f64, seed: u64) -> Result<Seen, BenchError> {
    let plan = Plan { servers: options.servers, callers: options.callers, work: WORK, seed };
    let ask = Ask {
        targets: Vec::new(),
        host: String::new(),
        rate: load * f64::from(options.servers) * ALLOCATION / WORK.as_secs_f64(),
        is_even: false,
        warm_up: STAY,
        window: Duration::from_secs(options.seconds.into()),
        within: Duration::from_secs(1),
        seed,
    };
    let whole = ask.warm_up + ask.window;
    world::within(&plan, policy, async |world| {
        let mut schedule = Schedule::new(options.servers as usize, seed);
        visit(world, &schedule.next()).await?;
        world.call(ask, async |world| move_on(world, schedule, whole).await).await
    })
    .await
}

/// Which servers have an antagonist, stay by stay.
#[derive(Debug)]
struct Schedule {
    servers: Vec<usize>,
    random: StdRng,
}

impl Schedule {
    fn new(servers: usize, seed: u64) -> Schedule {
        Schedule { servers: (0..servers).collect(), random: StdRng::seed_from_u64(seed) }
    }

    /// The cores of each server, in order.
    fn next(&mut self) -> Vec<f64> {
        self.servers.shuffle(&mut self.random);
        let slowed = (self.servers.len() as f64 * SLOWED).round() as usize;
        let mut cores = vec![FREE; self.servers.len()];
        self.servers[..slowed].iter().for_each(|server| cores[*server] = SLOW);
        cores
    }
}

async fn visit(world: &World, cores: &[f64]) -> Result<(), BenchError> {
    for (server, cores) in cores.iter().enumerate() {
        world.set(server, Setting::Cores(*cores)).await?;
    }
    Ok(())
}

async fn move_on(world: &World, mut schedule: Schedule, whole: Duration) -> Result<(), BenchError> {
    let began = tokio::time::Instant::now();
    let mut at = STAY;
    while at < whole {
        tokio::time::sleep_until(began + at).await;
        visit(world, &schedule.next()).await?;
        at += STAY;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn antagonists_are_as_many_as_before_when_they_have_moved() {
        let mut schedule = Schedule::new(20, 5);
        let stays: Vec<Vec<f64>> = (0..50).map(|_| schedule.next()).collect();
        for stay in &stays {
            assert_eq!(stay.iter().filter(|it| **it < FREE).count(), 6);
        }
        for server in 0..20 {
            let slowed = stays.iter().filter(|stay| stay[server] < FREE).count();
            assert!((1..50).contains(&slowed), "server {server}: {slowed} of 50");
        }
        assert_eq!(Schedule::new(20, 5).next(), stays[0]);
    }

    #[test]
    fn the_time_is_told_before_and_follows_what_passes_take() {
        let mut time = Time {
            passes: 8,
            longest: None,
            most: STARTING + STAY + Duration::from_secs(15) + GRACE,
        };
        assert_eq!(time.told(3), "3 rounds of 8 passes: at most 6 minutes a round, 18 in all");
        time.took(Duration::from_secs(30));
        time.took(Duration::from_secs(20));
        assert_eq!(time.round(), Duration::from_secs(240));
    }

    #[test]
    fn loads_are_numbers_above_zero() {
        assert_eq!(load("1.03"), Ok(1.03));
        for wrong in ["0", "-1", "NaN", "inf", "much"] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }
}
