//! The text formats, line by line.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{Metrics, Party, PeerLabels, Reporter, ResponseFlags, SecurityPolicy};

fn base(protocol: RequestProtocol) -> Arc<PeerLabels> {
    let party = |name: &str, version: &str| Party {
        workload: name.into(),
        namespace: "default".into(),
        principal: format!("spiffe://cluster.local/ns/default/sa/{name}").as_str().into(),
        app: name.into(),
        version: version.into(),
        canonical_service: name.into(),
        canonical_revision: version.into(),
        cluster: "Kubernetes".into(),
    };
    Arc::new(PeerLabels {
        source: party("client", ""),
        destination: party("hello", "v1"),
        service: "hello.default.svc.cluster.local".into(),
        service_name: "hello".into(),
        service_namespace: "default".into(),
        security: SecurityPolicy::MutualTls,
        protocol,
    })
}

fn http(reporter: Reporter, protocol: RequestProtocol, grpc_status: Option<u8>) -> HttpLabels {
    let flags = ResponseFlags::NONE;
    HttpLabels { base: base(protocol), reporter, response_code: 200, grpc_status, flags }
}

const HTTP_LABELS: &str = "reporter=\"destination\",source_workload=\"client\",\
source_canonical_service=\"client\",source_canonical_revision=\"unknown\",\
source_workload_namespace=\"default\",\
source_principal=\"spiffe://cluster.local/ns/default/sa/client\",source_app=\"client\",\
source_version=\"unknown\",source_cluster=\"Kubernetes\",destination_workload=\"hello\",\
destination_canonical_service=\"hello\",destination_canonical_revision=\"v1\",\
destination_workload_namespace=\"default\",\
destination_principal=\"spiffe://cluster.local/ns/default/sa/hello\",destination_app=\"hello\",\
destination_version=\"v1\",destination_cluster=\"Kubernetes\",\
destination_service=\"hello.default.svc.cluster.local\",destination_service_name=\"hello\",\
destination_service_namespace=\"default\",request_protocol=\"http\",response_code=\"200\",\
grpc_response_status=\"\",response_flags=\"-\",connection_security_policy=\"mutual_tls\"";

