//! Envoy's figures of routes as Prometheus reads them: one family after the other.

use std::fmt::Write;

use super::{Format, write_histogram};
use crate::render::text::{write_header, write_label};
use crate::route::{RouteEvent, RouteLabels, RouteSeries};

/// How a family's lines come out of a route's figures.
#[derive(Clone, Copy)]
enum Kind {
    Codes,
    Classes,
    Completed,
    Event(RouteEvent),
    Time,
}

/// Name, help, and what it is of. The names are those that Envoy's `/stats/prometheus` gives `vhost.HOST.route.PREFIX.*`:
/// host, prefix and status are labels there.
const FAMILIES: [(&str, &str, Kind); 10] = [
    ("envoy_vhost_route_upstream_rq", "Requests of a route by status.", Kind::Codes),
    ("envoy_vhost_route_upstream_rq_xx", "Requests of a route by class of status.", Kind::Classes),
    (
        "envoy_vhost_route_upstream_rq_completed",
        "Requests of a route that were answered.",
        Kind::Completed,
    ),
    (
        "envoy_vhost_route_upstream_rq_total",
        "Attempts of requests of a route.",
        Kind::Event(RouteEvent::Attempt),
    ),
    (
        "envoy_vhost_route_upstream_rq_timeout",
        "Requests of a route whose time for the whole answer was over.",
        Kind::Event(RouteEvent::Timeout),
    ),
    (
        "envoy_vhost_route_upstream_rq_retry",
        "Retries of requests of a route.",
        Kind::Event(RouteEvent::Retry),
    ),
    (
        "envoy_vhost_route_upstream_rq_retry_success",
        "Retries of requests of a route that succeeded.",
        Kind::Event(RouteEvent::RetrySuccess),
    ),
    (
        "envoy_vhost_route_upstream_rq_retry_limit_exceeded",
        "Requests of a route that were not retried again, as all retries were made.",
        Kind::Event(RouteEvent::RetryLimitExceeded),
    ),
    (
        "envoy_vhost_route_upstream_rq_retry_overflow",
        "Requests of a route that were not retried, as too many retries were under way.",
        Kind::Event(RouteEvent::RetryOverflow),
    ),
    (
        "envoy_vhost_route_upstream_rq_time",
        "Time from a whole request of a route to its whole answer in milliseconds.",
        Kind::Time,
    ),
];

/// Writes all figures of all routes. They are few: only rules that a user gave a name for statistics have any.
pub(super) fn write<'a>(
    routes: impl Iterator<Item = (&'a RouteLabels, &'a RouteSeries)> + Clone,
    format: Format,
    out: &mut String,
) {
    if routes.clone().next().is_none() {
        return;
    }
    for (name, help, kind) in FAMILIES {
        // OpenMetrics wants `_total` at the end of each counter, which Envoy's names have not: there they are of no
        // stated type.
        let of = match (kind, format) {
            (Kind::Time, _) => "histogram",
            (_, Format::Prometheus) => "counter",
            (_, Format::OpenMetrics) => "unknown",
        };
        write_header(out, name, help, of, format);
        for (labels, series) in routes.clone() {
            let mut text = String::new();
            write_label(&mut text, "envoy_virtual_host", labels.virtual_host.as_str());
            text.push(',');
            write_label(&mut text, "envoy_route", labels.route.as_str());
            write_one(name, kind, &text, series, format, out);
        }
    }
}

fn write_one(
    name: &str,
    kind: Kind,
    labels: &str,
    series: &RouteSeries,
    format: Format,
    out: &mut String,
) {
    match kind {
        Kind::Codes => {
            for (code, count) in series.codes() {
                let _ = writeln!(out, "{name}{{envoy_response_code=\"{code}\",{labels}}} {count}");
            }
        }
        Kind::Classes => {
            let codes = series.codes();
            for class in codes.chunk_by(|a, b| a.0 / 100 == b.0 / 100) {
                let (digit, count) = (class[0].0 / 100, class.iter().map(|it| it.1).sum::<u64>());
                let _ = writeln!(
                    out,
                    "{name}{{envoy_response_code_class=\"{digit}\",{labels}}} {count}"
                );
            }
        }
        Kind::Completed => {
            let count: u64 = series.codes().iter().map(|it| it.1).sum();
            let _ = writeln!(out, "{name}{{{labels}}} {count}");
        }
        Kind::Event(event) => {
            let _ = writeln!(out, "{name}{{{labels}}} {}", series.events(event));
        }
        Kind::Time => write_histogram(format, name, labels, &series.times(), 1000.0, out),
    }
}
