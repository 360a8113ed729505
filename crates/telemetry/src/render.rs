//! A scrape's text: Prometheus 0.0.4 or OpenMetrics 1.0, made in parts as they are asked for.
//!
//! prometheus-client writes OpenMetrics only; both texts come from here, so that they agree.

mod route;
mod text;

use std::fmt::Write;
use std::sync::Arc;

use crate::histogram::{BOUNDS, Totals};
use crate::registry::Figures;
use crate::{
    HttpLabels, HttpSeries, RequestProtocol, RouteLabels, RouteSeries, TcpLabels, TcpSeries,
};
use text::{Bound, write_header, write_http_labels, write_labels, write_tcp_labels};

/// A part is handed out when it has grown beyond this many bytes.
const PART: usize = 64 * 1024;

/// The dialect of a scrape's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which every reader understands.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The dialect that an `Accept` header asks for: OpenMetrics only where it is named and liked at
    /// least as well as plain text.
    pub fn of_accept(accept: Option<&str>) -> Format {
        let accept = accept.unwrap_or_default();
        let open = quality(accept, "application/openmetrics-text");
        let plain = quality(accept, "text/plain");
        if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// The `Content-Type` to send with it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much an `Accept` header likes a media type that it names, 0 to 1; 0 if it does not name it.
fn quality(accept: &str, kind: &str) -> f32 {
    let named = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        parts.next()?.eq_ignore_ascii_case(kind).then_some(())?;
        let q = parts.find_map(|p| p.strip_prefix("q=")?.parse::<f32>().ok());
        Some(q.unwrap_or(1.0))
    };
    accept.split(',').map(str::trim).filter_map(named).fold(0.0, f32::max)
}

/// An iterator over the parts of a scrape's text. It holds the series, not their figures: each is
/// read when its line is written.
#[derive(Debug)]
pub struct Rendering {
    format: Format,
    http: Vec<(HttpLabels, Arc<HttpSeries>)>,
    tcp: Vec<(TcpLabels, Arc<TcpSeries>)>,
    routes: Vec<(RouteLabels, Arc<RouteSeries>)>,
    figures: Vec<Figures>,
    /// Index in [`FAMILIES`] of the family being written; beyond the last come the figures.
    family: usize,
    /// The series within the family that comes next.
    position: usize,
    /// Whether the last part was handed out.
    finished: bool,
}

/// One of Istio's standard metrics.
struct StandardFamily {
    name: &'static str,
    help: &'static str,
    kind: Kind,
}

/// How a family's lines come out of its series.
#[derive(Clone, Copy)]
enum Kind {
    HttpCounter(fn(&HttpSeries) -> u64),
    /// As above, for gRPC series alone.
    GrpcCounter(fn(&HttpSeries) -> u64),
    /// The totals, and what the recorded sum is divided by.
    HttpHistogram(fn(&HttpSeries) -> Totals, f64),
    TcpCounter(fn(&TcpSeries) -> u64),
}

const FAMILIES: [StandardFamily; 10] = [
    StandardFamily {
        name: "istio_requests_total",
        help: "Requests.",
        kind: Kind::HttpCounter(HttpSeries::requests),
    },
    StandardFamily {
        name: "istio_request_duration_milliseconds",
        help: "Duration of requests in milliseconds.",
        kind: Kind::HttpHistogram(HttpSeries::durations, 1000.0),
    },
    StandardFamily {
        name: "istio_request_bytes",
        help: "Size of requests in bytes.",
        kind: Kind::HttpHistogram(HttpSeries::request_bytes, 1.0),
    },
    StandardFamily {
        name: "istio_response_bytes",
        help: "Size of responses in bytes.",
        kind: Kind::HttpHistogram(HttpSeries::response_bytes, 1.0),
    },
    StandardFamily {
        name: "istio_request_messages_total",
        help: "gRPC messages sent by callers.",
        kind: Kind::GrpcCounter(HttpSeries::request_messages),
    },
    StandardFamily {
        name: "istio_response_messages_total",
        help: "gRPC messages sent by services.",
        kind: Kind::GrpcCounter(HttpSeries::response_messages),
    },
    StandardFamily {
        name: "istio_tcp_connections_opened_total",
        help: "TCP connections opened.",
        kind: Kind::TcpCounter(TcpSeries::total_opened),
    },
    StandardFamily {
        name: "istio_tcp_connections_closed_total",
        help: "TCP connections closed.",
        kind: Kind::TcpCounter(TcpSeries::total_closed),
    },
    StandardFamily {
        name: "istio_tcp_sent_bytes_total",
        help: "Bytes sent by services over TCP.",
        kind: Kind::TcpCounter(TcpSeries::total_sent),
    },
    StandardFamily {
        name: "istio_tcp_received_bytes_total",
        help: "Bytes received by services over TCP.",
        kind: Kind::TcpCounter(TcpSeries::total_received),
    },
];