#[test]
fn an_http_series_bears_istios_labels() {
    let metrics = Metrics::new(2);
    let series = metrics.http(&http(Reporter::Destination, RequestProtocol::Http, None));
    series.record(0, Duration::from_micros(1500), 100, 2000);
    series.record(1, Duration::from_micros(400), 0, 3_600_001);
    let text = metrics.render(Format::Prometheus);
    for line in [
        "# TYPE istio_requests_total counter".to_owned(),
        "# TYPE istio_request_duration_milliseconds histogram".to_owned(),
        format!("istio_requests_total{{{HTTP_LABELS}}} 2"),
        format!("istio_request_duration_milliseconds_bucket{{{HTTP_LABELS},le=\"0.5\"}} 1"),
        format!("istio_request_duration_milliseconds_bucket{{{HTTP_LABELS},le=\"1\"}} 1"),
        format!("istio_request_duration_milliseconds_bucket{{{HTTP_LABELS},le=\"5\"}} 2"),
        format!("istio_request_duration_milliseconds_bucket{{{HTTP_LABELS},le=\"3600000\"}} 2"),
        format!("istio_request_duration_milliseconds_bucket{{{HTTP_LABELS},le=\"+Inf\"}} 2"),
        format!("istio_request_duration_milliseconds_sum{{{HTTP_LABELS}}} 1.9"),
        format!("istio_request_duration_milliseconds_count{{{HTTP_LABELS}}} 2"),
        format!("istio_response_bytes_bucket{{{HTTP_LABELS},le=\"3600000\"}} 1"),
        format!("istio_response_bytes_bucket{{{HTTP_LABELS},le=\"+Inf\"}} 2"),
        format!("istio_request_bytes_sum{{{HTTP_LABELS}}} 100"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
    assert!(!text.contains("messages_total"), "messages are counted for gRPC alone");
    assert!(!text.contains("istio_tcp"), "a family without series is not named");
    assert!(!text.contains("# EOF"));
}

#[test]
fn the_source_cannot_tell_how_the_connection_was_taken() {
    let metrics = Metrics::new(1);
    metrics.http(&http(Reporter::Source, RequestProtocol::Http, None));
    let text = metrics.render(Format::Prometheus);
    assert!(text.contains("connection_security_policy=\"unknown\""));
    assert!(!text.contains("mutual_tls"));
}

#[test]
fn grpc_series_count_messages_and_bear_the_status() {
    let metrics = Metrics::new(1);
    metrics.http(&http(Reporter::Source, RequestProtocol::Grpc, Some(14))).messages(0, 3, 5);
    metrics.http(&http(Reporter::Source, RequestProtocol::Http, None));
    let scrape = crate::scrape::parse(&metrics.render(Format::Prometheus)).unwrap();
    let status = [("grpc_response_status", "14"), ("request_protocol", "grpc")];
    assert_eq!(scrape.sum("istio_request_messages_total", &status), 3.0);
    assert_eq!(scrape.sum("istio_response_messages_total", &[]), 5.0);
    assert_eq!(scrape.select("istio_response_messages_total", &[]).count(), 1);
}

#[test]
fn a_tcp_series_has_four_counters() {
    let metrics = Metrics::new(2);
    let labels = TcpLabels {
        base: base(RequestProtocol::Tcp),
        reporter: Reporter::Source,
        flags: ResponseFlags::UF | ResponseFlags::URX,
    };
    let series = metrics.tcp(&labels);
    series.opened(0);
    series.closed(1);
    series.sent(0, 10);
    series.received(1, 20);
    let scrape = crate::scrape::parse(&metrics.render(Format::Prometheus)).unwrap();
    let filter = [("request_protocol", "tcp"), ("response_flags", "UF,URX")];
    for (name, expected) in [
        ("istio_tcp_connections_opened_total", 1.0),
        ("istio_tcp_connections_closed_total", 1.0),
        ("istio_tcp_sent_bytes_total", 10.0),
        ("istio_tcp_received_bytes_total", 20.0),
    ] {
        assert_eq!(scrape.sum(name, &filter), expected, "{name}");
    }
    assert_eq!(scrape.select("istio_tcp_sent_bytes_total", &[("response_code", "0")]).count(), 0);
}

#[test]
fn openmetrics_differs_where_it_must() {
    let metrics = Metrics::new(1);
    let series = metrics.http(&http(Reporter::Source, RequestProtocol::Http, None));
    series.record(0, Duration::from_millis(1), 1, 1);
    let text = metrics.render(Format::OpenMetrics);
    assert!(text.contains("# TYPE istio_requests counter\n"));
    assert!(text.contains("\nistio_requests_total{"));
    assert!(text.contains("le=\"1.0\"") && text.contains("le=\"0.5\"") && text.contains("+Inf"));
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[test]
fn hostile_values_are_escaped_and_read_back() {
    let metrics = Metrics::new(1);
    let hostile = "a\"} 1\nistio_requests_total{x=\"\\";
    let service = PeerLabels { service: hostile.into(), ..PeerLabels::default() };
    metrics.http(&HttpLabels {
        base: Arc::new(service),
        ..http(Reporter::Source, RequestProtocol::Http, None)
    });
    metrics.registry().counter("meltemi_x_total", "X.", &[("name", hostile)]).add(7);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let scrape = crate::scrape::parse(&metrics.render(format)).unwrap();
        let filter = [("destination_service", hostile)];
        assert_eq!(scrape.select("istio_requests_total", &filter).count(), 1);
        assert_eq!(scrape.sum("meltemi_x_total", &[("name", hostile)]), 7.0);
    }
}

#[test]
fn a_large_scrape_comes_in_parts_that_make_the_whole() {
    let metrics = Metrics::new(1);
    for code in 0..100 {
        let labels = http(Reporter::Source, RequestProtocol::Http, None);
        metrics.http(&HttpLabels { response_code: code, ..labels });
    }
    let parts: Vec<String> = metrics.rendering(Format::Prometheus).collect();
    assert!(parts.len() > 10);
    assert!(parts.iter().all(|p| p.len() < 2 * PART));
    let whole = parts.concat();
    assert_eq!(whole.matches("# TYPE istio_request_bytes histogram").count(), 1);
    assert_eq!(whole.matches("istio_requests_total{").count(), 100);
    assert_eq!(whole.matches("istio_response_bytes_count{").count(), 100);
}

#[test]
fn openmetrics_is_sent_to_those_who_ask_for_it() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, expected) in [
        (None, Format::Prometheus),
        (Some("*/*"), Format::Prometheus),
        (Some("text/plain"), Format::Prometheus),
        (Some(prometheus), Format::OpenMetrics),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
        (Some("application/openmetrics-text;q=0"), Format::Prometheus),
        (Some("text/plain;q=0.9, application/openmetrics-text;q=0.1"), Format::Prometheus),
    ] {
        assert_eq!(Format::of_accept(accept), expected, "{accept:?}");
    }
}

#[test]
fn a_route_bears_the_names_that_envoy_gives_it() {
    let metrics = Metrics::new(2);
    assert!(!metrics.render(Format::Prometheus).contains("envoy_vhost"), "no route, no family");
    let labels = RouteLabels { virtual_host: "hello:80".into(), route: "checkout".into() };
    let series = metrics.route(&labels);
    for (worker, status) in [(0, 200), (1, 200), (0, 204), (1, 503)] {
        series.answered(worker, status);
    }
    series.event(0, crate::RouteEvent::Retry);
    series.took(1, Duration::from_micros(1500));
    let text = metrics.render(Format::Prometheus);
    let of = "envoy_virtual_host=\"hello:80\",envoy_route=\"checkout\"";
    for line in [
        "# TYPE envoy_vhost_route_upstream_rq counter".to_owned(),
        "# TYPE envoy_vhost_route_upstream_rq_time histogram".to_owned(),
        format!("envoy_vhost_route_upstream_rq{{envoy_response_code=\"200\",{of}}} 2"),
        format!("envoy_vhost_route_upstream_rq{{envoy_response_code=\"503\",{of}}} 1"),
        format!("envoy_vhost_route_upstream_rq_xx{{envoy_response_code_class=\"2\",{of}}} 3"),
        format!("envoy_vhost_route_upstream_rq_xx{{envoy_response_code_class=\"5\",{of}}} 1"),
        format!("envoy_vhost_route_upstream_rq_completed{{{of}}} 4"),
        format!("envoy_vhost_route_upstream_rq_retry{{{of}}} 1"),
        format!("envoy_vhost_route_upstream_rq_timeout{{{of}}} 0"),
        format!("envoy_vhost_route_upstream_rq_time_sum{{{of}}} 1.5"),
        format!("envoy_vhost_route_upstream_rq_time_bucket{{{of},le=\"5\"}} 1"),
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    let open = metrics.render(Format::OpenMetrics);
    assert!(open.contains("# TYPE envoy_vhost_route_upstream_rq_total unknown"), "{open}");
}
