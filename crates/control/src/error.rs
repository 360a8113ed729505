//! Why a control plane cannot start or go on, in words that say what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use meltemi_identity::ca::{AuthorityError, SignError};
use meltemi_identity::{BundleError, FileError, IdentityError};
use meltemi_store::StoreError;

/// What ends a control plane, at its start or later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The state directory, or a file of ours in it, cannot be used.
    #[error(
        "cannot write {path}: {source}; make it writable, free some space, or choose another --state-dir"
    )]
    StateDir {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of ours in the state directory cannot be read.
    #[error(
        "cannot read {path}: {source}; make it readable for this user, or choose another --state-dir"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The state directory is none.
    #[error(
        "{path} is a file, and the state directory has to be a directory: name one with --state-dir"
    )]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// Others could exchange the files in the state directory.
    #[error(
        "others can write to the state directory {path} (mode {mode:04o}): run `chmod go-w {path}`, or choose another --state-dir"
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another control plane has it.
    #[error(
        "the state directory {path} is in use by another control plane{holder}: stop that one, or choose another --state-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// ` (process PID)`, if it is known.
        holder: String,
    },
    /// A socket cannot be opened.
    #[error("cannot listen on {address} ({role}): {source}; {remedy}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        role: &'static str,
        /// The system's reason.
        source: io::Error,
        /// What to do.
        remedy: String,
    },
    /// A port without encryption would be open to other machines.
    #[error(
        "{role} on {address} is not encrypted, and other machines could reach it: listen on a loopback address ({flag}), or add --insecure-network if the network is trusted"
    )]
    Plaintext {
        /// What the address is for.
        role: &'static str,
        /// The address.
        address: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
    },
    /// An API without a token would be open to other machines.
    #[error(
        "--insecure-loopback opens the API to everybody who can connect, and {0} is not a loopback address: choose another --api, or leave the flag out"
    )]
    Open(SocketAddr),
    /// The CA.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Roots that are to be believed beside the CA's.
    #[error("--trust-root {path}: {source}")]
    TrustRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
    /// Roots in the mesh's settings.
    #[error("--mesh-config: caCertificates[{index}]: {reason}")]
    CaCertificate {
        /// Which entry, from zero.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A further name of the trust domain in the mesh's settings.
    #[error("--mesh-config: trustDomainAliases: {reason}")]
    TrustDomainAlias {
        /// What is wrong with it.
        reason: String,
    },
    /// The control plane's own certificate.
    #[error("the control plane's own certificate: {0}")]
    Sign(#[from] SignError),
    /// The control plane's own TLS configuration.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The key of join tokens.
    #[error("the key of join tokens: {0}")]
    TokenKey(FileError),
    /// Which single-use join tokens were used cannot be known.
    #[error(
        "the list of join tokens that were used: {0}; bring it back from a copy, or move it away: used tokens are good again then, until their time is over"
    )]
    SpentTokens(FileError),
    /// A file of a secret's cannot be written.
    #[error(transparent)]
    File(FileError),
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] meltemi_audit::OpenError),
    /// The name server.
    #[error(transparent)]
    Dns(#[from] meltemi_dns::Error),
    /// A part that should run for ever has ended.
    #[error("{0} has ended unexpectedly; see the log, and start the control plane again")]
    Ended(&'static str),
}
