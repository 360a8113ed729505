//! A control plane for tests: the real protocol on a real socket, over resources that the test sets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, stream};
use meltemi_wire::delta::server::{Found, Session, Source};
use meltemi_wire::transport::{Incoming, Target, plaintext_channel};
use meltemi_wire::type_url;
use meltemi_wire::xds::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer, DeltaDiscoveryRequest,
    DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::config::fixture::added;

/// Longer than anything takes here.
pub(super) const LONG: Duration = Duration::from_secs(20);

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The control plane; its server ends with the test's runtime.
pub(super) struct ControlPlane {
    state: Arc<State>,
    address: SocketAddr,
}

#[derive(Default)]
struct State {
    world: Mutex<World>,
    /// Changes with the world.
    changed: watch::Sender<u64>,
    /// Whether questions stay unanswered.
    is_silent: AtomicBool,
    /// Every request that came, and every response that went out.
    log: watch::Sender<Log>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Log {
    pub(super) requests: Vec<DeltaDiscoveryRequest>,
    pub(super) responses: Vec<DeltaDiscoveryResponse>,
    /// Streams that have ended.
    pub(super) ended: usize,
}

#[derive(Default)]
struct World(BTreeMap<(String, String), (String, Vec<u8>)>);

impl Source for World {
    fn find(&self, kind: &str, name: &str) -> Option<Found<'_>> {
        let (version, body) = self.0.get(&(kind.to_owned(), name.to_owned()))?;
        Some(Found { version, body })
    }

    fn members(&self, kind: &str, prefix: &str, each: &mut dyn FnMut(&str)) {
        for (of, name) in self.0.keys() {
            if of == kind && name.rsplit_once('/').is_some_and(|(host, _)| host == prefix) {
                each(name);
            }
        }
    }
}

impl ControlPlane {
    pub(super) async fn start() -> ControlPlane {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let service = AggregatedDiscoveryServiceServer::new(Service(state.clone()));
        let incoming = Incoming::plaintext(listener);
        tokio::spawn(Server::builder().serve_with_incoming(service, incoming));
        ControlPlane { state, address }
    }

    /// From now on no question is answered.
    pub(super) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::Relaxed);
    }

    pub(super) fn channel(&self) -> Channel {
        channel(self.address)
    }

    pub(super) fn put(&self, kind: &str, name: &str, message: &impl Message) {
        let added = added(name, message);
        let key = (kind.to_owned(), name.to_owned());
        self.state.world.lock().0.insert(key, (added.version, added.body));
        self.state.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn remove(&self, kind: &str, name: &str) {
        self.state.world.lock().0.remove(&(kind.to_owned(), name.to_owned()));
        self.state.changed.send_modify(|count| *count += 1);
    }

    /// Waits until the log is as wanted.
    pub(super) async fn seen(&self, wanted: impl FnMut(&Log) -> bool) -> Log {
        let mut log = self.state.log.subscribe();
        let seen = tokio::time::timeout(LONG, log.wait_for(wanted)).await;
        seen.expect("in time").expect("the control plane lives").clone()
    }

    /// How many times a name was subscribed to.
    pub(super) fn subscriptions(&self, kind: &str, name: &str) -> usize {
        let log = self.state.log.borrow();
        let of_kind = log.requests.iter().filter(|it| it.type_url == kind);
        of_kind.flat_map(|it| &it.resource_names_subscribe).filter(|it| *it == name).count()
    }
}

/// A channel to an address, connected when it is used.
pub(super) fn channel(address: SocketAddr) -> Channel {
    plaintext_channel(&address.to_string().parse::<Target>().unwrap())
}

struct Service(Arc<State>);

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("the delta stream only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (sender, responses) = mpsc::channel(16);
        let state = self.0.clone();
        tokio::spawn(async move {
            state.converse(request.into_inner(), sender).await;
            state.log.send_modify(|log| log.ended += 1);
        });
        let stream = stream::unfold(responses, |mut responses| async move {
            responses.recv().await.map(|next| (next, responses))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

impl State {
    async fn converse(
        &self,
        mut requests: Streaming<DeltaDiscoveryRequest>,
        responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
    ) {
        let mut session = Session::new();
        let mut changed = self.changed.subscribe();
        loop {
            let mut next = Vec::new();
            tokio::select! {
                request = requests.message() => {
                    let Ok(Some(request)) = request else { return };
                    let asked = session.request(request.clone());
                    if !self.is_silent.load(Ordering::Relaxed) {
                        next.extend(session.answer(&asked, &*self.world.lock()));
                    }
                    self.log.send_modify(|log| log.requests.push(request));
                }
                _ = changed.changed() => {
                    let world = self.world.lock();
                    for kind in [type_url::ENDPOINT, type_url::SERVICE, type_url::WORKLOAD] {
                        next.extend(session.changed_all(kind, &*world));
                    }
                }
            }
            for response in next {
                self.log.send_modify(|log| log.responses.push(response.clone()));
                if responses.send(Ok(response)).await.is_err() {
                    return;
                }
            }
        }
    }
}
