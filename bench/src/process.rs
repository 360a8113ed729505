//! A process that the benchmark started: tied to its life, its output in a file, ended by its id.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::error::BenchError;
use crate::{proc, role};

/// How much of a log is shown.
const SHOWN_LINES: usize = 12;
/// How long a process may take to end by itself.
const END: Duration = Duration::from_secs(10);

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a program. What it logs goes to `NAME.log` in `directory`, where it is started.
    pub fn start(
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: &[impl AsRef<OsStr>],
        directory: &Path,
    ) -> Result<Process, BenchError> {
        let own = std::env::current_exe().map_err(BenchError::system("find this binary"))?;
        let mut command = Command::new(own);
        command.arg(role::WORD).arg(std::process::id().to_string());
        command.args(["tied", "--"]).arg(program).args(arguments);
        Process::spawn(name, command, directory)
    }

    /// Starts this binary in one of its roles.
    pub fn role(name: &str, arguments: &[String], directory: &Path) -> Result<Process, BenchError> {
        let own = std::env::current_exe().map_err(BenchError::system("find this binary"))?;
        let mut command = Command::new(own);
        command.arg(role::WORD).arg(std::process::id().to_string()).args(arguments);
        Process::spawn(name, command, directory)
    }

    fn spawn(name: &str, mut command: Command, directory: &Path) -> Result<Process, BenchError> {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.map_err(BenchError::system(format!("write {}", log.display())))?;
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().map_err(BenchError::system(format!("start {name}")))?;
        let output = child.stdout.take().ok_or_else(|| BenchError::NotReady {
            name: name.to_owned(),
            what: "its output cannot be read".to_owned(),
            log: String::new(),
        })?;
        let output = BufReader::new(output).lines();
        Ok(Process { name: name.to_owned(), child, log, output })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It and what it started.
    pub fn tree(&self) -> Vec<u32> {
        self.child.id().map(proc::tree).unwrap_or_default()
    }

    /// The next line that it prints, of at most so long a wait.
    pub async fn line(&mut self, patience: Duration) -> Result<String, BenchError> {
        match timeout(patience, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(self.failure("it printed nothing more").await),
            Ok(Err(error)) => {
                Err(self.failure(&format!("its output is unreadable: {error}")).await)
            }
            Err(_) => Err(self.not_ready(&format!("it printed nothing for {patience:?}"))),
        }
    }

    /// The error that it has ended, if it has.
    pub fn check(&mut self) -> Result<(), BenchError> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                Err(BenchError::Ended { name: self.name.clone(), status, log: self.last_lines() })
            }
            _ => Ok(()),
        }
    }

    /// The error that something is missing.
    pub fn not_ready(&self, what: &str) -> BenchError {
        BenchError::NotReady {
            name: self.name.clone(),
            what: what.to_owned(),
            log: self.last_lines(),
        }
    }

    /// The error that it ended, or that something is missing if it goes on.
    async fn failure(&mut self, what: &str) -> BenchError {
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) => {
                BenchError::Ended { name: self.name.clone(), status, log: self.last_lines() }
            }
            _ => self.not_ready(what),
        }
    }

    /// Waits for its end, which must be a success.
    pub async fn succeeded(&mut self, patience: Duration) -> Result<(), BenchError> {
        match timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                Err(BenchError::Ended { name: self.name.clone(), status, log: self.last_lines() })
            }
            _ => Err(self.not_ready(&format!("it did not end within {patience:?}"))),
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        if let Some(pid) = self.child.id() {
            signal(pid, Signal::TERM);
        }
    }

    /// Waits for its end after [`Process::terminate`]; kills it and what it started when that takes long.
    pub async fn ended(mut self) {
        let tree = self.tree();
        if timeout(END, self.child.wait()).await.is_ok() {
            return;
        }
        eprintln!("note: {} did not end by itself and is killed", self.name);
        // It is not yet waited for, so the ids are its own still; what it started may just have ended.
        tree.into_iter().rev().for_each(|pid| signal(pid, Signal::KILL));
        let _ = self.child.wait().await;
    }

    fn last_lines(&self) -> String {
        last_lines(&String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()))
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    if shown.is_empty() {
        return "it logged nothing".to_owned();
    }
    format!("its last lines:\n  {}", shown.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_log_are_shown() {
        assert_eq!(last_lines(""), "it logged nothing");
        assert_eq!(last_lines("a\nb\n"), "its last lines:\n  a\n  b");
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert!(
            last_lines(&long).contains("line 88\n") && !last_lines(&long).contains("line 87\n")
        );
    }
}
