//! What the sidecars beside the servers have counted, and what follows from it for each service.

use meltemi_telemetry::scrape::{Histogram, Sample, Scrape};

use super::plan::SERVICE_ORDER;
use super::sidecar::Sidecar;

const REQUESTS: &str = "istio_requests_total";
const DURATIONS: &str = "istio_request_duration_milliseconds";
/// The sidecar beside the server reports, not the one beside the caller.
const SERVER: (&str, &str) = ("reporter", "destination");

/// A sidecar's counters for what came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    /// Requests.
    pub(super) requests: u64,
    /// Those that were answered with neither an HTTP nor a gRPC error.
    pub(super) succeeded: u64,
    /// Those that came over mutual TLS.
    pub(super) mutual_tls: u64,
    /// How long they took, milliseconds.
    pub(super) durations: Histogram,
}

/// A service's figures over some time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceFigures {
    /// The service.
    pub(super) service: &'static str,
    /// All of its endpoints together.
    pub(super) counts: Counts,
    /// Each endpoint.
    pub(super) endpoints: Vec<EndpointFigures>,
}

/// An endpoint's share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EndpointFigures {
    /// Its address in the registry.
    pub(super) address: String,
    /// Its version.
    pub(super) version: &'static str,
    /// The requests that it had.
    pub(super) requests: u64,
}

impl Counts {
    /// Reads a sidecar's metrics.
    pub(super) fn of(scrape: &Scrape) -> Counts {
        let sum = |wanted: &dyn Fn(&Sample) -> bool| {
            let samples = scrape.select(REQUESTS, &[SERVER]).filter(|sample| wanted(sample));
            samples.map(|sample| sample.value).sum::<f64>() as u64
        };
        Counts {
            requests: sum(&|_| true),
            succeeded: sum(&is_success),
            mutual_tls: sum(&|it| it.label("connection_security_policy") == "mutual_tls"),
            durations: scrape.histogram(DURATIONS, &[SERVER]),
        }
    }

    /// What has come since an earlier count.
    pub(super) fn since(&self, earlier: &Counts) -> Counts {
        Counts {
            requests: self.requests.saturating_sub(earlier.requests),
            succeeded: self.succeeded.saturating_sub(earlier.succeeded),
            mutual_tls: self.mutual_tls.saturating_sub(earlier.mutual_tls),
            durations: self.durations.since(&earlier.durations),
        }
    }

    /// Adds another sidecar's counts.
    pub(super) fn add(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.succeeded += other.succeeded;
        self.mutual_tls += other.mutual_tls;
        for (bound, count) in &other.durations.buckets {
            let buckets = &mut self.durations.buckets;
            match buckets.iter_mut().find(|(own, _)| own == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((*bound, *count)),
            }
        }
    }

    /// The share of requests that were answered well; none without requests.
    pub(super) fn success_rate(&self) -> Option<f64> {
        share(self.succeeded, self.requests)
    }

    /// The share of requests that came over mutual TLS; none without requests.
    pub(super) fn mtls_share(&self) -> Option<f64> {
        share(self.mutual_tls, self.requests)
    }
}

/// A part of a whole, if there is a whole.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn is_success(sample: &Sample) -> bool {
    let code: u16 = sample.label("response_code").parse().unwrap_or_default();
    (100..400).contains(&code) && matches!(sample.label("grpc_response_status"), "" | "0")
}

/// The figures of all services; `counts` has those of each sidecar.
pub(super) fn by_service(sidecars: &[Sidecar], counts: &[Counts]) -> Vec<ServiceFigures> {
    let of = |service| {
        let mut figures =
            ServiceFigures { service, counts: Counts::default(), endpoints: Vec::new() };
        for (sidecar, counts) in sidecars.iter().zip(counts) {
            if sidecar.instance.service == service {
                figures.counts.add(counts);
                figures.endpoints.push(EndpointFigures {
                    address: sidecar.address.clone(),
                    version: sidecar.instance.version,
                    requests: counts.requests,
                });
            }
        }
        figures
    };
    SERVICE_ORDER.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use meltemi_telemetry::scrape::parse;

    use super::*;

    const TEXT: &str = r#"
istio_requests_total{reporter="destination",response_code="200",grpc_response_status="",connection_security_policy="mutual_tls"} 90
istio_requests_total{reporter="destination",response_code="200",grpc_response_status="0",connection_security_policy="mutual_tls"} 5
istio_requests_total{reporter="destination",response_code="200",grpc_response_status="14",connection_security_policy="mutual_tls"} 2
istio_requests_total{reporter="destination",response_code="503",grpc_response_status="",connection_security_policy="none"} 3
istio_requests_total{reporter="source",response_code="200",grpc_response_status="",connection_security_policy="unknown"} 1000
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="200",le="1"} 50
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="200",le="+Inf"} 97
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="503",le="1"} 0
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="503",le="+Inf"} 3
istio_request_duration_milliseconds_bucket{reporter="source",response_code="200",le="+Inf"} 1000
"#;

    #[test]
    fn only_what_came_in_is_counted_and_errors_of_grpc_are_errors() {
        let counts = Counts::of(&parse(TEXT).unwrap());
        assert_eq!((counts.requests, counts.succeeded, counts.mutual_tls), (100, 95, 97));
        assert_eq!(counts.durations.buckets, [(1.0, 50.0), (f64::INFINITY, 100.0)]);
        assert_eq!((counts.success_rate(), counts.mtls_share()), (Some(0.95), Some(0.97)));
    }

    #[test]
    fn counts_are_told_apart_in_time_and_added_up_over_endpoints() {
        let now = Counts::of(&parse(TEXT).unwrap());
        let nothing = now.since(&now);
        assert_eq!(
            (nothing.requests, nothing.success_rate(), nothing.mtls_share()),
            (0, None, None)
        );
        assert_eq!(nothing.durations.count(), 0.0);
        let mut two = Counts::default();
        two.add(&now);
        two.add(&now);
        assert_eq!((two.requests, two.succeeded, two.mutual_tls), (200, 190, 194));
        assert_eq!(two.durations.buckets, [(1.0, 100.0), (f64::INFINITY, 200.0)]);
    }
}
