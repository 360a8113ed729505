//! A connection of bytes goes to an endpoint of the mesh, or outside.

use std::rc::Rc;
use std::sync::Arc;

use meltemi_policy::balance::Ask;
use meltemi_policy::outlier::Outcome;
use meltemi_policy::retry::{Failed, RetryPolicy};
use meltemi_telemetry::{Reporter, RequestProtocol, ResponseFlags, TcpLabels};

use super::decide::Spot;
use super::labels::labels;
use crate::clock;
use crate::config::{Cluster, Endpoint};
use crate::http::h1::{Framing, Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::relay::{Counted, End, tunnel};
use crate::upstream::connect::{ConnectError, connect};
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Where a connection goes.
pub(crate) enum Goal {
    /// To a port of a service.
    Service(Rc<Spot>),
    /// To a host that is no service of the mesh.
    Outside(Arc<str>, u16),
}

/// Serves the connection until both directions have ended.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, mut reader: Reader, goal: Goal) {
    let _carried = worker.carry();
    let mut writer = Writer::new(io);
    let (cluster, found) = find(worker, goal).await;
    let endpoint = found.as_ref().ok().and_then(|found| found.1.clone());
    let flags = match &found {
        Ok(_) => ResponseFlags::NONE,
        Err(None) => ResponseFlags::UH,
        Err(Some(error)) => {
            tracing::debug!(%error, "no endpoint could be connected");
            ResponseFlags::UF
        }
    };
    let base = labels(worker, RequestProtocol::Tcp, cluster.as_deref(), endpoint.as_deref());
    let series = worker.shared.metrics.tcp(&TcpLabels { base, reporter: Reporter::Source, flags });
    series.opened(worker.index);
    if let Ok((mut far, _)) = found {
        let end = between(&mut reader, &mut writer, &mut far).await;
        series.received(worker.index, far.carried());
        series.sent(worker.index, writer.total());
        tracing::trace!(?end, "a connection ended");
    }
    series.closed(worker.index);
}

/// A connection to the far side.
pub(crate) struct Far {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Length of what is said before the caller's bytes.
    preface: u64,
}

impl Far {
    pub(crate) fn new(io: Io, preface: &[u8]) -> Far {
        let (reader, writer) = (Reader::new(io.clone()), Writer::new(io));
        let mut far = Far { reader, writer, preface: preface.len() as u64 };
        if !preface.is_empty() {
            far.writer.out().extend_from_slice(preface);
        }
        far
    }

    /// How many of the caller's bytes were sent.
    pub(crate) fn carried(&self) -> u64 {
        self.writer.total().saturating_sub(self.preface)
    }
}

/// Carries bytes between the two. What was to be said first goes out at once: the far side may be the one to speak first.
pub(crate) async fn between(reader: &mut Reader, writer: &mut Writer, far: &mut Far) -> End {
    reader.leave_http();
    far.reader.leave_http();
    writer.begin(Framing::UntilClose);
    far.writer.begin(Framing::UntilClose);
    if far.writer.flush().await.is_err() {
        return End::EndpointBroke;
    }
    let mut counted = Counted::default();
    tunnel(reader, writer, &mut far.reader, &mut far.writer, &mut counted).await
}

type Found = Result<(Far, Option<Arc<Endpoint>>), Option<ConnectError>>;

/// Connects to one endpoint after the other, as often as the retry policy allows: no byte was sent yet.
async fn find(worker: &Rc<Worker>, goal: Goal) -> (Option<Arc<Cluster>>, Found) {
    let cluster = match goal {
        Goal::Service(spot) => match &spot.cluster {
            Some(cluster) => cluster.clone(),
            None => return (None, Err(None)),
        },
        Goal::Outside(host, port) => {
            let route = Route { place: Place::Outside(host, port), inner: Inner::Tcp };
            let connected = connect(worker, &route).await;
            let far = connected.map(|connected| (Far::new(connected.io, &[]), None));
            return (None, far.map_err(Some));
        }
    };
    let policy = RetryPolicy::default();
    let mut tried = Vec::new();
    let mut last = None;
    for made in 0.. {
        if made > 0 && !policy.again(made, b"", Failed::NotDelivered, true) {
            break;
        }
        let ask = Ask { random: worker.random(), now: clock::now(), ..Ask::default() };
        let Some((index, endpoint)) = cluster.pick(&ask, &tried) else { break };
        let endpoint = endpoint.clone();
        tried.push(endpoint.presence.id);
        let place = Place::Endpoint(cluster.clone(), endpoint.clone());
        match connect(worker, &Route { place, inner: Inner::Tcp }).await {
            Ok(connected) => {
                cluster.record(index, Outcome::Connected);
                let far = Far::new(connected.io, connected.preface);
                return (Some(cluster), Ok((far, Some(endpoint))));
            }
            Err(error) => {
                cluster.record(index, Outcome::Unreachable);
                last = Some(error);
            }
        }
    }
    (Some(cluster), Err(last))
}
