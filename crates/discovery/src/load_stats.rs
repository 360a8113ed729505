//! The load reporting service (Envoy's LRS): proxies tell what became of their calls.
//!
//! Who reports is what its certificate says, and a workload of that identity if its node names one; never what a report says.
//! Endpoints count that the reporter can see, of services that it can see, or that have left these lately: nothing that it says
//! makes new names here.

use std::cell::LazyCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_model::ejections::Findings;
use meltemi_model::outcomes::EndpointId;
use meltemi_model::{Service, Snapshot, Viewer};
use meltemi_names::SpiffeId;
use meltemi_policy::outcome::{Class, Tally};
use meltemi_policy::outlier::Reason;
use meltemi_wire::ext_authz::{Address, AddressKind, PortSpecifier};
use meltemi_wire::load_stats::{
    ClusterStats, Extension, LoadReportingService, LoadReportingServiceServer, LoadStatsRequest,
    LoadStatsResponse, ProtoDuration, SENDS_ALL, UpstreamEndpointStats, UpstreamLocalityStats,
};
use meltemi_wire::transport::Peer;
use meltemi_wire::xds::{Node, workload_of_node};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::catalog::workload_name;
use crate::left::{Endpoints, Left};
use crate::outcomes::{Ejected, Keeper, Report};
use crate::publish::Publisher;

/// The largest report that is read, bytes.
pub const MAX_REPORT: usize = 4 * 1024 * 1024;
/// The workload that stands for all endpoints of a service, where a reporter does not tell them apart.
pub const ALL_ENDPOINTS: &str = "*";
/// Clusters that are named to a reporter which does not know `send_all_clusters`, at most.
const MAX_NAMED: usize = 10_000;

/// Takes the reports of proxies.
#[derive(Debug, Clone)]
pub struct LoadStatsService {
    keeper: Arc<Keeper>,
    publisher: Arc<Publisher>,
    interval: Duration,
}

/// Who reports.
struct Reporter {
    identity: Arc<SpiffeId>,
    /// The workload that its node names, in the identity's own namespace.
    workload: Option<String>,
    /// Whether that was registered with this identity at some time of the stream: the last report of one that is drained for long
    /// may come when nobody else knows it any more.
    was_member: bool,
}

impl LoadStatsService {
    /// The service as tonic's router takes it. Reporters are asked to report once an `interval`.
    pub fn server(
        keeper: Arc<Keeper>,
        publisher: Arc<Publisher>,
        interval: Duration,
    ) -> LoadReportingServiceServer<Self> {
        let service = LoadStatsService { keeper, publisher, interval };
        LoadReportingServiceServer::new(service).max_decoding_message_size(MAX_REPORT)
    }

    async fn follow(
        self,
        identity: Arc<SpiffeId>,
        mut requests: Streaming<LoadStatsRequest>,
        responses: mpsc::Sender<Result<LoadStatsResponse, Status>>,
    ) {
        let mut reporter = Reporter { identity, workload: None, was_member: false };
        let mut is_first = true;
        while let Ok(Some(request)) = requests.message().await {
            if let Some(node) = &request.node {
                reporter.introduce(node);
            }
            if std::mem::take(&mut is_first) {
                let asked = self.wanted(&mut reporter, request.node.as_ref());
                if responses.send(Ok(asked)).await.is_err() {
                    return;
                }
            }
            self.take_in(&mut reporter, &request.cluster_stats);
        }
    }

