//! Experiments with balancing: servers whose capacity is known and changes, callers' sidecars before them, and what callers
//! see of it under each policy.
//!
//! A [`world`] is started anew for each pass: servers, a sidecar each, a control plane, and the callers' sidecars. [`slow`]
//! and [`antagonists`] say what happens in it, [`report`] prints what came of it.

mod antagonists;
mod policy;
mod report;
mod slow;
mod world;

use clap::{Parser, Subcommand};

use crate::error::BenchError;

/// The first argument of an experiment.
pub const WORD: &str = "experiment";

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p meltemi-bench -- experiment slow-endpoint --strict
  cargo run --release -p meltemi-bench -- experiment antagonists --loads 0.93,1.27 --seconds 20 --minutes 20";

/// Measures what callers see under each balancing policy while servers change.
#[derive(Debug, Parser)]
#[command(
    name = "experiment",
    bin_name = "meltemi-bench experiment",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Options {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Eleven endpoints that take 167 ms, one of them two seconds for a time: the share of requests answered within a second
    ///
    /// It is the experiment that Linkerd's authors published in 2016. It takes a minute for each policy.
    SlowEndpoint(slow::Options),
    /// Servers of which a third is slowed down by others that move on, many callers, one policy a pass in shuffled order
    Antagonists(antagonists::Options),
}

/// Runs an experiment.
///
/// # Errors
/// Also when `--strict` finds a policy that is not as good as it has to be.
pub fn run(options: &Options) -> Result<(), BenchError> {
    crate::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    runtime.block_on(async {
        match &options.which {
            Which::SlowEndpoint(options) => slow::run(options).await,
            Which::Antagonists(options) => antagonists::run(options).await,
        }
    })
}
