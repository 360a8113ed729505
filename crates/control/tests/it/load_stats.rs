//! Envoy's load reports, by somebody who knows the standard's messages alone.

use std::time::Duration;

use http::{Method, StatusCode};
use meltemi_policy::outcome::Tally;
use meltemi_telemetry::scrape;
use meltemi_wire::ext_authz::{Address, AddressKind, PortSpecifier, SocketAddress};
use meltemi_wire::load_stats::{
    ClusterStats, Extension, LoadReportingServiceClient, LoadStatsRequest, LoadStatsResponse,
    SENDS_ALL, UpstreamEndpointStats, UpstreamLocalityStats,
};
use meltemi_wire::xds::{Node, node};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::http::get;
use crate::mesh::{HELLO, Member, Mesh, Subscriber, soon};

/// A stream of reports.
struct Reporter {
    requests: mpsc::Sender<LoadStatsRequest>,
    responses: Streaming<LoadStatsResponse>,
}

impl Reporter {
    async fn start(member: &Member, node: Node) -> (Reporter, LoadStatsResponse) {
        let (requests, stream) = mpsc::channel(8);
        let first = LoadStatsRequest { node: Some(node), cluster_stats: Vec::new() };
        requests.send(first).await.unwrap();
        let mut service = LoadReportingServiceClient::new(member.channel());
        let responses = service.stream_load_stats(ReceiverStream::new(stream)).await.unwrap();
        let mut responses = responses.into_inner();
        let asked = soon("the first answer", responses.message()).await.unwrap().unwrap();
        (Reporter { requests, responses }, asked)
    }

    async fn report(&self, cluster: &str, localities: Vec<UpstreamLocalityStats>) {
        let stats = ClusterStats {
            cluster_name: cluster.into(),
            upstream_locality_stats: localities,
            ..ClusterStats::default()
        };
        let report = LoadStatsRequest { node: None, cluster_stats: vec![stats] };
        self.requests.send(report).await.unwrap();
    }

    /// Reports no more, and waits until all was read: the other end ends its half of the stream then.
    async fn finish(self) {
        let Reporter { requests, mut responses } = self;
        drop(requests);
        let end = async { while let Ok(Some(_)) = responses.message().await {} };
        soon("all reports are read", end).await;
    }
}

