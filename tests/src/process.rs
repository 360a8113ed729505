//! A process of the mesh: its log goes to a file, which is shown when the test fails; it is ended by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::patience::within;

pub use rustix::process::Signal;

/// How much of a log is shown.
const SHOWN_LINES: usize = 80;

/// A running process; SIGKILL ends it at the latest when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Kept open: a program that writes to a closed pipe would be told so.
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a command; `directory` gets its standard error as `NAME.log`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}: {command:?}"));
        let output = child.stdout.take().expect("standard output is a pipe");
        let output = BufReader::new(output).lines();
        Process { name: name.to_owned(), child, log, output }
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process id is positive");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Kills it with SIGKILL and waits for its end.
    ///
    /// # Panics
    /// If it lives on.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it lives on.
    pub async fn ended(&mut self) -> ExitStatus {
        within(&format!("the end of {}", self.name), self.child.wait()).await.expect("a child")
    }

    /// Its exit status, if it has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The next line of its standard output; `None` at the end of it.
    ///
    /// # Panics
    /// If nothing comes.
    pub async fn line(&mut self) -> Option<String> {
        let line = self.output.next_line();
        within(&format!("a line of {}", self.name), line).await.expect("output is text")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("---- last lines of {}:\n{}\n----", self.name, shown.join("\n"));
        }
    }
}

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // After the name, which stands in parentheses and may hold any character.
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Kills a process, that a test's own process has started, with SIGKILL.
///
/// # Panics
/// If it is gone.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id is positive");
    kill_process(pid, Signal::KILL).expect("the process runs");
}

/// The running processes of a program among those that a process has started, and those that they have started.
///
/// # Panics
/// Where there is no `/proc`.
pub fn descendants(pid: u32, program: &str) -> Vec<u32> {
    // Of a program's name the kernel keeps 15 letters.
    let name = &program[..program.len().min(15)];
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(parent) = all.get(at).copied() {
        all.extend(children(parent));
        at += 1;
    }
    let is_of = |pid: &u32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        *pid != all[0] && comm.trim_end() == name
    };
    all.iter().copied().filter(is_of).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let parent = |it: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{it}/stat")).ok()?;
        // The name before it stands in parentheses and may hold any character.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    std::fs::read_dir("/proc")
        .expect("/proc can be read")
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .filter(|it| parent(*it) == Some(pid) && is_alive(*it))
        .collect()
}

/// A line of `/proc/PID/status` in KiB, for example `VmRSS` (resident memory) or `VmHWM` (its peak).
///
/// # Panics
/// If the process is gone.
pub fn memory_kib(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    status
        .lines()
        .find_map(|it| it.strip_prefix(line)?.strip_prefix(':')?.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no {line} of process {pid}"))
}
