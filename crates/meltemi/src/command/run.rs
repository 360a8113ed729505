//! `meltemi run`: a command with a sidecar beside it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use meltemi_proxy::Drain;
use meltemi_proxy::start::Running;
use tokio::sync::Notify;

use crate::child::{Asked, Child, Environment, Group, Signals};
use crate::exit::Failure;
use crate::sidecar;

const EXAMPLE: &str = "\
Example:
  meltemi run --service hello --port 8001 -- python3 -m http.server 8001
  # a client: what goes through HTTP_PROXY goes through the mesh
  meltemi run -- curl http://hello/
  # the same without a proxy setting
  meltemi run --upstream hello:8001=127.0.0.1:19001 -- curl http://127.0.0.1:19001/
  # as a member of a WorkloadGroup, which gives labels, ports and a probe
  meltemi run --group hello -- python3 -m http.server 8001
  # as a member of a mesh on other machines, with the files that `meltemi token create` makes there
  meltemi run --control https://HOST:15012 --token-file hello.token --trust-bundle mesh.pem --address THIS-MACHINE \\
    --service hello --port 8001 -- python3 -m http.server 8001

The command finds HTTP_PROXY, http_proxy and MELTEMI_SIDECAR_{WORKLOAD,OUTBOUND,INBOUND,ADMIN,METRICS,HEALTH} in its
environment. `run` ends with the command's exit code. SIGTERM and Ctrl-C first take the workload out of the mesh and let
its last request finish; a second one does not wait for that.";

/// Run a command with a sidecar beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, disable_version_flag = true)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    sidecar: sidecar::Args,
    /// How long the command may take to end after SIGTERM, before it is killed
    #[arg(long, env = "MELTEMI_TERMINATION_GRACE", default_value = "10s", value_parser = sidecar::time, value_name = "TIME")]
    termination_grace: Duration,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command, until it ends or is told to.
pub async fn run(args: Args) -> Result<(), Failure> {
    let Args { sidecar, termination_grace, command } = args;
    let mut signals = Signals::listen()?;
    let (options, teller) = sidecar.read(&program(&command))?;
    let group = Group::of(options.workload.service.is_some() || options.workload.group.is_some());
    let running = tokio::select! {
        started = sidecar::start(options) => started?,
        number = signals.stop() => return Err(Failure::Code(128 + number)),
    };
    teller.up(&running)?;
    let environment = Environment::new(teller.workload(), running.addresses());
    let child = Child::start(&command, &environment, group).map_err(|error| {
        Failure::Failed(format!(
            "no process can be made for the command: {error}; is a limit too low?"
        ))
    })?;
    running.measure_cpu(child.cpu_time());
    let quit = running.quit();
    let mut beside = Beside { child, signals, group, quit };
    let outcome = tokio::select! {
        ended = beside.until_stopped() => ended,
        failure = teller.when_ready(&running) => Err(failure),
    };
    let code = match outcome {
        Ok(Some(code)) => {
            tracing::info!(code, "command ended by itself");
            Ok(code)
        }
        Ok(None) => Ok(beside.stop(&running, termination_grace).await),
        Err(failure) => {
            beside.stop(&running, termination_grace).await;
            Err(failure)
        }
    };
    running.stop().await;
    match code? {
        0 => Ok(()),
        code => Err(Failure::Code(code)),
    }
}

/// The command's own name, for a workload that has none.
fn program(command: &[OsString]) -> String {
    let name = command.first().and_then(|program| Path::new(program).file_name());
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The command and those who have a say in its life.
struct Beside {
    child: Child,
    signals: Signals,
    group: Group,
    quit: std::sync::Arc<Notify>,
}

impl Beside {
    /// Passes signals on until somebody asks for the end (`None`), or the command ends (its exit code).
    async fn until_stopped(&mut self) -> Result<Option<i32>, Failure> {
        loop {
            tokio::select! {
                code = self.child.ended() => return Ok(Some(code)),
                asked = self.signals.next() => match asked {
                    Asked::Stop(_) => return Ok(None),
                    Asked::Pass(signal) => self.pass(signal),
                    Asked::Look => self.child.lend_terminal(),
                },
                () = self.quit.notified() => return Ok(None),
            }
        }
    }

    /// The workload leaves the mesh, its last request finishes, the command ends: in this order. Gives its exit code.
    async fn stop(&mut self, running: &Running, grace: Duration) -> i32 {
        if let Some(code) = self.drain(running).await {
            tracing::info!(code, "command ended by itself");
            return code;
        }
        let code = tokio::select! {
            code = self.child.end(grace) => code,
            _ = self.signals.stop() => {
                tracing::warn!("asked to stop again: killing the command");
                self.child.end(Duration::ZERO).await
            }
        };
        tracing::info!(code, "command ended");
        code
    }

    /// Waits for the drain, unless the command ends first (its exit code), or somebody asks to stop again.
    async fn drain(&mut self, running: &Running) -> Option<i32> {
        let mut drain = std::pin::pin!(running.drain(Drain::Inbound));
        loop {
            tokio::select! {
                () = &mut drain => return None,
                code = self.child.ended() => return Some(code),
                asked = self.signals.next() => match asked {
                    Asked::Stop(_) => {
                        tracing::warn!("asked to stop again: not waiting for the drain any longer");
                        return None;
                    }
                    Asked::Pass(signal) => self.pass(signal),
                    Asked::Look => self.child.lend_terminal(),
                },
            }
        }
    }

    /// What the terminal's keys send has reached a command of our own group already.
    fn pass(&self, signal: rustix::process::Signal) {
        use rustix::process::Signal;
        let is_of_a_key = [Signal::QUIT, Signal::WINCH].contains(&signal);
        if self.group == Group::Own || !is_of_a_key {
            self.child.signal(signal);
        }
    }
}
