//! All metrics of a process: finds the series of a label set, bounds how many there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::RwLock;

use crate::{
    Counter, Figures, Format, HttpLabels, HttpSeries, Registry, Rendering, Reporter, ResponseFlags,
    RouteLabels, RouteSeries, TcpLabels, TcpSeries,
};

/// How many label sets are kept unless another limit is given: with two shards below 13 MiB of
/// counters and at most about 50 MiB of labels.
pub const DEFAULT_SERIES_LIMIT: usize = 10_000;

/// Istio's standard metrics of one process, and its own small figures beside them.
///
/// Looking up a series takes a lock and compares strings: callers do it once per route, peer,
/// endpoint and response code, and keep what they get.
#[derive(Debug)]
pub struct Metrics {
    shards: usize,
    limit: usize,
    series: RwLock<Series>,
    registry: Registry,
    /// Look-ups that ended in the overflow series, as the limit was reached.
    overflows: Counter,
    started: SystemTime,
}

/// Ordered, so that scrapes list series in the same order.
#[derive(Debug, Default)]
struct Series {
    http: BTreeMap<HttpLabels, Arc<HttpSeries>>,
    tcp: BTreeMap<TcpLabels, Arc<TcpSeries>>,
    routes: BTreeMap<RouteLabels, Arc<RouteSeries>>,
}

impl Metrics {
    /// Metrics recorded by `shards` workers, with the default limit of series.
    pub fn new(shards: usize) -> Metrics {
        Metrics::with_limit(shards, DEFAULT_SERIES_LIMIT)
    }

    /// Metrics that keep at most `limit` label sets. Further ones are counted in one overflow series
    /// a reporter and protocol, all of whose names are `unknown`, and in
    /// `meltemi_metrics_overflows_total`: hostile label values cannot grow memory.
    pub fn with_limit(shards: usize, limit: usize) -> Metrics {
        let registry = Registry::default();
        let overflows = registry.counter(
            "meltemi_metrics_overflows_total",
            "Look-ups of label sets beyond the limit of series, counted as unknown.",
            &[],
        );
        Metrics {
            shards,
            limit,
            series: RwLock::default(),
            registry,
            overflows,
            started: SystemTime::now(),
        }
    }

    /// The series of an HTTP label set.
    pub fn http(&self, labels: &HttpLabels) -> Arc<HttpSeries> {
        if let Some(series) = self.series.read().http.get(labels) {
            return series.clone();
        }
        let mut series = self.series.write();
        let full = series.len() >= self.limit && !series.http.contains_key(labels);
        let key = if full { self.overflow_http(labels) } else { labels.clone() };
        let make = || Arc::new(HttpSeries::new(self.shards));
        series.http.entry(key).or_insert_with(make).clone()
    }

    /// The series of a TCP label set.
    pub fn tcp(&self, labels: &TcpLabels) -> Arc<TcpSeries> {
        if let Some(series) = self.series.read().tcp.get(labels) {
            return series.clone();
        }
        let mut series = self.series.write();
        let full = series.len() >= self.limit && !series.tcp.contains_key(labels);
        let key = if full { self.overflow_tcp(labels.reporter) } else { labels.clone() };
        let make = || Arc::new(TcpSeries::new(self.shards));
        series.tcp.entry(key).or_insert_with(make).clone()
    }

    /// The figures of a route that has a name for statistics.
    pub fn route(&self, labels: &RouteLabels) -> Arc<RouteSeries> {
        if let Some(series) = self.series.read().routes.get(labels) {
            return series.clone();
        }
        let mut series = self.series.write();
        let full = series.len() >= self.limit && !series.routes.contains_key(labels);
        let key = if full {
            self.overflows.add_one();
            RouteLabels::default()
        } else {
            labels.clone()
        };
        let make = || Arc::new(RouteSeries::new(self.shards));
        series.routes.entry(key).or_insert_with(make).clone()
    }

    /// The process' own counters and gauges.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything in one text. Prefer [`Metrics::rendering`] where the text can be sent in parts.
    pub fn render(&self, format: Format) -> String {
        self.rendering(format).collect()
    }

    /// Everything in parts of some 64 KiB, made as they are asked for: thousands of series make
    /// a text of many megabytes that need not be in memory at once.
    pub fn rendering(&self, format: Format) -> Rendering {
        self.rendering_with(format, Vec::new())
    }

    /// The same with further figures, which somebody keeps elsewhere; families without a sample are left out.
    pub fn rendering_with(&self, format: Format, more: Vec<Figures>) -> Rendering {
        let series = self.series.read();
        let http: Vec<_> = series.http.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let tcp: Vec<_> = series.tcp.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let routes: Vec<_> = series.routes.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        drop(series);
        let mut figures = self.registry.snapshot();
        figures.extend(more.into_iter().filter(|family| !family.samples.is_empty()));
        figures.extend(crate::process::figures(self.started));
        Rendering::new(format, http, tcp, routes, figures)
    }

    fn overflow_http(&self, labels: &HttpLabels) -> HttpLabels {
        self.overflows.add_one();
        HttpLabels {
            base: Arc::default(),
            reporter: labels.reporter,
            response_code: 0,
            grpc_status: None,
            flags: ResponseFlags::NONE,
        }
    }

    fn overflow_tcp(&self, reporter: Reporter) -> TcpLabels {
        self.overflows.add_one();
        TcpLabels { base: Arc::default(), reporter, flags: ResponseFlags::NONE }
    }
}

impl Series {
    fn len(&self) -> usize {
        self.http.len() + self.tcp.len() + self.routes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::PeerLabels;

    fn labels(service: &str, code: u16) -> HttpLabels {
        HttpLabels {
            base: Arc::new(PeerLabels { service: service.into(), ..PeerLabels::default() }),
            reporter: Reporter::Source,
            response_code: code,
            grpc_status: None,
            flags: ResponseFlags::NONE,
        }
    }

    #[test]
    fn equal_labels_are_one_series() {
        let metrics = Metrics::new(2);
        let (a, b) = (metrics.http(&labels("a", 200)), metrics.http(&labels("a", 200)));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &metrics.http(&labels("a", 404))));
    }

    #[test]
    fn hostile_labels_end_in_one_series_that_says_so() {
        let metrics = Metrics::with_limit(1, 10);
        for i in 0..1000 {
            metrics.http(&labels(&format!("host-{i}"), 200)).record(0, Duration::ZERO, 0, 0);
            let tcp = TcpLabels {
                base: labels(&format!("host-{i}"), 0).base,
                reporter: Reporter::Destination,
                flags: ResponseFlags::NONE,
            };
            metrics.tcp(&tcp).opened(0);
        }
        assert!(metrics.series.read().len() <= 12);
        let text = metrics.render(Format::Prometheus);
        let scrape = crate::scrape::parse(&text).unwrap();
        assert_eq!(scrape.sum("istio_requests_total", &[]), 1000.0);
        assert_eq!(scrape.sum("istio_tcp_connections_opened_total", &[]), 1000.0);
        let unknown = [("destination_service", "unknown")];
        assert_eq!(scrape.sum("istio_requests_total", &unknown), 995.0);
        assert_eq!(scrape.sum("meltemi_metrics_overflows_total", &[]), 1990.0);
    }
}
