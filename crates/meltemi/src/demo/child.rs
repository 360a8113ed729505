//! One process of the demo: started with its output in a file, told to end, waited for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::DemoError;

/// How many of the last lines of a log are shown.
const LAST_LINES: usize = 15;

/// A process that was started. It goes on when this is dropped: the janitor ends it.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    log: PathBuf,
    signals: mpsc::Sender<Signal>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Starts a command whose output goes to a file.
    pub(super) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Child, DemoError> {
        let output = open(log)?;
        let copy = output.try_clone().map_err(refused(log))?;
        command.stdout(copy).stderr(output);
        Ok(Child::spawn(name, command, log)?.0)
    }

    /// Starts a command whose standard output is read, the rest going to a file.
    pub(super) fn start_read(
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Child, ChildStdout), DemoError> {
        command.stdout(Stdio::piped()).stderr(open(log)?);
        let (child, stdout) = Child::spawn(name, command, log)?;
        let stdout = stdout.ok_or_else(|| DemoError::Unclear {
            name: name.to_owned(),
            what: "its output is not readable".to_owned(),
        })?;
        Ok((child, stdout))
    }

    fn spawn(
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Child, Option<ChildStdout>), DemoError> {
        let mut process = command.spawn().map_err(DemoError::system(format!("start {name}")))?;
        let stdout = process.stdout.take();
        let (signals, mut wanted) = mpsc::channel(4);
        let (tell, ended) = watch::channel(None);
        // Whoever waits is also who signals: a process that was waited for cannot be hit, nor a stranger in its place.
        tokio::spawn(async move {
            let status = loop {
                tokio::select! {
                    status = process.wait() => break status,
                    Some(signal) = wanted.recv() => {
                        let pid = process.id().and_then(|id| i32::try_from(id).ok());
                        if let Some(pid) = pid.and_then(Pid::from_raw) {
                            // It may just have ended, which the next turn tells.
                            let _ = kill_process(pid, signal);
                        }
                    }
                }
            };
            tell.send_replace(Some(status.unwrap_or_default()));
        });
        let child = Child { name: name.to_owned(), log: log.to_owned(), signals, ended };
        Ok((child, stdout))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub(super) fn ended(&self) -> impl Future<Output = ExitStatus> + use<> {
        let mut ended = self.ended.clone();
        async move {
            let status = ended.wait_for(Option::is_some).await;
            status.ok().and_then(|status| *status).unwrap_or_default()
        }
    }

    /// Asks it to end. One that has ended is left alone.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end of a process that was asked for it; kills it when that takes longer than `patience`. Gives whether
    /// it ended by itself.
    pub(super) async fn wait(&self, patience: Duration) -> bool {
        if timeout(patience, self.ended()).await.is_ok() {
            return true;
        }
        self.signal(Signal::KILL);
        self.ended().await;
        false
    }

    fn signal(&self, signal: Signal) {
        // Nobody takes the signal of a process that has ended.
        let _ = self.signals.try_send(signal);
    }

    /// Its last log lines, as a part of a message.
    pub(super) fn last_lines(&self) -> String {
        last_lines(&std::fs::read(&self.log).unwrap_or_default())
    }

    /// The error that it has ended before it should have.
    pub(super) fn failure(&self, status: ExitStatus, when: &'static str) -> DemoError {
        let (name, how) = (self.name.clone(), status.to_string());
        DemoError::Ended { name, how, when, log: self.last_lines() }
    }
}

fn open(log: &Path) -> Result<File, DemoError> {
    File::options().create(true).append(true).open(log).map_err(refused(log))
}

fn refused(log: &Path) -> impl FnOnce(std::io::Error) -> DemoError {
    DemoError::system(format!("write {}", log.display()))
}

fn last_lines(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LAST_LINES)..];
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
        assert_eq!(last_lines(b""), "it logged nothing");
        assert_eq!(last_lines(b"a\nb\n"), "its last lines:\n  a\n  b");
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = last_lines(long.as_bytes());
        assert!(shown.contains("line 85\n") && !shown.contains("line 84\n"), "{shown}");
    }

    #[tokio::test]
    async fn a_process_is_ended_when_told_to_and_killed_when_it_does_not_listen() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let start = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::null());
            Child::start_read("sh", &mut command, &log).unwrap()
        };
        let (polite, _stdout) = start("exec sleep 1000");
        polite.terminate();
        assert!(polite.wait(Duration::from_secs(10)).await);
        assert!(polite.status().is_some_and(|status| !status.success()));

        let (deaf, stdout) = start("trap '' TERM; echo deaf; read x < /dev/zero");
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("deaf"));
        deaf.terminate();
        assert!(!deaf.wait(Duration::from_millis(100)).await);
    }
}
