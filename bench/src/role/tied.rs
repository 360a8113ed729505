//! Becomes another program, after the kernel was told to end it with the benchmark.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::BenchError;

/// The program.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Program and arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Does not return if all goes well: the setting of the parent's death signal lasts across `exec`.
pub fn run(args: &Args) -> Result<(), BenchError> {
    let Some((program, arguments)) = args.command.split_first() else { return Ok(()) };
    let refused = Command::new(program).args(arguments).exec();
    Err(BenchError::System { what: format!("start {}", program.display()), source: refused })
}
