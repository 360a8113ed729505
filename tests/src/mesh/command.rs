//! Commands that run to their end.

use std::fmt;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::patience::within;

/// How a command ended and what it said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { code, stdout, stderr } = self;
        write!(f, "exit code {code:?}\n{stdout}\n{stderr}")
    }
}

/// Runs a command with a text on its standard input.
///
/// # Panics
/// If it cannot be started or does not end.
pub async fn run(mut command: Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let write = async {
        // A command that refuses its arguments does not read.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
    };
    let what = format!("the end of {command:?}");
    let ((), output) = within(&what, async { tokio::join!(write, child.wait_with_output()) }).await;
    let output = output.expect("a command's output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
