//! `meltemi exec-child`: between the fork and the command, ties the process to its parent's life, then becomes the
//! command; or guards the command's group. A step of its own, because the standard library runs code between fork and exec only where that is unsafe.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};

use crate::exit::Failure;
use crate::{files, memory, output};

/// Flags of the hidden command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process that must be the parent.
    #[arg(long, required_unless_present = "guard", requires = "command")]
    parent: Option<i32>,
    /// Waits for the end of standard input, then kills this process group.
    #[arg(long, conflicts_with = "parent")]
    guard: Option<i32>,
    /// Gives the command the huge pages that its sidecar does without.
    #[arg(long, conflicts_with = "guard")]
    restore_huge_pages: bool,
    /// Gives the command this soft limit of open files, which its sidecar has raised.
    #[arg(long, conflicts_with = "guard")]
    restore_files: Option<u64>,
    /// The command.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Becomes the command, or guards one. Of a command it returns only a failure, with the exit codes of a shell.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.guard {
        Some(group) => guard(group),
        None => become_command(&args),
    }
}

/// Nothing is ever written to the pipe that is read here: it ends when the process that holds it has.
fn guard(group: i32) -> Result<(), Failure> {
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    if let Some(group) = Pid::from_raw(group) {
        // A group that has ended needs no end.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(())
}

fn become_command(args: &Args) -> Result<(), Failure> {
    let tied = set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(error) = tied {
        return Err(Failure::Failed(format!("cannot tie the command to `meltemi run`: {error}")));
    }
    // The parent may have ended before it could be tied to.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != args.parent {
        return Err(Failure::Code(137));
    }
    if args.restore_huge_pages {
        memory::restore();
    }
    if let Some(soft) = args.restore_files {
        files::restore(soft);
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
