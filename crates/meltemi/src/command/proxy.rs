//! `meltemi proxy`: the sidecar alone, for an application that somebody else starts.

use meltemi_proxy::Drain;

use crate::child::Signals;
use crate::exit::Failure;
use crate::sidecar;

const EXAMPLE: &str = "\
Example:
  meltemi proxy --service hello --port 8001 --name hello-1
  # what the WorkloadGroup `hello` says of its members: labels, ports, place, and how they are probed
  meltemi proxy --group hello --name hello-1
  # where systemd or a container runtime starts the application: on another machine than the control plane's
  meltemi proxy --service hello --port 8001 --name hello-1 --address 10.0.0.7 \\
    --control https://mesh.example.com:15012 --token-file hello.token --trust-bundle mesh.pem
  # with a certificate of SPIRE's, which the control plane believes by `meltemi control --trust-root spire.pem`
  meltemi proxy --service hello --port 8001 --spiffe-endpoint-socket unix:///run/spire/agent.sock";

/// Run a sidecar alone, beside an application that is started elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, disable_version_flag = true)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    sidecar: sidecar::Args,
}

/// Runs the sidecar, until it is told to stop.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let (options, teller) = args.sidecar.read("proxy")?;
    let running = tokio::select! {
        started = sidecar::start(options) => started?,
        number = signals.stop() => return Err(Failure::Code(128 + number)),
    };
    teller.up(&running)?;
    let quit = running.quit();
    let failed = tokio::select! {
        _ = signals.stop() => None,
        () = quit.notified() => None,
        failure = teller.when_ready(&running) => Some(failure),
    };
    tokio::select! {
        () = running.drain(Drain::Everything) => {}
        _ = signals.stop() => {
            tracing::warn!("asked to stop again: not waiting for the drain any longer");
        }
    }
    running.stop().await;
    failed.map_or(Ok(()), Err)
}
