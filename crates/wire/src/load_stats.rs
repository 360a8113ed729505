//! Envoy's load reporting service (LRS, `envoy.service.load_stats.v3`): its messages, what this mesh adds to them, and the
//! reporter's end of the stream.
//!
//! A report has standard messages alone. What they lack of an endpoint's [`Tally`] travels in the `metadata` of its
//! `UpstreamEndpointStats`, which is the reporter's own to fill: [`OUTCOME`], [`WORKLOAD`], [`EJECTED`] and [`EJECTED_FOR`]. A reporter without
//! them is understood, too.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meltemi_policy::outcome::Tally;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

pub use envoy_types::pb::envoy::config::core::v3::Locality;
pub use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterStats, UpstreamEndpointStats, UpstreamLocalityStats,
};
pub use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
pub use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_server::{
    LoadReportingService, LoadReportingServiceServer,
};
pub use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
pub use envoy_types::pb::google::protobuf::Duration as ProtoDuration;

use crate::retry::BackOff;
use crate::xds::{Node, Struct, Value, ValueKind};

/// The key of an endpoint's tally in `metadata`: its code in base64.
pub const OUTCOME: &str = "meltemi.io/outcome";
/// The key of an endpoint's workload in `metadata`: `NAMESPACE/NAME`. Without it the address says which one is meant.
pub const WORKLOAD: &str = "meltemi.io/workload";
/// The key that says that the reporter has stopped calling the endpoint, and why (Envoy's words for outlier detection).
pub const EJECTED: &str = "meltemi.io/ejected";
/// The key that says for how long it has, as seconds; without it for Envoy's base ejection time.
pub const EJECTED_FOR: &str = "meltemi.io/ejected-for";
/// The feature by which a node tells that it knows `send_all_clusters`.
pub const SENDS_ALL: &str = "envoy.lrs.supports_send_all_clusters";
/// The longest code of a tally that travels: as fine as can be with hundreds of different latencies.
pub const CODE: usize = 1024;
/// Endpoints of one message.
const MAX_ENDPOINTS: usize = 1000;
/// How often is reported where the control plane names nothing usable.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the control plane may take to accept the stream, and to answer its first message.
const OPENING: Duration = Duration::from_secs(10);

/// What an endpoint's report has in `metadata`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extension {
    /// Which workload it is, `NAMESPACE/NAME`.
    pub workload: Option<String>,
    /// All that happened.
    pub tally: Option<Tally>,
    /// Why the reporter calls it no longer.
    pub ejected: Option<String>,
    /// For how long, in seconds.
    pub ejected_for: Option<Duration>,
}

impl Extension {
    /// As it travels.
    pub fn to_metadata(&self) -> Struct {
        let text = |text: String| Value { kind: Some(ValueKind::StringValue(text)) };
        let tally = self.tally.as_ref().map(|tally| STANDARD.encode(tally.encode(CODE)));
        // Rounded up, so that it is not told to be over before it is.
        let seconds = self.ejected_for.map(|it| it.as_secs_f64().ceil().to_string());
        let pairs = [
            (WORKLOAD, self.workload.clone()),
            (OUTCOME, tally),
            (EJECTED, self.ejected.clone()),
            (EJECTED_FOR, seconds),
        ];
        let fields = pairs.into_iter().filter_map(|(key, it)| Some((key.to_owned(), text(it?))));
        Struct { fields: fields.collect() }
    }

    /// What is understood of it; the rest counts as not said.
    pub fn of_metadata(metadata: Option<&Struct>) -> Extension {
        let text = |key: &str| match &metadata?.fields.get(key)?.kind {
            Some(ValueKind::StringValue(text)) => Some(text.as_str()),
            _ => None,
        };
        let tally = text(OUTCOME).filter(|text| text.len() <= CODE * 2);
        let tally = tally.and_then(|text| Tally::decode(&STANDARD.decode(text).ok()?));
        Extension {
            workload: text(WORKLOAD).map(str::to_owned),
            tally,
            ejected: text(EJECTED).map(str::to_owned),
            ejected_for: text(EJECTED_FOR)
                .and_then(|it| it.parse::<u32>().ok())
                .map(|it| Duration::from_secs(it.into())),
        }
    }
}

/// What is reported.
pub trait Loads: Send + Sync + 'static {
    /// What happened since the last time, and from now on not again. `by_endpoint`: endpoints are to be told apart.
    fn take(&self, by_endpoint: bool) -> Vec<ClusterStats>;

    /// Told when something is to be reported before the interval is over.
    fn urgent(&self) -> Arc<Notify>;
}

