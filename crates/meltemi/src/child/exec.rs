//! `meltemi exec-child`: between the fork and the command, ties the process to its parent's life, then becomes the
//! command. A step of its own, because the standard library runs code between fork and exec only where that is unsafe.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::exit::Failure;
use crate::output;

/// Flags of the hidden command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process that must be the parent.
    #[arg(long)]
    parent: i32,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command; returns only if that fails, with the exit codes of a shell.
pub async fn run(args: Args) -> Result<(), Failure> {
    let tied = set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(error) = tied {
        return Err(Failure::Failed(format!("cannot tie the command to `meltemi run`: {error}")));
    }
    // The parent may have ended before it could be tied to.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(args.parent) {
        return Err(Failure::Code(137));
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(Failure::Usage("no command is given".into()));
    };
    let error = Command::new(program).args(arguments).exec();
    let program = program.to_string_lossy();
    output::complain(&format!("error: cannot start `{program}`: {error}"));
    Err(Failure::Code(match error.kind() {
        ErrorKind::NotFound => 127,
        _ => 126,
    }))
}
