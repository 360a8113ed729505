//! A proxy under callgrind: how it is started, and how it is told from outside when to count and when to write.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::GuardError;
use super::profile::Profile;

/// Has the sidecar not start itself anew to switch huge pages off (`crates/meltemi/src/memory.rs`), which valgrind cannot
/// follow. Its data path is the same.
const ONCE: &str = "MELTEMI_HUGE_PAGES_OFF=1";
/// How long a command may take; the process hears of it at its next block of code, or is woken.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program is started by. Nothing is counted yet: it starts in two seconds instead of a minute so, most of which
/// is the gathering of entropy.
pub fn words(directory: &Path) -> Vec<String> {
    let mut words = ["env", ONCE, "valgrind", "--tool=callgrind"].map(str::to_owned).to_vec();
    words.extend(
        ["--instr-atstart=no", "--compress-strings=no", "--dump-line=no"].map(str::to_owned),
    );
    words.push(format!("--callgrind-out-file={}", profiles(directory).display()));
    words.push(prefix(directory));
    words
}

/// Where it writes; the number of the profile is put behind.
fn profiles(directory: &Path) -> PathBuf {
    directory.join("callgrind.out")
}

/// Where it is talked to.
fn prefix(directory: &Path) -> String {
    format!("--vgdb-prefix={}", directory.join("vgdb").display())
}

/// Whether valgrind is there.
///
/// # Errors
/// It is not, and how to install it.
pub async fn check() -> Result<(), GuardError> {
    for program in ["valgrind", "vgdb"] {
        // vgdb has no option that does nothing but this one.
        let option = if program == "vgdb" { "--help" } else { "--version" };
        let refused = |reason: String| GuardError::NoValgrind { program, reason };
        let output = output(Command::new(program).arg(option)).await.map_err(refused)?;
        if program == "valgrind" && !output.status.success() {
            return Err(refused(text(&output)));
        }
    }
    Ok(())
}

/// A process under callgrind.
#[derive(Debug)]
pub struct Callgrind {
    pid: u32,
    directory: PathBuf,
    /// How many profiles it has written.
    written: u32,
}

impl Callgrind {
    /// A process that was started by [`words`].
    pub fn new(pid: u32, directory: &Path) -> Callgrind {
        Callgrind { pid, directory: directory.to_owned(), written: 0 }
    }

    /// Begins to count.
    pub async fn begin(&self) -> Result<(), GuardError> {
        self.tell("instrumentation on").await
    }

    /// Takes what was counted since the last time, read and as it was written.
    pub async fn take(&mut self) -> Result<(Profile, String), GuardError> {
        self.tell("dump").await?;
        self.written += 1;
        let file = profiles(&self.directory).with_extension(format!("out.{}", self.written));
        let failed = |reason: String| GuardError::Profile { file: file.clone(), reason };
        let text = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        let profile = Profile::parse(&text).map_err(failed)?;
        Ok((profile, text))
    }

    /// Gives it a command, and waits until it has done it.
    async fn tell(&self, command: &'static str) -> Result<(), GuardError> {
        let refused = |reason: String| GuardError::Disobeyed { command, pid: self.pid, reason };
        let mut vgdb = Command::new("vgdb");
        vgdb.arg(prefix(&self.directory)).arg(format!("--pid={}", self.pid));
        vgdb.args(command.split(' '));
        let output = output(&mut vgdb).await.map_err(refused)?;
        if output.status.success() { Ok(()) } else { Err(refused(text(&output))) }
    }
}

async fn output(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(PATIENCE, output).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it did not end within {PATIENCE:?}")),
    }
}

fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    format!("{}, {}", output.status, said.trim())
}
