//! The log line of a connection of bytes, written when it has ended, as Envoy's TCP proxy does.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use meltemi_telemetry::ResponseFlags;
use meltemi_telemetry::access_log::{Entry, LogFormat};

use super::outcome::write_line;
use crate::io::Io;
use crate::worker::Worker;

/// A connection of which a line will tell.
pub(crate) struct Line {
    format: LogFormat,
    started: Instant,
    /// Its other end and ours; asked for while it stands, since a socket that is closed does not know them any more.
    addresses: Option<(SocketAddr, SocketAddr)>,
}

/// What became of it; what there was not stays as it is by default.
#[derive(Default)]
pub(crate) struct Ending<'a> {
    pub(crate) flags: ResponseFlags,
    /// Why it was refused, in Envoy's words for `response_code_details`.
    pub(crate) details: Option<&'a str>,
    /// Why it was ended, in Envoy's words for `connection_termination_details`.
    pub(crate) termination: Option<&'a str>,
    /// Why the other side was not reached.
    pub(crate) failure: Option<String>,
    /// Bytes of the caller's.
    pub(crate) received: u64,
    /// Bytes for the caller.
    pub(crate) sent: u64,
    /// The address that it went to.
    pub(crate) upstream: Option<String>,
    /// The cluster that was called, in Istio's form.
    pub(crate) cluster: Option<&'a str>,
    /// The server name of the caller's TLS.
    pub(crate) server_name: Option<&'a str>,
}

impl Line {
    /// Begins with the connection; `None` where no lines are written.
    pub(crate) fn begin(worker: &Worker, io: &Io) -> Option<Line> {
        let format = worker.shared.access_log?;
        Some(Line { format, started: Instant::now(), addresses: io.addresses() })
    }

    /// Writes it. There is no request: method and path stay empty and the status 0, as with Envoy.
    #[cold]
    pub(crate) fn end(self, ending: &Ending<'_>) {
        let took = self.started.elapsed();
        let [remote, local] = match self.addresses {
            Some((remote, local)) => [Some(remote.to_string()), Some(local.to_string())],
            None => [None, None],
        };
        let entry = Entry {
            start_time: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
            response_flags: ending.flags,
            response_code_details: ending.details,
            connection_termination_details: ending.termination,
            upstream_transport_failure_reason: ending.failure.as_deref(),
            bytes_received: ending.received,
            bytes_sent: ending.sent,
            duration: took,
            upstream_host: ending.upstream.as_deref(),
            upstream_cluster: ending.cluster,
            downstream_local_address: local.as_deref(),
            downstream_remote_address: remote.as_deref(),
            requested_server_name: ending.server_name,
            ..Entry::default()
        };
        write_line(self.format, &entry);
    }
}
