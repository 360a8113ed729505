//! What became of a request, as metrics and log tell it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meltemi_telemetry::access_log::{Entry, LogFormat};
use meltemi_telemetry::{PeerLabels, Reporter, ResponseFlags};

use super::series::{Kind, SeriesCache, SeriesKey};
use crate::http::head::{RequestHead, Version};
use crate::http::known::Known;
use crate::worker::Worker;

/// What became of a request.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Status sent to the caller; 0 if none was.
    pub(crate) status: u16,
    pub(crate) flags: ResponseFlags,
    pub(crate) grpc_status: Option<u8>,
    /// Bytes of the request's body.
    pub(crate) received: u64,
    /// Bytes of the response's body.
    pub(crate) sent: u64,
    /// Whether the caller's connection may go on.
    pub(crate) may_continue: bool,
    /// Why the answer is what it is, where that is more than the status says (`response_code_details`).
    pub(crate) details: Option<Arc<str>>,
    /// The endpoint's address, where there was one.
    pub(crate) upstream: Option<Arc<str>>,
}

impl Outcome {
    /// An outcome of which only the status is known.
    pub(crate) fn of(status: u16, flags: ResponseFlags) -> Outcome {
        Outcome {
            status,
            flags,
            grpc_status: None,
            received: 0,
            sent: 0,
            may_continue: true,
            details: None,
            upstream: None,
        }
    }
}

/// Where a request is counted.
pub(crate) struct Account<'a> {
    /// The series found before.
    pub(crate) cache: &'a RefCell<SeriesCache>,
    pub(crate) reporter: Reporter,
    /// Tells label sets apart within the cache; `None` where they are looked up each time.
    pub(crate) key: Option<u64>,
    /// The cluster that was called, `outbound|PORT|SUBSET|HOST` (Istio's names of Envoy's clusters).
    pub(crate) upstream_cluster: Option<&'a str>,
    /// What the rule is called that the request went by.
    pub(crate) route: Option<&'a str>,
}

/// Counts a request, and writes its line where lines are written.
pub(crate) fn finish(
    worker: &Worker,
    account: &Account<'_>,
    labels: impl FnOnce(Kind) -> Arc<PeerLabels>,
    head: &RequestHead,
    outcome: &Outcome,
    started: Instant,
) {
    let took = started.elapsed();
    let kind = if head.is_grpc() { Kind::Grpc } else { Kind::Http };
    let key = SeriesKey {
        reporter: account.reporter,
        party: account.key,
        kind,
        status: outcome.status,
        grpc_status: outcome.grpc_status,
        flags: outcome.flags,
    };
    let metrics = &worker.shared.metrics;
    let series = account.cache.borrow_mut().http(metrics, key, || labels(kind));
    series.record(worker.index, took, outcome.received, outcome.sent);
    if let Some(format) = worker.shared.access_log {
        log(format, account, head, outcome, took);
    }
}

#[cold]
fn log(
    format: LogFormat,
    account: &Account<'_>,
    head: &RequestHead,
    outcome: &Outcome,
    took: Duration,
) {
    let text = |bytes: &'_ [u8]| String::from_utf8_lossy(bytes).into_owned();
    let field = |name: &[u8]| head.fields.find_name(name).map(text);
    let (method, path, authority) =
        (text(head.method()), text(head.target()), text(head.authority()));
    // As Istio's format has it, the path that was asked for.
    let path = field(b"x-envoy-original-path").unwrap_or(path);
    let request_id = head.fields.find(Known::RequestId).map(text);
    let (forwarded_for, agent) = (field(b"x-forwarded-for"), field(b"user-agent"));
    let entry = Entry {
        start_time: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
        method: Some(&method),
        path: Some(&path),
        protocol: Some(match head.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        }),
        response_code: outcome.status,
        response_flags: outcome.flags,
        response_code_details: outcome.details.as_deref(),
        bytes_received: outcome.received,
        bytes_sent: outcome.sent,
        duration: took,
        x_forwarded_for: forwarded_for.as_deref(),
        user_agent: agent.as_deref(),
        request_id: request_id.as_deref(),
        authority: Some(&authority),
        upstream_host: outcome.upstream.as_deref(),
        upstream_cluster: account.upstream_cluster,
        route_name: account.route,
        ..Entry::default()
    };
    write_line(format, &entry);
}

/// Writes a line on standard output.
pub(super) fn write_line(format: LogFormat, entry: &Entry<'_>) {
    let mut line = Vec::with_capacity(512);
    // Standard output may be gone; what the line tells of is not.
    if entry.write(format, &mut line).is_ok() {
        let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), &line);
    }
}
