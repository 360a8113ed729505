//! Eleven endpoints, one of them slow for a time: the experiment that Linkerd's authors published in 2016 ("Beyond Round
//! Robin: Load Balancing for Latency"): 1,000 requests a second for a minute, 167 ms an answer, and two seconds
//! from one of the endpoints between second 15 and second 45. What counts is the share answered within a second.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::policy::Policy;
use super::report;
use super::world::{self, Plan, World};
use crate::error::BenchError;
use crate::options::Output;
use crate::role::callers::{Ask, Seen};
use crate::role::server::Setting;

const SERVERS: u32 = 11;
const RATE: f64 = 1000.0;
const USUAL: Duration = Duration::from_millis(167);
const SLOW: Duration = Duration::from_secs(2);
const SLOW_FROM: Duration = Duration::from_secs(15);
const SLOW_UNTIL: Duration = Duration::from_secs(45);
const WINDOW: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(1);

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
    /// Fail where a policy does not do as well as was published of it
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORMAT")]
    output: Output,
}

/// What each policy has to reach. Round robin has an upper bound too: where it does better, no endpoint was slow.
fn expected(policy: Policy) -> RangeInclusive<f64> {
    match policy {
        Policy::RoundRobin => 0.93..=0.97,
        Policy::LeastRequest => 0.98..=1.0,
        Policy::PeakEwma | Policy::Learned => 0.99..=1.0,
    }
}

/// Runs it for one policy after the other, each in a world of its own.
pub async fn run(options: &Options) -> Result<(), BenchError> {
    let mut seen = Vec::new();
    for policy in &options.policies {
        seen.push((*policy, pass(*policy).await?));
    }
    report::shares(options.output, &seen)?;
    match options.strict {
        true => seen.iter().try_for_each(|(policy, seen)| check(*policy, seen)),
        false => Ok(()),
    }
}

fn check(policy: Policy, seen: &Seen) -> Result<(), BenchError> {
    let (share, expected) = (report::share(seen), expected(policy));
    if expected.contains(&share) {
        return Ok(());
    }
    Err(BenchError::Share {
        policy: policy.name(),
        percent: 100.0 * share,
        least: 100.0 * expected.start(),
        most: 100.0 * expected.end(),
    })
}

async fn pass(policy: Policy) -> Result<Seen, BenchError> {
    let plan = Plan { servers: SERVERS, callers: 1, work: USUAL, seed: 1 };
    world::within(&plan, policy, async |world| {
        for server in 0..SERVERS as usize {
            world.set(server, Setting::Delay(USUAL)).await?;
        }
        let ask = Ask {
            targets: Vec::new(),
            host: String::new(),
            rate: RATE,
            is_even: true,
            // Connections are opened in it.
            warm_up: Duration::from_secs(2),
            window: WINDOW,
            within: WITHIN,
            seed: 1,
        };
        world.call(ask.clone(), async |world| slow_down(world, ask.warm_up).await).await
    })
    .await
}

async fn slow_down(world: &World, warm_up: Duration) -> Result<(), BenchError> {
    tokio::time::sleep(warm_up + SLOW_FROM).await;
    world.set(0, Setting::Delay(SLOW)).await?;
    tokio::time::sleep(SLOW_UNTIL - SLOW_FROM).await;
    world.set(0, Setting::Delay(USUAL)).await
}
