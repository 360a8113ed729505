//! The benchmark: starts Meltemi, its peers and a floor of our own on loopback, loads them in turn, and prints what a
//! request costs in each.
//!
//! The way of a run: [`options`] reads the command line, [`contestant`] starts every proxy under test beside the
//! [`role::backend`], [`measure`] loads them round by round, [`figures`], [`report`] and [`plot`] make of the samples
//! what is printed and drawn. Load generator, backend and relay are processes of this same binary, see [`role`]. The [`guard`] against
//! regressions and the [`experiment`]s with balancing have command lines of their own.

mod certificates;
mod contestant;
mod error;
mod experiment;
mod figures;
mod guard;
mod measure;
mod mesh;
mod options;
mod plot;
mod ports;
mod probe;
mod proc;
mod process;
mod report;
mod role;
mod scenario;
mod statistics;
mod syscalls;
mod template;
mod window;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::BenchError;
use crate::options::Options;

fn main() -> ExitCode {
    let outcome = match std::env::args_os().nth(1) {
        Some(word) if word == role::WORD => role::run(std::env::args_os().skip(1)),
        Some(word) if word == guard::WORD => {
            guard::run(&guard::Options::parse_from(std::env::args_os().skip(1)))
        }
        Some(word) if word == experiment::WORD => {
            experiment::run(&experiment::Options::parse_from(std::env::args_os().skip(1)))
        }
        _ => bench(Options::read()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a benchmark. On a thread of its own nothing runs: children are tied to the life of the thread that starts them.
fn bench(options: Options) -> Result<(), BenchError> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    runtime.block_on(async {
        let mut measured = Vec::new();
        for section in options.sections() {
            let mut field = contestant::Field::new()?;
            let outcome = tokio::select! {
                outcome = measure::run(&options, &section, &mut field) => outcome,
                () = stopped() => Err(BenchError::Interrupted),
            };
            field.stop().await;
            measured.push((section, outcome?));
        }
        if let Some(file) = &options.plot {
            plot::write(file, &options, &measured)?;
        }
        report::print(&options, &measured)?;
        let all = measured.iter().flat_map(|(_, figures)| &figures.samples);
        match all.filter(|it| options.strict && it.kind.is_ours()).find(|it| it.errors > 0) {
            None => Ok(()),
            Some(samples) => Err(BenchError::Failed {
                name: samples.kind.name(),
                requests: samples.errors,
                first: samples.error.clone().unwrap_or_default(),
            }),
        }
    })
}

/// Ends at Ctrl-C and SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let both = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = both else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Idle connections by the thousand need as many descriptors, here and in every child.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, the scenario that needs more says so when it runs out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
