//! Why a demo fails.

use std::io;
use std::path::PathBuf;

use meltemi_telemetry::scrape::ScrapeError;
use thiserror::Error;

use crate::client::ClientError;

/// Why the demo could not be shown.
#[derive(Debug, Error)]
pub enum DemoError {
    /// SIGINT, SIGTERM or SIGHUP came before there was anything to show, or twice.
    #[error("interrupted before the traffic began")]
    Interrupted,
    /// The system refuses something.
    #[error("cannot {what}: {reason}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        reason: io::Error,
    },
    /// A process ended that had to go on.
    #[error("{name} ended ({how}) {when}; {log}")]
    Ended {
        /// The process' name.
        name: String,
        /// Its exit status.
        how: String,
        /// What it was to do first.
        when: &'static str,
        /// Its last log lines.
        log: String,
    },
    /// A process is not ready in time.
    #[error("{name} was not ready within {seconds} s ({missing}); {log}")]
    Late {
        /// The process' name.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it did not do.
        missing: &'static str,
        /// Its last log lines.
        log: String,
    },
    /// A process said something that cannot be understood.
    #[error("{name} said what cannot be understood: {what}")]
    Unclear {
        /// The process' name.
        name: String,
        /// What it said, and where.
        what: String,
    },
    /// The control plane's API did not answer as it should.
    #[error("the control plane: {0}")]
    Api(ClientError),
    /// A sidecar's metrics cannot be had.
    #[error("the metrics of {name} cannot be fetched: {reason}")]
    Fetch {
        /// The sidecar's name.
        name: String,
        /// What happened.
        reason: String,
    },
    /// A sidecar's metrics cannot be read.
    #[error("the metrics of {name}: {reason}")]
    Metrics {
        /// The sidecar's name.
        name: String,
        /// What is wrong with them.
        reason: ScrapeError,
    },
    /// Something is left.
    #[error("{0} could not be removed: look for processes that still use it, and remove it")]
    Left(PathBuf),
    /// There is nobody to show it to.
    #[error("standard output has gone")]
    NoReader,
}

impl DemoError {
    /// The system's refusal of something.
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> DemoError {
        let what = what.into();
        move |reason| DemoError::System { what, reason }
    }
}
