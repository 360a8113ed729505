//! `meltemi demo`: a whole mesh on a laptop.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::demo::{self, DemoError, Options, Summary};
use crate::exit::Failure;
use crate::{output, sidecar};

const DETAILS: &str = "\
The bookshop has four services, each program its own process with a sidecar beside it:
  storefront -> catalog (gRPC), reviews v1, v2, v3 (HTTP); reviews -> ratings (HTTP)
All calls between them go from sidecar to sidecar over mutual TLS. Everything listens on
loopback only, keeps its state in a temporary directory, and is gone when the demo ends.

The demo ends after --duration, or with Ctrl-C (a second one ends it at once). Its exit code is
0 if there was at least one request and 99.9 % of all succeeded, else 1.

Examples:
  meltemi demo
  meltemi demo --duration 20s --rate 500 --output json";

/// Show a whole mesh: a control plane, a sample application with sidecars, and traffic
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// How long traffic flows, as 20s, 5m or 1h; until Ctrl-C if not given
    #[arg(long, env = "MELTEMI_DEMO_DURATION", value_parser = duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Requests a second that a shopper sends to the storefront
    #[arg(long, env = "MELTEMI_DEMO_RATE", default_value = "200", value_name = "N")]
    rate: NonZeroU32,
    /// A live table and a summary, or one JSON object at the end
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORM")]
    output: Form,
    /// Clears up after a demo; for the demo itself to start
    #[arg(long, hide = true, value_name = "DIR")]
    clear: Option<PathBuf>,
}

/// What goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A live table, then a summary.
    Table,
    /// The summary as one JSON object.
    Json,
}

/// Shows the demo.
pub async fn run(args: Args) -> Result<(), Failure> {
    if let Some(directory) = args.clear {
        return demo::clear(&directory).map_err(|error| {
            Failure::Failed(format!("cannot clear up {}: {error}", directory.display()))
        });
    }
    let live = args.output == Form::Table;
    if live && stdout().is_terminal() {
        output::line("Starting a control plane and six programs, each with a sidecar ...")?;
    }
    let options = Options { duration: args.duration, rate: args.rate, live };
    let summary = demo::show(options).await.map_err(failure)?;
    print(&summary, args.output)?;
    if summary.went_well() { Ok(()) } else { Err(Failure::Code(1)) }
}

fn print(summary: &Summary, form: Form) -> Result<(), Failure> {
    match form {
        Form::Table => output::print(&format!("\n{}", summary.text())),
        Form::Json => {
            let text = serde_json::to_string(summary)
                .map_err(|error| Failure::Failed(format!("cannot write the summary: {error}")))?;
            output::line(&text)
        }
    }
}

fn failure(error: DemoError) -> Failure {
    match error {
        DemoError::NoReader => Failure::Code(0),
        error => Failure::Failed(error.to_string()),
    }
}

/// A time that is not nothing.
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = sidecar::time(text)?;
    if time.is_zero() { Err("no time at all: use for example 20s".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused() {
        for (text, millis) in [
            ("20s", Some(20_000)),
            ("500ms", Some(500)),
            ("2h", Some(7_200_000)),
            ("20", None),
            ("", None),
            ("0s", None),
        ] {
            let read = duration(text).ok().map(|time| time.as_millis());
            assert_eq!(read, millis, "{text}");
        }
    }
}