impl Rendering {
    pub(crate) fn new(
        format: Format,
        http: Vec<(HttpLabels, Arc<HttpSeries>)>,
        tcp: Vec<(TcpLabels, Arc<TcpSeries>)>,
        routes: Vec<(RouteLabels, Arc<RouteSeries>)>,
        figures: Vec<Figures>,
    ) -> Rendering {
        Rendering { format, http, tcp, routes, figures, family: 0, position: 0, finished: false }
    }

    /// Writes the next series of the family, or goes on to the next family.
    fn step(&mut self, family: &StandardFamily, out: &mut String) {
        let written = match family.kind {
            Kind::TcpCounter(read) => self.tcp.get(self.position).map(|(labels, series)| {
                let mut text = String::new();
                write_tcp_labels(&mut text, labels);
                let _ = writeln!(out, "{}{{{text}}} {}", family.name, read(series));
            }),
            Kind::HttpCounter(_) | Kind::GrpcCounter(_) | Kind::HttpHistogram(..) => {
                let next = self.http.get(self.position);
                next.map(|(labels, series)| self.write_http(family, labels, series, out))
            }
        };
        self.position += 1;
        if written.is_none() {
            self.family += 1;
            self.position = 0;
        }
    }

    fn write_http(
        &self,
        family: &StandardFamily,
        labels: &HttpLabels,
        series: &HttpSeries,
        out: &mut String,
    ) {
        let grpc = labels.base.protocol == RequestProtocol::Grpc;
        let mut text = String::new();
        write_http_labels(&mut text, labels);
        match family.kind {
            Kind::HttpHistogram(read, unit) => {
                write_histogram(self.format, family.name, &text, &read(series), unit, out);
            }
            Kind::HttpCounter(read) => {
                let _ = writeln!(out, "{}{{{text}}} {}", family.name, read(series));
            }
            Kind::GrpcCounter(read) if grpc => {
                let _ = writeln!(out, "{}{{{text}}} {}", family.name, read(series));
            }
            Kind::GrpcCounter(_) | Kind::TcpCounter(_) => {}
        }
    }

    /// Writes the process' own figures and, where the format has one, the end mark.
    fn write_figures(&self, out: &mut String) {
        for family in &self.figures {
            let kind = if family.counter { "counter" } else { "gauge" };
            write_header(out, family.name, family.help, kind, self.format);
            for (labels, value) in &family.samples {
                out.push_str(family.name);
                write_labels(out, labels);
                let _ = writeln!(out, " {value}");
            }
        }
        if self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
    }

    /// Whether the family has a series at all; one without is not even named.
    fn is_empty(&self, family: &StandardFamily) -> bool {
        match family.kind {
            Kind::TcpCounter(_) => self.tcp.is_empty(),
            Kind::HttpCounter(_) | Kind::HttpHistogram(..) => self.http.is_empty(),
            Kind::GrpcCounter(_) => {
                !self.http.iter().any(|(l, _)| l.base.protocol == RequestProtocol::Grpc)
            }
        }
    }
}

/// Writes a histogram: buckets that each hold those before, the sum in `unit`, the count.
fn write_histogram(
    format: Format,
    name: &str,
    labels: &str,
    totals: &Totals,
    unit: f64,
    out: &mut String,
) {
    let mut below = 0;
    for (bound, count) in BOUNDS.iter().zip(&totals.buckets) {
        below += count;
        let bound = Bound(*bound, format);
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
    }
    let count = totals.count();
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", totals.sum as f64 / unit);
    let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
}

impl Iterator for Rendering {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.finished {
            return None;
        }
        let mut out = String::new();
        while let Some(family) = FAMILIES.get(self.family) {
            if self.is_empty(family) {
                self.family += 1;
                continue;
            }
            if self.position == 0 {
                let histogram = matches!(family.kind, Kind::HttpHistogram(..));
                let kind = if histogram { "histogram" } else { "counter" };
                write_header(&mut out, family.name, family.help, kind, self.format);
            }
            self.step(family, &mut out);
            if out.len() >= PART {
                return Some(out);
            }
        }
        let routes = self.routes.iter().map(|(labels, series)| (labels, &**series));
        route::write(routes, self.format, &mut out);
        self.write_figures(&mut out);
        self.finished = true;
        Some(out)
    }
}

#[cfg(test)]
mod tests;