    /// What is asked of a reporter.
    fn wanted(&self, reporter: &mut Reporter, node: Option<&Node>) -> LoadStatsResponse {
        let knows_all = node.is_some_and(|it| it.client_features.iter().any(|it| it == SENDS_ALL));
        let clusters = match knows_all {
            true => Vec::new(),
            false => cluster_names(&self.publisher.snapshot(), self.publisher.left(), reporter),
        };
        LoadStatsResponse {
            clusters,
            send_all_clusters: true,
            load_reporting_interval: Some(ProtoDuration {
                seconds: i64::try_from(self.interval.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(self.interval.subsec_nanos()).unwrap_or_default(),
            }),
            report_endpoint_granularity: true,
        }
    }

    fn take_in(&self, reporter: &mut Reporter, stats: &[ClusterStats]) {
        let snapshot = self.publisher.snapshot();
        let identity = reporter.identity.clone();
        let (caller, viewer) = reporter.in_mesh(&snapshot, self.publisher.left());
        let caller: Arc<str> = caller.into();
        let reports = reports(&snapshot, self.publisher.left(), &viewer, stats);
        self.keeper.take_in(&caller, &identity, reports, &self.publisher);
    }
}

impl Reporter {
    fn introduce(&mut self, node: &Node) {
        self.was_member = false;
        self.workload = workload_of_node(&node.id)
            .filter(|(_, namespace)| *namespace == self.identity.namespace())
            .map(|(workload, _)| workload.to_owned());
    }

    /// The name under which its calls are kept, and what it sees: a workload that is registered with this identity, or was until
    /// it left, else the identity alone.
    fn in_mesh<'a>(&'a mut self, snapshot: &'a Snapshot, left: &Left) -> (String, Viewer<'a>) {
        let namespace = self.identity.namespace();
        let own = self.workload.as_deref().and_then(|name| snapshot.workload(namespace, name));
        let account = self.identity.service_account();
        let own = own.filter(|it| it.service_account.as_deref() == Some(account));
        let sidecar = snapshot.sidecar(namespace, own.map_or("", |it| &it.name));
        let viewer = Viewer { namespace, sidecar: sidecar.map(|it| &**it) };
        let was = |name: &str| left.was(namespace, name, account, Instant::now());
        self.was_member |= own.is_some() || self.workload.as_deref().is_some_and(was);
        let name = match self.workload.as_deref().filter(|_| self.was_member) {
            Some(name) => workload_name(namespace, name),
            None => format!("{namespace}/sa/{account}"),
        };
        (name, viewer)
    }
}

#[tonic::async_trait]
impl LoadReportingService for LoadStatsService {
    type StreamLoadStatsStream = ReceiverStream<Result<LoadStatsResponse, Status>>;

    async fn stream_load_stats(
        &self,
        request: Request<Streaming<LoadStatsRequest>>,
    ) -> Result<Response<Self::StreamLoadStatsStream>, Status> {
        let peer = request.extensions().get::<Peer>();
        let identity = peer.and_then(|peer| peer.identity.clone()).ok_or_else(|| {
            Status::unauthenticated(
                "reports need a client certificate: get one from the certificate service first",
            )
        })?;
        let (responses, stream) = mpsc::channel(1);
        tokio::spawn(self.clone().follow(identity, request.into_inner(), responses));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// The clusters that a reporter may know, by the names of both Istio's proxies and gRPC's.
fn cluster_names(snapshot: &Snapshot, left: &Left, reporter: &mut Reporter) -> Vec<String> {
    let (_, viewer) = reporter.in_mesh(snapshot, left);
    let seen = snapshot.services().filter(|service| viewer.sees(service));
    let names = seen.flat_map(|service| {
        let host = service.host.as_str();
        let ports = service.ports.iter();
        ports.map(move |port| format!("outbound|{}||{host}", port.number)).chain([host.to_owned()])
    });
    names.take(MAX_NAMED).collect()
}

/// What a reporter tells of what it sees.
pub(crate) fn reports(
    snapshot: &Snapshot,
    left: &Left,
    viewer: &Viewer<'_>,
    stats: &[ClusterStats],
) -> Vec<Report> {
    let mut reports = Vec::new();
    for stats in stats {
        let Some((service, port)) = find(snapshot, viewer, stats) else { continue };
        for locality in &stats.upstream_locality_stats {
            reports.extend(of_locality(service, left, port, locality));
        }
    }
    reports
}

/// The service and port that a cluster is of: `outbound|PORT|SUBSET|HOST`, or a host, whose first port is meant then.
fn find<'a>(
    snapshot: &'a Snapshot,
    viewer: &Viewer<'_>,
    stats: &ClusterStats,
) -> Option<(&'a Service, u16)> {
    let mut parts = stats.cluster_name.split('|');
    let named = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("outbound"), Some(port), Some(_), Some(host), None) => Some((port, host)),
        _ => None,
    };
    let host = match (named, stats.cluster_service_name.as_str()) {
        (Some((_, host)), _) => host,
        (None, "") => &stats.cluster_name,
        (None, host) => host,
    };
    let service = snapshot.seen(host, viewer)?;
    let mut ports = service.ports.iter().map(|port| port.number);
    let port = match named {
        Some((port, _)) => port.parse().ok().filter(|port| ports.any(|it| it == *port))?,
        None => ports.next()?,
    };
    Some((service, port))
}

