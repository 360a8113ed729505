//! What a program is told when something of the mesh does not work.

use std::time::Duration;

use meltemi_proxy::in_process::CallError;
use meltemi_proxy::start::StartError;

/// Why something of the mesh does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The control plane is not there, or did not answer in time.
    #[error("no control plane: {0}; is `meltemi control` running, and is its address right?")]
    ControlPlane(String),
    /// The control plane does not let this workload in, or does not register it.
    #[error("the control plane refuses this workload: {0}")]
    Refused(String),
    /// The mesh knows no such service, or the service has no such port.
    #[error("unknown service: {0}")]
    UnknownService(String),
    /// The service is known, but none of its instances can be called.
    #[error("no instance of the service can be called: {0}")]
    NoInstance(String),
    /// The instance that was to call is not registered, or no longer.
    #[error("the instance is not registered: {0}")]
    Unregistered(String),
    /// The registration did not come to its end in time.
    #[error("not registered within {0:?}: {1}")]
    NotRegistered(Duration, String),
    /// The answer is longer than the caller takes, bytes.
    #[error("the result is longer than the {0} bytes that are taken")]
    TooLarge(usize),
    /// The request cannot be carried.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// The answer broke off before its end.
    #[error("the answer broke off before its end")]
    BrokenOff,
    /// What the program said of a control plane or a service makes no sense.
    #[error("{0}")]
    Settings(String),
    /// The process was forked after it had joined the mesh: threads and connections stayed with its parent.
    #[error(
        "this process was forked after it had joined the mesh, and its connections are its parent's: connect after the fork"
    )]
    Forked,
    /// The data path could not be started.
    #[error(transparent)]
    Start(StartError),
    /// The control plane in this process could not be started.
    #[error("the embedded control plane: {0}")]
    Embedded(String),
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Error {
        match error {
            StartError::Refused(reason) => Error::Refused(reason),
            StartError::Late(limit, reason) => {
                Error::ControlPlane(format!("not joined within {limit:?}: {reason}"))
            }
            other => Error::Start(other),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Error {
        match error {
            CallError::Malformed(why) => Error::Request(why.into()),
            CallError::BrokenOff => Error::BrokenOff,
            _ => Error::Unregistered("its data path has ended".into()),
        }
    }
}
