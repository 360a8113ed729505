//! The command beside a sidecar: started so that it never outlives `run`, signalled as a group, waited for.

mod cpu;
mod environment;
mod exec;
mod signals;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use rustix::termios::tcsetpgrp;
use tokio::process::Command;

use crate::{files, memory};

pub use environment::Environment;
pub use exec::Args as ExecArgs;
pub use exec::run as exec;
pub use signals::{Asked, Signals};

/// The hidden command that becomes the user's.
pub const EXEC: &str = "exec-child";

/// Whose signals a command gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A process group of its own: signals reach what the command has started as well, and Ctrl-C on the terminal reaches
    /// `run` alone, which takes the workload out of the mesh before it passes the signal on. A command that asks for the
    /// terminal gets it, and its keys with it.
    Own,
    /// The group of `run`: a command of a client that reads the terminal must belong to the terminal's group.
    Shared,
}

impl Group {
    /// The group for a command: shared only by a client that may read a terminal.
    pub fn of(is_service: bool) -> Group {
        match !is_service && io::stdin().is_terminal() {
            true => Group::Shared,
            false => Group::Own,
        }
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    group: Group,
    /// Ends the group when `run` is killed; waits on a pipe that only `run` holds. None where the group is shared.
    guard: Option<tokio::process::Child>,
}

impl Child {
    /// Starts a command. To be called on the main thread: the kernel ends the command with the *thread* that started it.
    ///
    /// # Errors
    /// When no process can be made. That the program is not there is told by the command's end, with code 127.
    pub fn start(
        command: &[OsString],
        environment: &Environment,
        group: Group,
    ) -> io::Result<Child> {
        let mut helper = helper();
        helper.arg("--parent").arg(std::process::id().to_string());
        if memory::is_saving() {
            helper.arg("--restore-huge-pages").env_remove(memory::MARK);
        }
        if let Some(soft) = files::before() {
            helper.arg("--restore-files").arg(soft.to_string());
        }
        helper.arg("--").args(command);
        helper.envs(environment.variables());
        if group == Group::Own {
            helper.process_group(0);
        }
        let process = helper.spawn()?;
        let mut child = Child { process, group, guard: None };
        if let (Group::Own, Some(leader)) = (group, child.pid()) {
            child.guard = Some(guard(leader)?);
        }
        Ok(child)
    }

    /// How to find out how much time of processors it and what it has started have had so far.
    pub fn cpu_time(&self) -> impl Fn() -> Option<Duration> + Send + Sync + use<> {
        let leader = self.process.id();
        move || cpu::time(leader?)
    }

    /// Waits for its end. Gives the exit code as a shell does: 128 and the signal's number for one that was killed.
    pub async fn ended(&mut self) -> i32 {
        // The group's number is free for others once its leader is waited for and no member is left.
        let leader = self.pid();
        let status = self.process.wait().await;
        if let (Some(leader), Group::Own) = (leader, self.group) {
            // What the command left behind does not outlive it.
            let _ = kill_process_group(leader, Signal::KILL);
        }
        if let Some(mut guard) = self.guard.take() {
            // It has nothing to guard any longer; that it has ended already is no matter.
            let _ = guard.kill().await;
        }
        status.map_or(1, code)
    }

    /// Passes a signal on. One that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        // It may just have ended, which its waiter is told.
        let _ = match self.group {
            Group::Own => kill_process_group(pid, signal),
            Group::Shared => kill_process(pid, signal),
        };
    }

    /// Gives it the terminal, if the kernel has stopped it for asking: a shell of a service would stand still for ever.
    /// To be called when a child has changed its state.
    pub fn lend_terminal(&self) {
        let (Group::Own, Some(leader)) = (self.group, self.pid()) else { return };
        // Only a stop is taken note of here: the end is `ended`'s to see.
        let stops = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let Ok(Some(status)) = waitid(WaitId::Pid(leader), stops) else { return };
        let asks = [Signal::TTIN, Signal::TTOU].map(Signal::as_raw);
        if !status.stopping_signal().is_some_and(|number| asks.contains(&number)) {
            return;
        }
        match tcsetpgrp(io::stdin(), leader) {
            Ok(()) => self.signal(Signal::CONT),
            Err(error) => tracing::warn!(
                %error,
                "the command wants the terminal and cannot have it: give it another standard input"
            ),
        }
    }

    /// Asks it to end, and kills it where that takes longer than `grace`. Gives its exit code.
    pub async fn end(&mut self, grace: Duration) -> i32 {
        self.signal(Signal::TERM);
        if let Ok(code) = tokio::time::timeout(grace, self.ended()).await {
            return code;
        }
        tracing::warn!(?grace, "the command did not end in time: killing it (--termination-grace)");
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// None once it was waited for.
    fn pid(&self) -> Option<Pid> {
        self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

/// This program's hidden command. The link stays good also when the program's file is replaced while it runs.
fn helper() -> Command {
    let mut helper = Command::new("/proc/self/exe");
    helper.arg0("meltemi").arg(EXEC).kill_on_drop(true);
    helper
}

/// Starts the process that ends a group when this one is killed: the kernel's own means reaches the command alone, not
/// what the command has started.
fn guard(leader: Pid) -> io::Result<tokio::process::Child> {
    let mut guard = helper();
    guard.arg("--guard").arg(leader.as_raw_nonzero().to_string()).process_group(0);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        for (raw, expected) in [(0, 0), (3 << 8, 3), (127 << 8, 127), (9, 137), (15, 143)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected);
        }
    }
}