fn of_locality(
    service: &Service,
    left: &Left,
    port: u16,
    stats: &UpstreamLocalityStats,
) -> Vec<Report> {
    let report = |workload: &str, tally, ejected: Option<Ejected>| Report {
        endpoint: EndpointId {
            host: service.host.as_str().into(),
            port,
            workload: workload.into(),
        },
        namespace: service.namespace.clone(),
        tally,
        ejected,
    };
    if stats.upstream_endpoint_stats.is_empty() {
        let tally = standard(
            stats.total_issued_requests,
            stats.total_successful_requests,
            stats.total_error_requests,
            stats.total_requests_in_progress,
        );
        return vec![report(ALL_ENDPOINTS, tally, None)];
    }
    let left = LazyCell::new(|| left.of(service, Instant::now()));
    let reports = stats.upstream_endpoint_stats.iter().filter_map(|stats| {
        let extension = Extension::of_metadata(stats.metadata.as_ref());
        let named = |known: &Endpoints| endpoint_of(known, port, stats, &extension);
        let here = named(&service.endpoints);
        // There is nothing to keep callers from where an endpoint has left.
        let ejected = extension.ejected.as_deref().filter(|_| here.is_some());
        let ejected = ejected.map(|reason| Ejected {
            size: service.endpoints.len(),
            reason: Reason::of_str(reason),
            lasts: Findings::lasting(extension.ejected_for),
        });
        let workload = here.or_else(|| left.iter().find_map(|it| named(it)))?;
        let tally = extension.tally.unwrap_or_else(|| {
            standard(
                stats.total_issued_requests,
                stats.total_successful_requests,
                stats.total_error_requests,
                stats.total_requests_in_progress,
            )
        });
        Some(report(&workload, tally, ejected))
    });
    reports.collect()
}

/// Which of these endpoints of a service a report is about, `NAMESPACE/NAME`; `None` if there is no such one.
fn endpoint_of(
    endpoints: &Endpoints,
    port: u16,
    stats: &UpstreamEndpointStats,
    extension: &Extension,
) -> Option<String> {
    let endpoint = match &extension.workload {
        Some(workload) => {
            let (namespace, name) = workload.split_once('/')?;
            endpoints.get(name).filter(|it| *it.namespace == *namespace)?
        }
        None => {
            let (ip, target) = socket(stats.address.as_ref()?)?;
            endpoints.values().find(|it| {
                it.address.parse() == Ok(ip)
                    && (it.ports.contains(&(port, target)) || it.mutual_tls == Some(target))
            })?
        }
    };
    Some(workload_name(&endpoint.namespace, &endpoint.workload))
}

fn socket(address: &Address) -> Option<(IpAddr, u16)> {
    let Some(AddressKind::SocketAddress(socket)) = &address.address else { return None };
    let Some(PortSpecifier::PortValue(port)) = socket.port_specifier else { return None };
    Some((socket.address.parse().ok()?, u16::try_from(port).ok()?))
}

/// What the standard's figures say. They do not tell failures apart, and count answers with a 5xx first of all.
fn standard(issued: u64, succeeded: u64, failed: u64, in_flight: u64) -> Tally {
    let mut tally =
        Tally { issued, calls: succeeded.saturating_add(failed), in_flight, ..Tally::default() };
    tally.failures[Class::Status5xx as usize] = failed;
    tally
}

#[cfg(test)]
mod tests;
