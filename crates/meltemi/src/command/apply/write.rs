//! The writes of an apply. Until the last of them is done, a failure or a signal takes back those before it.

use std::fmt::Write as _;

use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::plan::{Outcome, Step};
use super::roll_back::{self, TakenBack};
use crate::client::{Client, ClientError};
use crate::exit::Failure;

/// Writes all objects, or none.
pub(super) async fn all(client: &mut Client, steps: &mut [Step<'_>]) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    for at in 0..steps.len() {
        let failure = if stop.is_told() {
            Broken::before(&steps[at], "the command was told to stop")
        } else if steps[at].outcome == Outcome::Unchanged {
            continue;
        } else {
            match steps[at].send(client, false).await {
                Ok(answer) => {
                    steps[at].take(answer);
                    continue;
                }
                Err(error) => Broken::at(&steps[at], &error),
            }
        };
        let taken_back = roll_back::all(client, &steps[..at]).await;
        let left = &steps[at + usize::from(failure.is_unknown)..];
        return Err(Failure::Failed(report(&failure, &taken_back, left)));
    }
    Ok(())
}

/// Why the writes did not go on.
struct Broken {
    why: String,
    /// The request may have arrived before the connection broke.
    is_unknown: bool,
}

impl Broken {
    fn before(step: &Step<'_>, why: &str) -> Self {
        Self { why: format!("{} was not applied: {why}", step.name()), is_unknown: false }
    }

    fn at(step: &Step<'_>, error: &ClientError) -> Self {
        match error {
            ClientError::Refused(_) | ClientError::Unreachable { .. } => {
                Self::before(step, &error.to_string())
            }
            _ => Self {
                why: format!("it is not known whether {} was applied: {error}", step.name()),
                is_unknown: true,
            },
        }
    }
}

/// Says exactly what stands on the server now.
fn report(failure: &Broken, taken_back: &TakenBack, left: &[Step<'_>]) -> String {
    let mut text = failure.why.clone();
    let mut tell = |what: &str, names: &[String]| {
        if !names.is_empty() {
            let _ = write!(text, "\n  {what}: {}", names.join(", "));
        }
    };
    tell("taken back", &taken_back.done);
    tell("applied, and not taken back", &taken_back.left);
    tell("not applied", &left.iter().map(Step::name).collect::<Vec<_>>());
    text.push_str(match taken_back.left.is_empty() && !failure.is_unknown {
        true => "\n  The control plane is as it was before.",
        false => "\n  See with `meltemi get` what is there, then apply again.",
    });
    text
}

/// SIGINT and SIGTERM, held back so that they do not leave half of an apply.
struct Stop([Signal; 2]);

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))
        };
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?]))
    }

    fn is_told(&mut self) -> bool {
        self.0.iter_mut().any(|signal| signal.recv().now_or_never().is_some())
    }
}
