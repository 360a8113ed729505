//! Why a benchmark did not come to an end.

use std::io;
use std::process::ExitStatus;

use crate::guard::GuardError;

/// Why a benchmark did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A process ended that should have gone on.
    #[error("{name} ended ({status}); {log}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// A process did not get ready, or did not answer as it should.
    #[error("{name}: {what}; {log}")]
    NotReady {
        /// Which.
        name: String,
        /// What is missing.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// A child said something that is not understood.
    #[error("{name} said {said:?}: {reason}")]
    Unclear {
        /// Which.
        name: String,
        /// What it said.
        said: String,
        /// What is wrong with that.
        reason: String,
    },
    /// Certificates could not be made.
    #[error("cannot make certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// TLS of the relay could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Requests failed, and none may.
    #[error("{name}: {requests} requests failed, the first: {first}")]
    Failed {
        /// Whose.
        name: &'static str,
        /// How many.
        requests: u64,
        /// The first one's reason.
        first: String,
    },
    /// Fewer requests were answered in time than must be.
    #[error(
        "{policy}: {percent:.2} % of the requests were answered in time; expected {least} to {most} %"
    )]
    Share {
        /// Under which policy.
        policy: &'static str,
        /// How many were.
        percent: f64,
        /// The least that is well.
        least: f64,
        /// The most.
        most: f64,
    },
    /// An experiment cannot be made, or was cut short.
    #[error("{0}")]
    Incomplete(String),
    /// There is nothing to measure.
    #[error(
        "none of the contestants that were asked for is installed: see the notes above and bench/README.md"
    )]
    Nobody,
    /// The guard's own.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl BenchError {
    /// For `map_err`: what was tried when the system refused.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> BenchError {
        let what = what.into();
        move |source| BenchError::System { what, source }
    }
}