/// So many calls that went well, and so many that did not.
fn of_endpoint(at: &str, port: u32, well: u64, badly: u64) -> UpstreamEndpointStats {
    let socket = SocketAddress {
        address: at.into(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    UpstreamEndpointStats {
        address: Some(Address { address: Some(AddressKind::SocketAddress(socket)) }),
        total_issued_requests: well.saturating_add(badly),
        total_successful_requests: well,
        total_error_requests: badly,
        ..UpstreamEndpointStats::default()
    }
}

fn of_endpoints(endpoints: Vec<UpstreamEndpointStats>) -> Vec<UpstreamLocalityStats> {
    vec![UpstreamLocalityStats {
        upstream_endpoint_stats: endpoints,
        ..UpstreamLocalityStats::default()
    }]
}

impl Mesh {
    /// What is told.
    async fn outcomes(&self) -> Vec<Value> {
        let path = "/meltemi/v1/outcomes?service=hello&window=1h";
        let (status, told) = self.api(Method::GET, path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told["items"].as_array().cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn reports_of_the_standard_alone_are_kept_under_the_name_that_the_certificate_says() {
    let mesh = Mesh::start_with(|options| options.report_every = Duration::from_millis(1500)).await;
    let (hello, grpc) = (mesh.member("hello").await, mesh.member("grpc").await);
    let mut subscriber = Subscriber::start(hello.channel(), "hello");
    let _registered = hello.register("hello-1", "10.0.0.1");
    subscriber.sees("hello-1").await;

    // Its node names a workload of another account.
    let liar = node("hello-1", "default", "hello", "10.9.9.9", &Default::default());
    let (reporter, asked) = Reporter::start(&grpc, liar).await;
    let interval = asked.load_reporting_interval.as_ref().map(|it| (it.seconds, it.nanos));
    assert_eq!(interval, Some((1, 500_000_000)));
    assert!(asked.report_endpoint_granularity && asked.send_all_clusters);
    let port = asked.clusters.iter().find_map(|name| {
        name.strip_prefix("outbound|")?.strip_suffix(&format!("||{HELLO}")).map(str::to_owned)
    });
    let cluster = format!("outbound|{}||{HELLO}", port.expect("the service's port is named"));

    // By the workload's own port and by its sidecar's; an endpoint that is none, and a service that is none.
    reporter.report(&cluster, of_endpoints(vec![of_endpoint("10.0.0.1", 8001, 3, 1)])).await;
    reporter.report(&cluster, of_endpoints(vec![of_endpoint("10.0.0.1", 15006, 2, 0)])).await;
    reporter.report(&cluster, of_endpoints(vec![of_endpoint("10.0.0.2", 8001, 9, 0)])).await;
    reporter.report("outbound|80||nobody.default.svc.cluster.local", Vec::new()).await;
    let mut foreign = of_endpoint("10.0.0.1", 8001, 9, 0);
    let extension = Extension { workload: Some("other/hello-1".into()), ..Extension::default() };
    foreign.metadata = Some(extension.to_metadata());
    reporter.report(&cluster, of_endpoints(vec![foreign])).await;
    // Endpoints that are not told apart.
    let sum = UpstreamLocalityStats {
        total_successful_requests: 7,
        total_issued_requests: 7,
        ..UpstreamLocalityStats::default()
    };
    reporter.report(&cluster, vec![sum]).await;
    reporter.finish().await;
    let told = mesh.outcomes().await;
    let told: Vec<_> = told
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
            (text("endpoint"), text("caller"), it["calls"].clone(), it["failures"].clone())
        })
        .collect();
    let caller = || "default/sa/grpc".to_owned();
    let expected = [
        ("*".to_owned(), caller(), 7.into(), json!({})),
        ("default/hello-1".to_owned(), caller(), 6.into(), json!({"5xx": 1})),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_cannot_be_is_left_out_and_does_not_drown_what_can() {
    let mesh = Mesh::start().await;
    let (hello, grpc) = (mesh.member("hello").await, mesh.member("grpc").await);
    let mut subscriber = Subscriber::start(hello.channel(), "hello");
    let _registered = hello.register("hello-1", "10.0.0.1");
    subscriber.sees("hello-1").await;
    let (reporter, _) = Reporter::start(&grpc, Node::default()).await;
    let told = |well, badly| of_endpoints(vec![of_endpoint("10.0.0.1", 8001, well, badly)]);
    let mut torn = of_endpoint("10.0.0.1", 8001, 9, 0);
    // A success whose latency was measured a million times.
    let mut tally = Tally { calls: 1, issued: 1, ..Tally::default() };
    tally.latency.add(7, 1_000_000);
    let extension = Extension { tally: Some(tally), ..Extension::default() };
    torn.metadata = Some(extension.to_metadata());
    reporter.report(HELLO, told(3, 1)).await;
    for wrong in [told(0, 1 << 63), told(1 << 32, 0), told(0, u64::MAX), of_endpoints(vec![torn])] {
        reporter.report(HELLO, wrong).await;
    }
    reporter.report(HELLO, told(2, 0)).await;
    reporter.finish().await;
    let told = mesh.outcomes().await;
    assert_eq!((&told[0]["calls"], &told[0]["failures"]), (&6.into(), &json!({"5xx": 1})));
    let monitoring = mesh.plane.addresses().monitoring.unwrap();
    let scrape = scrape::parse(&get(monitoring, "/metrics").await.1).unwrap();
    assert_eq!(scrape.sum("meltemi_outcome_reports_refused_total", &[]), 4.0);
}

#[tokio::test]
async fn a_registered_workload_reports_as_itself_and_a_stranger_not_at_all() {
    let mesh = Mesh::start().await;
    let hello = mesh.member("hello").await;
    let mut subscriber = Subscriber::start(hello.channel(), "hello");
    let _registered = hello.register("hello-1", "10.0.0.1");
    subscriber.sees("hello-1").await;
    let own = node("hello-1", "default", "hello", "10.0.0.1", &Default::default());
    let own = Node { client_features: vec![SENDS_ALL.into()], ..own };
    let (reporter, asked) = Reporter::start(&hello, own.clone()).await;
    assert!(asked.clusters.is_empty() && asked.send_all_clusters);
    reporter.report(HELLO, of_endpoints(vec![of_endpoint("10.0.0.1", 8001, 1, 0)])).await;
    reporter.finish().await;
    let told = mesh.outcomes().await;
    assert_eq!(told[0]["caller"], "default/hello-1", "{told:?}");
    assert_eq!(told[0]["latencyMillis"], Value::Null);

    let (requests, stream) = mpsc::channel(1);
    requests.send(LoadStatsRequest::default()).await.unwrap();
    let mut service = LoadReportingServiceClient::new(mesh.stranger());
    let refused = service.stream_load_stats(ReceiverStream::new(stream)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let (mut reporter, _) = Reporter::start(&hello, own).await;
    mesh.plane.stop().await;
    assert!(
        soon("the stream ends", reporter.responses.message()).await.is_ok_and(|it| it.is_none())
            || reporter.requests.is_closed()
    );
}
