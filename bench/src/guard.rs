//! The guard against regressions: what a request costs a proxy in instructions and allocations, counted by callgrind and
//! held against stored bounds. No time is in it, so that a busy machine measures the same.
//!
//! For each [`Case`] a pair of sidecars is started with one of the two under [`valgrind`], [`drive`] sends requests one
//! at a time, [`profile`] reads what they took, [`bounds`] says whether that is too much, and [`report`] prints it.

mod bounds;
mod case;
mod drive;
mod error;
mod profile;
mod report;
mod valgrind;

use std::path::{Path, PathBuf};

use clap::Parser;

use self::bounds::{Bounds, Price};
use self::case::Case;
use self::drive::Driver;
use self::profile::Profile;
use self::valgrind::Callgrind;
use crate::contestant::{Field, Kind, Setup, Wrapper};
use crate::error::BenchError;
use crate::options::Output;
use crate::probe;
use crate::scenario::Topology;

pub use self::error::GuardError;

/// The first argument of the guard.
pub const WORD: &str = "guard";

/// Requests before anything is counted: every buffer has its size then, every pool its connections.
const WARM_UP: u32 = 300;
/// Requests of a window.
const REQUESTS: u32 = 1000;
/// Windows, of which the cheapest counts: what a proxy does beside requests only adds.
const WINDOWS: usize = 3;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p meltemi-bench -- guard
  cargo run --release -p meltemi-bench -- guard --case http1-caller --profiles /tmp/profiles
  cargo run --release -p meltemi-bench -- guard --update";

/// Counts the instructions and allocations of a request in a sidecar, and fails where a stored bound is exceeded.
#[derive(Debug, Parser)]
#[command(
    name = "guard",
    bin_name = "meltemi-bench guard",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Options {
    /// Where the bounds are
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/bounds.json"))]
    bounds: PathBuf,
    /// Store what is measured as the new bounds, instead of holding it against the old ones
    #[arg(long)]
    update: bool,
    /// What to measure; everything if not given
    #[arg(long = "case", value_enum, value_delimiter = ',', value_name = "CASE")]
    cases: Vec<Case>,
    /// Keep the profiles of the windows that count here, one CASE.callgrind each, for `callgrind_annotate`
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// How to print
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORMAT")]
    output: Output,
}

impl Options {
    fn cases(&self) -> &[Case] {
        if self.cases.is_empty() { &Case::ALL } else { &self.cases }
    }
}

/// Measures every case, prints, and holds against the bounds or stores them.
///
/// # Errors
/// Also when a bound is exceeded: [`GuardError::Exceeded`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let mut bounds = match options.update && !options.bounds.exists() {
        true => Bounds::default(),
        false => Bounds::read(&options.bounds)?,
    };
    if cfg!(debug_assertions) {
        return Err(GuardError::Unoptimised.into());
    }
    share_one_core();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    let measured = runtime.block_on(all(options))?;
    report::print(options.output, &measured, &bounds)?;
    if options.update {
        measured.iter().for_each(|(case, price)| bounds.put(*case, *price));
        return Ok(bounds.write(&options.bounds)?);
    }
    Ok(bounds.check(&measured)?)
}

/// Has everything run on one core, children too: whether the frames of an HTTP/2 call come together or one by one is then
/// nearly the same in each run, however busy the machine is.
fn share_one_core() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let pinned = sched_getaffinity(None).and_then(|allowed| {
        let mut one = CpuSet::new();
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core));
        last.into_iter().for_each(|core| one.set(core));
        sched_setaffinity(None, &one)
    });
    if let Err(error) = pinned {
        eprintln!(
            "note: the guard cannot keep to one core ({error}): gRPC may differ by some percent"
        );
    }
}

async fn all(options: &Options) -> Result<Vec<(Case, Price)>, BenchError> {
    valgrind::check().await?;
    if let Some(directory) = &options.profiles {
        std::fs::create_dir_all(directory)
            .map_err(BenchError::system(format!("make {}", directory.display())))?;
    }
    let mut measured = Vec::new();
    for case in options.cases() {
        eprintln!("guard: {}", case.name());
        let price = one(*case, options.profiles.as_deref()).await?;
        measured.push((*case, price));
    }
    Ok(measured)
}

/// Measures a case with processes of its own, and ends them whatever comes of it.
async fn one(case: Case, profiles: Option<&Path>) -> Result<Price, BenchError> {
    let mut field = Field::new()?;
    let words = valgrind::words(field.directory());
    field.wrap(Wrapper { place: case.place(), words });
    let outcome = tokio::select! {
        outcome = measure(case, &mut field) => outcome,
        () = crate::stopped() => Err(BenchError::Interrupted),
    };
    field.stop().await;
    let (profile, text) = outcome?;
    if let Some(directory) = profiles {
        let file = directory.join(format!("{}.callgrind", case.name()));
        std::fs::write(&file, text)
            .map_err(BenchError::system(format!("write {}", file.display())))?;
    }
    Ok(profile.price(REQUESTS))
}

/// Gives the cheapest window, read and as it was written.
async fn measure(case: Case, field: &mut Field) -> Result<(Profile, String), BenchError> {
    let setup = Setup { topology: Topology::Pair, wire: case.wire(), workers: 1, endpoints: 1 };
    field.start_backend(&setup).await?;
    if let Some(reason) = field.enter(Kind::Meltemi, &setup).await? {
        return Err(GuardError::Missing(reason).into());
    }
    let directory = field.directory().to_owned();
    let Some(contestant) = field.contestants.last_mut() else { return Err(BenchError::Nobody) };
    probe::ready(contestant, setup.wire, setup.endpoints).await?;
    let pid = contestant.pid_at(case.place()).ok_or(BenchError::Nobody)?;
    let mut callgrind = Callgrind::new(pid, &directory);
    callgrind.begin().await?;
    let mut driver = Driver::connect(contestant, setup.wire).await?;
    driver.send(contestant, WARM_UP).await?;
    // Connections were opened meanwhile, which no allocator's silence could go with.
    let (warm, _) = callgrind.take().await?;
    if warm.allocations == 0 {
        return Err(GuardError::NoSymbols.into());
    }
    let mut windows = Vec::new();
    for _ in 0..WINDOWS {
        driver.send(contestant, REQUESTS).await?;
        windows.push(callgrind.take().await?);
    }
    contestant.check()?;
    windows.into_iter().min_by_key(|(profile, _)| profile.instructions).ok_or(BenchError::Nobody)
}