/// Reports until it is finished or dropped: once an interval, as the control plane says, and at once where it is urgent;
/// nothing where nothing happened. While the control plane is away nothing is taken, so that what happens adds up.
#[derive(Debug)]
pub struct Reporting {
    last: watch::Sender<bool>,
    /// Until its end was waited for.
    running: Mutex<Option<JoinHandle<()>>>,
    abort: AbortHandle,
}

impl Reporting {
    /// Starts on the current runtime.
    pub fn start(channel: Channel, node: Node, loads: Arc<dyn Loads>) -> Reporting {
        let (last, finishing) = watch::channel(false);
        let running = tokio::spawn(run(channel, node, loads, finishing));
        let abort = running.abort_handle();
        Reporting { last, running: Mutex::new(Some(running)), abort }
    }

    /// Reports a last time, and waits until the control plane has read it, but not longer than `limit`. Where there is no
    /// control plane it waits for none.
    pub async fn finish(&self, limit: Duration) {
        self.last.send_replace(true);
        let mut running = self.running.lock().await;
        if let Some(ending) = running.as_mut() {
            // What could not be told in time is lost with the process.
            drop(tokio::time::timeout(limit, ending).await);
            *running = None;
        }
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

async fn run(
    channel: Channel,
    node: Node,
    loads: Arc<dyn Loads>,
    mut finishing: watch::Receiver<bool>,
) {
    let mut back_off = BackOff::default();
    loop {
        let mut stood = false;
        let ended = stream(&channel, &node, &*loads, &mut finishing, &mut stood).await;
        if *finishing.borrow() {
            return;
        }
        if stood {
            back_off.reset();
        }
        tracing::debug!(reason = ended.message(), "no stream for outcomes; trying again");
        tokio::select! {
            () = tokio::time::sleep(back_off.next(rand::random())) => {}
            // Nobody is there to be told.
            _ = finishing.wait_for(|last| *last) => return,
        }
    }
}

/// One stream, until it breaks.
async fn stream(
    channel: &Channel,
    node: &Node,
    loads: &dyn Loads,
    finishing: &mut watch::Receiver<bool>,
    stood: &mut bool,
) -> Status {
    let (requests, stream) = mpsc::channel(1);
    let first = LoadStatsRequest { node: Some(node.clone()), ..LoadStatsRequest::default() };
    // The first message of an empty channel.
    drop(requests.try_send(first));
    let mut service = LoadReportingServiceClient::new(channel.clone());
    let opening = async {
        let mut responses =
            service.stream_load_stats(ReceiverStream::new(stream)).await?.into_inner();
        let first = responses.message().await?.ok_or_else(closed)?;
        Ok((responses, first))
    };
    match tokio::time::timeout(OPENING, opening).await {
        Ok(Ok((responses, asked))) => {
            *stood = true;
            converse(loads, finishing, requests, responses, asked).await
        }
        Ok(Err(status)) => status,
        Err(_) => Status::deadline_exceeded("no answer in 10 s"),
    }
}

async fn converse(
    loads: &dyn Loads,
    finishing: &mut watch::Receiver<bool>,
    requests: mpsc::Sender<LoadStatsRequest>,
    mut responses: Streaming<LoadStatsResponse>,
    mut asked: LoadStatsResponse,
) -> Status {
    let urgent = loads.urgent();
    let mut due = tokio::time::Instant::now() + interval(&asked);
    loop {
        let is_due = tokio::select! {
            response = responses.message() => {
                match response {
                    Ok(Some(response)) => asked = response,
                    Ok(None) => return closed(),
                    Err(status) => return status,
                }
                false
            }
            () = tokio::time::sleep_until(due) => true,
            () = urgent.notified() => true,
            // The sender may be gone: then this task is about to end.
            _ = finishing.wait_for(|last| *last) => true,
        };
        if !is_due {
            continue;
        }
        // Room comes first: what is taken is sent.
        if requests.reserve().await.is_err() {
            return closed();
        }
        let taken = chosen(&asked, loads.take(asked.report_endpoint_granularity));
        for cluster_stats in parts(taken) {
            let report = LoadStatsRequest { node: None, cluster_stats };
            if requests.send(report).await.is_err() {
                return closed();
            }
        }
        if *finishing.borrow() {
            drop(requests);
            // Its end says that all was read.
            while let Ok(Some(_)) = responses.message().await {}
            return closed();
        }
        due = tokio::time::Instant::now() + interval(&asked);
    }
}

/// Messages of a size that the control plane reads: so many endpoints each, or one locality that has more.
fn parts(all: Vec<ClusterStats>) -> Vec<Vec<ClusterStats>> {
    let mut parts: Vec<Vec<ClusterStats>> = Vec::new();
    let mut room = 0;
    for mut cluster in all {
        for locality in std::mem::take(&mut cluster.upstream_locality_stats) {
            let size = 1 + locality.upstream_endpoint_stats.len();
            if size > room {
                parts.push(Vec::new());
                room = MAX_ENDPOINTS;
            }
            room = room.saturating_sub(size);
            let one = ClusterStats { upstream_locality_stats: vec![locality], ..cluster.clone() };
            parts.last_mut().into_iter().for_each(|part| part.push(one.clone()));
        }
    }
    parts
}

/// Those clusters that the control plane wants to hear of.
fn chosen(asked: &LoadStatsResponse, mut all: Vec<ClusterStats>) -> Vec<ClusterStats> {
    if !asked.send_all_clusters {
        all.retain(|it| asked.clusters.contains(&it.cluster_name));
    }
    all
}

fn interval(asked: &LoadStatsResponse) -> Duration {
    let named = asked.load_reporting_interval.as_ref().and_then(|it| {
        let seconds = u64::try_from(it.seconds).ok()?;
        Some(Duration::new(seconds, u32::try_from(it.nanos).ok()?.min(999_999_999)))
    });
    named.filter(|it| !it.is_zero()).unwrap_or(INTERVAL)
}

fn closed() -> Status {
    Status::unavailable("the control plane closed the stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_lacks_travels_in_metadata() {
        let mut tally = Tally { issued: 1, ..Tally::default() };
        tally.record(None, 1234);
        let extension = Extension {
            workload: Some("shop/hello-1".into()),
            tally: Some(tally),
            ejected: Some("consecutive_5xx".into()),
            ejected_for: Some(Duration::from_secs(30)),
        };
        assert_eq!(Extension::of_metadata(Some(&extension.to_metadata())), extension);
        assert_eq!(Extension::of_metadata(None), Extension::default());
        let text = Value { kind: Some(ValueKind::StringValue("no base64!".into())) };
        let fields = [(OUTCOME.to_owned(), text), (WORKLOAD.to_owned(), Value { kind: None })];
        let wrong = Struct { fields: fields.into() };
        assert_eq!(Extension::of_metadata(Some(&wrong)), Extension::default());
    }

    #[test]
    fn a_large_report_goes_in_parts() {
        let cluster = |name: &str, endpoints: &[usize]| ClusterStats {
            cluster_name: name.into(),
            upstream_locality_stats: endpoints
                .iter()
                .map(|count| UpstreamLocalityStats {
                    upstream_endpoint_stats: vec![UpstreamEndpointStats::default(); *count],
                    ..UpstreamLocalityStats::default()
                })
                .collect(),
            ..ClusterStats::default()
        };
        let sizes = |all: Vec<ClusterStats>| -> Vec<Vec<usize>> {
            let endpoints = |it: &ClusterStats| {
                it.upstream_locality_stats.iter().map(|it| it.upstream_endpoint_stats.len()).sum()
            };
            parts(all).iter().map(|part| part.iter().map(endpoints).collect()).collect()
        };
        assert!(sizes(Vec::new()).is_empty());
        assert_eq!(sizes(vec![cluster("a", &[3, 4]), cluster("b", &[5])]), [[3, 4, 5]]);
        let large = vec![cluster("a", &[900]), cluster("b", &[900, 2000])];
        assert_eq!(sizes(large), [[900], [900], [2000]]);
    }

    #[test]
    fn the_control_plane_says_how_often_and_of_what() {
        let asked = |seconds, nanos| LoadStatsResponse {
            load_reporting_interval: Some(ProtoDuration { seconds, nanos }),
            clusters: vec!["a".into()],
            ..LoadStatsResponse::default()
        };
        assert_eq!(interval(&asked(2, 500_000_000)), Duration::from_millis(2500));
        for wrong in [asked(0, 0), asked(-1, 0), asked(1, -1), LoadStatsResponse::default()] {
            assert_eq!(interval(&wrong), INTERVAL);
        }
        let of = |name: &str| ClusterStats { cluster_name: name.into(), ..Default::default() };
        assert_eq!(chosen(&asked(1, 0), vec![of("a"), of("b")]).len(), 1);
        let all = LoadStatsResponse { send_all_clusters: true, ..LoadStatsResponse::default() };
        assert_eq!(chosen(&all, vec![of("a"), of("b")]).len(), 2);
    }
}
