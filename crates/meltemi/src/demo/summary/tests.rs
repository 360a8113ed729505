//! The sum in figures, as JSON and as text.

use serde_json::json;

use super::super::figures::EndpointFigures;
use super::*;

fn report(requests: u64, succeeded: u64) -> Report {
    let latency = Latency { p50: 1.0, p90: 2.5, p99: 4.0 };
    let failures = match requests - succeeded {
        0 => BTreeMap::new(),
        failed => BTreeMap::from([("503".to_owned(), failed)]),
    };
    let latency_ms = (requests > 0).then_some(latency);
    Report { duration_s: 2.000_4, requests, succeeded, failures, latency_ms }
}

fn service(service: &'static str, requests: &[u64], mutual_tls: u64) -> ServiceFigures {
    let endpoints = requests.iter().map(|requests| EndpointFigures {
        address: "127.0.0.1:20001".into(),
        version: "v1",
        requests: *requests,
    });
    let counts = Counts { requests: requests.iter().sum(), mutual_tls, ..Counts::default() };
    ServiceFigures { service, counts, endpoints: endpoints.collect() }
}

#[test]
fn the_json_has_the_fields_that_programs_rely_on() {
    let services = vec![service("storefront", &[4], 4), service("reviews", &[2, 2], 3)];
    let summary = Summary::new(report(4, 3), services);
    let endpoint = |n| json!({"address": "127.0.0.1:20001", "version": "v1", "requests": n});
    let expected = json!({
        "duration_s": 2.0,
        "requests": 4,
        "succeeded": 3,
        "success_rate": 0.75,
        "latency_ms": {"p50": 1.0, "p90": 2.5, "p99": 4.0},
        "mtls_share": 0.875,
        "services": [
            {"name": "storefront", "requests": 4, "endpoints": [endpoint(4)]},
            {"name": "reviews", "requests": 4, "endpoints": [endpoint(2), endpoint(2)]},
        ],
    });
    assert_eq!(serde_json::to_value(&summary).unwrap(), expected);
    let text = summary.text();
    assert!(text.contains("75.00 % succeeded") && text.contains("1 failed: 503"), "{text}");
    assert!(text.contains("87.50 % of 8 requests"), "{text}");
}

#[test]
fn a_demo_went_well_if_nearly_all_of_some_requests_succeeded() {
    for (requests, succeeded, well) in
        [(0, 0, false), (1, 1, true), (1, 0, false), (1000, 999, true), (1000, 998, false)]
    {
        let summary = Summary::new(report(requests, succeeded), Vec::new());
        assert_eq!(summary.went_well(), well, "{succeeded} of {requests}");
        assert_eq!(summary.mtls_share, None);
    }
}

#[test]
fn only_the_whole_is_shown_as_the_whole() {
    assert_eq!(percent(1.0), "100.00 %");
    assert_eq!(percent(0.999_999), "99.99 %");
    assert_eq!(percent(1.0 / 3.0), "33.33 %");
    assert_eq!(percent(0.0), "0.00 %");
}
