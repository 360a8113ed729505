//! What this binary does as a child of itself: load, backend, relay, server, callers, or becoming a program tied to the
//! parent's life.

pub mod backend;
pub mod callers;
pub mod http1;
pub mod load;
pub mod relay;
pub mod server;
mod tied;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::error::BenchError;

/// The first argument of a child.
pub const WORD: &str = "role";

#[derive(Debug, Parser)]
#[command(name = "role")]
struct Child {
    /// The process that started it
    parent: i32,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The endpoints
    Backend(backend::Args),
    /// The load generator
    Load(load::Args),
    /// The floor
    Relay(relay::Args),
    /// A server of known capacity
    Server(server::Args),
    /// Callers of the same service
    Callers(callers::Args),
    /// Becomes a program that ends when the benchmark does
    Tied(tied::Args),
}

/// Runs a child's role.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), BenchError> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|errno| errno.into())
        .map_err(BenchError::system("be told of the benchmark's end"))?;
    let Child { parent, role } = Child::parse_from(arguments);
    // It may have ended before it was to be told of.
    if getppid().is_none_or(|it| it.as_raw_nonzero().get() != parent) {
        return Err(BenchError::Interrupted);
    }
    match role {
        Role::Backend(args) => backend::run(args),
        Role::Load(args) => load::run(&args),
        Role::Relay(args) => relay::run(args),
        Role::Server(args) => server::run(&args),
        Role::Callers(args) => callers::run(&args),
        Role::Tied(args) => tied::run(&args),
    }
}
