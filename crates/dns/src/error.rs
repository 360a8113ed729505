//! What can go wrong, in words for the operator.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// The name server could not be started.
#[derive(Debug, Error)]
pub enum Error {
    /// An address could not be listened on.
    #[error(
        "cannot listen for DNS on {address} ({transport}): {source}; stop what holds the port, or choose another address with --dns"
    )]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A socket that the caller bound does not tell its address.
    #[error("cannot read the address of a DNS socket: {0}")]
    Address(#[source] io::Error),
    /// The suffix of the mesh is not a domain name.
    #[error(
        "`{0}` is not a domain name: the DNS suffix of the mesh has the form `svc.cluster.local`"
    )]
    Suffix(String),
}

/// No resolver of the machine answered a question; the caller gets SERVFAIL.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// As many questions as are allowed wait for an answer already.
    #[error(
        "{limit} forwarded questions wait for answers already; look whether the machine's resolvers answer"
    )]
    Busy {
        /// How many may wait.
        limit: usize,
    },
    /// There is nobody to ask.
    #[error("no resolver is known besides this server; name one in {from}")]
    NoResolver {
        /// Where resolvers are named.
        from: String,
    },
    /// All were asked.
    #[error(
        "no resolver answered ({asked} asked, the last: {last}); look whether they are reachable from here"
    )]
    Unanswered {
        /// How many were asked.
        asked: usize,
        /// What happened with the last.
        last: String,
    },
    /// The question does not fit into a message.
    #[error("the question cannot be written: {0}")]
    Question(#[from] hickory_proto::ProtoError),
}
