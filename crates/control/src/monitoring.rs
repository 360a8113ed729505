//! Metrics and health of the control plane, for Prometheus and for supervisors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use meltemi_discovery::{Keeper, Metrics, Publisher};
use meltemi_identity::Identity;
use meltemi_identity::ca::Authority;
use meltemi_telemetry::{Counter, Format, Gauge};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::key_sets::KeyFigures;

/// What is looked at for each scrape.
pub(crate) struct Sources {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) outcomes: Arc<Keeper>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) identity: Identity,
    pub(crate) keys: Arc<KeyFigures>,
    /// True while the control plane serves.
    pub(crate) ready: watch::Receiver<bool>,
}

/// The figures as they are written.
struct Figures {
    sources: Sources,
    written: meltemi_telemetry::Metrics,
    /// Each with where its value comes from.
    counters: Vec<(Counter, Read)>,
    gauges: Vec<(Gauge, Read)>,
    /// One scrape after the other, so that none counts twice.
    turn: Mutex<()>,
}

type Read = fn(&Sources) -> u64;

/// Name, help and source.
type Described = (&'static str, &'static str, Read);

const COUNTERS: [Described; 8] = [
    ("meltemi_discovery_pushes_total", "Responses sent because something changed.", |it| {
        load(&it.metrics.pushes)
    }),
    ("meltemi_discovery_answers_total", "Responses sent because a client asked.", |it| {
        load(&it.metrics.answers)
    }),
    ("meltemi_discovery_refusals_total", "Responses that a client could not use in full.", |it| {
        load(&it.metrics.refusals)
    }),
    (
        "meltemi_outcome_reports_refused_total",
        "Reports on an endpoint that were left out, since they cannot be.",
        |it| it.outcomes.refused(),
    ),
    ("meltemi_certificates_signed_total", "Certificates signed.", |it| {
        load(&it.metrics.certificates_signed)
    }),
    ("meltemi_certificates_refused_total", "Certificate requests refused.", |it| {
        load(&it.metrics.certificates_refused)
    }),
    ("meltemi_key_fetches_total", "Key sets for tokens that were fetched.", |it| {
        load(&it.keys.fetched)
    }),
    ("meltemi_key_fetch_failures_total", "Key sets for tokens that could not be fetched.", |it| {
        load(&it.keys.failed)
    }),
];

const GAUGES: [Described; 11] = [
    ("meltemi_discovery_sessions", "Discovery streams that stand.", |it| {
        load(&it.metrics.sessions)
    }),
    ("meltemi_ejected_endpoints", "Endpoints that all leave out, as callers found out.", |it| {
        it.outcomes.ejected() as u64
    }),
    ("meltemi_outcome_series", "Pairs of endpoint and caller of which outcomes are kept.", |it| {
        it.outcomes.size().0 as u64
    }),
    ("meltemi_outcome_windows", "Windows of outcomes that are kept.", |it| {
        it.outcomes.size().1 as u64
    }),
    ("meltemi_registered_workloads", "Workloads whose registration streams stand.", |it| {
        load(&it.metrics.registered)
    }),
    ("meltemi_store_version", "The version of the store that is published.", |it| {
        it.publisher.snapshot().version()
    }),
    ("meltemi_services", "Services in the registry.", |it| {
        it.publisher.snapshot().service_count() as u64
    }),
    ("meltemi_rejected_resources", "Resources that are set aside.", |it| {
        it.publisher.snapshot().rejected().len() as u64
    }),
    (
        "meltemi_key_sets_missing",
        "Sources of keys that have never been fetched: all tokens of their issuers are refused.",
        |it| load(&it.keys.missing),
    ),
    ("meltemi_ca_expiry_timestamp_seconds", "Until when the CA can sign.", |it| {
        seconds(it.authority.not_after())
    }),
    (
        "meltemi_certificate_expiry_timestamp_seconds",
        "Until when the control plane's own certificate is valid.",
        |it| seconds(it.identity.svid().not_after()),
    ),
];

/// The routes `/metrics`, `/healthz/ready` and `/healthz/live`.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz/ready", get(ready))
        .route("/healthz/live", get(|| async { "ok" }))
        .with_state(Arc::new(Figures::new(sources)))
}

impl Figures {
    fn new(sources: Sources) -> Self {
        let written = meltemi_telemetry::Metrics::new(1);
        let registry = written.registry();
        registry.constant(
            "meltemi_build_info",
            "The program that tells this.",
            &[("version", env!("CARGO_PKG_VERSION")), ("component", "control")],
            1.0,
        );
        let counters =
            COUNTERS.map(|(name, help, read)| (registry.counter(name, help, &[]), read)).into();
        let gauges =
            GAUGES.map(|(name, help, read)| (registry.gauge(name, help, &[]), read)).into();
        Figures { sources, written, counters, gauges, turn: Mutex::default() }
    }

    fn render(&self, format: Format) -> String {
        let _turn = self.turn.lock();
        for (counter, read) in &self.counters {
            counter.add(read(&self.sources).saturating_sub(counter.value()));
        }
        for (gauge, read) in &self.gauges {
            gauge.set(i64::try_from(read(&self.sources)).unwrap_or(i64::MAX));
        }
        self.written.render(format)
    }
}

async fn metrics(State(figures): State<Arc<Figures>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::of_accept(accept);
    ([(CONTENT_TYPE, format.content_type())], figures.render(format))
}

async fn ready(State(figures): State<Arc<Figures>>) -> (StatusCode, &'static str) {
    match *figures.sources.ready.borrow() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping"),
    }
}

fn load(figure: &AtomicU64) -> u64 {
    figure.load(Ordering::Relaxed)
}

fn seconds(time: std::time::SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
