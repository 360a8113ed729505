//! The `meltemi` command: reads the command line, makes the runtime that the command needs, and turns the outcome
//! into an exit code.

mod bookshop;
mod child;
mod client;
mod command;
mod connection;
mod demo;
mod exit;
mod files;
mod input;
mod log;
mod memory;
mod model;
mod outcomes;
mod output;
mod rejected;
mod resource;
mod selection;
mod sidecar;
mod state;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Meltemi;
use crate::exit::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit::code(run(Meltemi::parse()))
}

fn run(meltemi: Meltemi) -> Result<(), Failure> {
    let command = meltemi.command;
    log::start(command.default_log())?;
    if command.is_sidecar() {
        memory::save();
    }
    if command.runs_until_stopped() {
        files::raise();
    }
    let mut runtime = if command.needs_threads() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = runtime.enable_all().build().map_err(|error| {
        Failure::Failed(format!(
            "cannot start the runtime: {error}; is a limit on threads or files too low?"
        ))
    })?;
    let outcome = runtime.block_on(command.run());
    // A thread that waits for standard input must not hold up the end of the command.
    runtime.shutdown_background();
    outcome
}
