//! A probe by a command: exit code 0 is success. It runs in a process group of its own, which is killed when the attempt
//! is given up.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A command that runs. Dropped before its end, it is killed with all that it has started in its group.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `None` once it has been waited for: from then on the id may be another's.
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a probe's command could not be killed");
        }
    }
}

pub(super) async fn run(command: &[String]) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err("there is no command".into()) };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    // tokio reaps the leader of a group that is killed in `drop`.
    let mut running = Running(child);
    match running.0.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status}")),
        Err(error) => Err(error.to_string()),
    }
}
