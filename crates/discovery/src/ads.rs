//! The discovery service: admits a client and gives its stream to a session.

use std::sync::Arc;

use meltemi_names::DEFAULT_NAMESPACE;
use meltemi_wire::transport::Peer;
use meltemi_wire::xds::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer, DeltaDiscoveryRequest,
    DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::foreign::Foreign;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::session::{Client, Stream};

/// Who may follow discovery on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Members of the mesh, by their certificate; they may see their own workload too.
    Members,
    /// Everybody who can connect: services and endpoints only. For a port on the loopback.
    Anybody,
}

/// The delta stream of Meltemi's own resource types.
#[derive(Debug, Clone)]
pub struct DiscoveryService {
    publisher: Arc<Publisher>,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    access: Access,
    foreign: Arc<Foreign>,
}

impl DiscoveryService {
    /// The service of one port, as tonic's router takes it.
    pub fn server(
        publisher: Arc<Publisher>,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        access: Access,
    ) -> AggregatedDiscoveryServiceServer<Self> {
        let foreign = Arc::default();
        let service = DiscoveryService { publisher, hub, metrics, access, foreign };
        AggregatedDiscoveryServiceServer::new(service)
    }

    fn admit(&self, peer: Option<&Peer>) -> Result<Client, Status> {
        if self.access == Access::Anybody {
            return Ok(Client { namespace: DEFAULT_NAMESPACE.into(), ..Client::default() });
        }
        let identity = peer.and_then(|peer| peer.identity.clone()).ok_or_else(|| {
            Status::unauthenticated(
                "discovery needs a client certificate: get one from the certificate service first",
            )
        })?;
        let namespace = identity.namespace().into();
        Ok(Client { namespace, identity: Some(identity), ..Client::default() })
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for DiscoveryService {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        // None of our sidecars has ever spoken it.
        Err(self.foreign.refuse("the state of the world, by StreamAggregatedResources"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let client = self.admit(request.extensions().get::<Peer>())?;
        let (responses, stream) = mpsc::channel(4);
        let (entered, let_go) = self.hub.enter();
        let stream_of_client = Stream {
            client,
            publisher: self.publisher.clone(),
            metrics: self.metrics.clone(),
            requests: request.into_inner(),
            responses,
            let_go,
            entered,
            foreign: self.foreign.clone(),
        };
        tokio::spawn(stream_of_client.run());
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
