//! The registration service: one stream per proxy, which keeps its workload in the registry.

mod admit;
mod board;
mod claims;
pub(crate) mod fuzzing;
mod group;
mod holders;
mod lost;
mod objects;
mod proxy_config;
mod registry;
mod standstill;
mod timestamp;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::tls;
use meltemi_wire::proto::meltemi::v1::register_request::Kind as Asked;
use meltemi_wire::proto::meltemi::v1::register_response::Kind as Answer;
use meltemi_wire::proto::meltemi::v1::registration_server::{Registration, RegistrationServer};
use meltemi_wire::proto::meltemi::v1::{
    Drained, Health, Ping, ProxyConfig, RegisterRequest, RegisterResponse, Registered,
    RegisteredWorkload,
};
use meltemi_wire::transport::Peer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::catalog::{endpoint_name, workload_name};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use group::Group;
use lost::{Mending, Missing};
use registry::{Claim, RegistryError};
pub use registry::{GRACE, Registry};
use standstill::Pulse;

/// How long a client may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a sidecar may take to learn what it stands for, before others are told of it all the same: what registers without
/// a discovery stream never does.
const SELF_KNOWLEDGE: Duration = Duration::from_secs(3);

/// Registers workloads.
#[derive(Debug, Clone)]
pub struct RegistrationService {
    registry: Arc<Registry>,
    publisher: Arc<Publisher>,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    pulse: Pulse,
}

impl RegistrationService {
    /// The service as tonic's router takes it; to be called on a runtime.
    pub fn server(
        registry: Arc<Registry>,
        publisher: Arc<Publisher>,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
    ) -> RegistrationServer<Self> {
        let pulse = Pulse::start();
        RegistrationServer::new(RegistrationService { registry, publisher, hub, metrics, pulse })
    }

    async fn serve(
        self,
        peer: Option<Peer>,
        mut requests: Streaming<RegisterRequest>,
        responses: mpsc::Sender<Result<RegisterResponse, Status>>,
    ) {
        let ends = peer.as_ref().and_then(|peer| peer.certificate.clone());
        let admitted = self.introduce(peer, &mut requests).await;
        let mut claim = match admitted {
            Ok(claim) => claim,
            Err(status) => {
                if status.code() == Code::PermissionDenied {
                    tracing::warn!(reason = status.message(), "a registration was refused");
                }
                // A client that is gone need not hear it.
                return drop(responses.send(Err(status)).await);
            }
        };
        let _held = Metrics::hold(&self.metrics.registered);
        let name = format!("{}/{}", claim.workload.namespace, claim.workload.name);
        let RegisteredWorkload { service, group, .. } = &claim.workload;
        tracing::info!(workload = name, service, group, "registered");
        tell_group(&claim, &responses).await;
        let registered = Answer::Registered(Registered { workload: name.clone() });
        drop(responses.send(Ok(response(registered))).await);
        if let Err(status) = self.follow(&mut claim, &mut requests, &responses).await {
            drop(responses.send(Err(status)).await);
        }
        // The connection has ended with the certificate, and the proxy comes back with its next one; or it was lost while nobody
        // here could answer, and the proxy is about to come back as well.
        let is_to_return = ends.is_some_and(|it| tls::is_expired(&it, SystemTime::now()))
            || self.pulse.has_stood(GRACE);
        if is_to_return && self.registry.holds(&claim) {
            drop(tokio::time::timeout(GRACE, &mut claim.replaced).await);
        }
        // Also after an error of ours: the proxy registers anew then.
        if self.registry.release(&claim).await.is_some() {
            tracing::info!(workload = name, "removed: its stream ended without a drain");
        }
    }

    /// Waits for the first message, and enters the workload that it names.
    async fn introduce(
        &self,
        peer: Option<Peer>,
        requests: &mut Streaming<RegisterRequest>,
    ) -> Result<Claim, Status> {
        let first = tokio::time::timeout(INTRODUCTION, requests.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no workload was named within 10 s"))??;
        let Some(RegisterRequest { kind: Some(Asked::Workload(workload)) }) = first else {
            return Err(Status::invalid_argument("the first message must name the workload"));
        };
        check(peer, &workload)?;
        let (mut claim, version) = self.registry.claim(workload).await.map_err(refusal)?;
        if claim.workload.ready && !claim.health.ready {
            let known = self.known_to_itself(&claim.workload, version);
            drop(tokio::time::timeout(SELF_KNOWLEDGE, known).await);
            let ready = Health { ready: true, reason: String::new() };
            let version = self.registry.set_health(&mut claim, ready).await.map_err(refusal)?;
            // Who is told that it is registered may send others here: who asks for the service now must see it as ready.
            if let Some(version) = version {
                self.publisher.reached(version).await;
            }
        }
        Ok(claim)
    }

    /// Waits until the sidecar of a workload has acknowledged what it stands for, as of this version of the store: whoever
    /// called it before would be told that it serves no such port.
    async fn known_to_itself(&self, workload: &RegisteredWorkload, version: Option<u64>) {
        if let Some(version) = version {
            self.publisher.reached(version).await;
        }
        let name = workload_name(&workload.namespace, &workload.name);
        let current = || self.publisher.catalog().workload(&name).map(|it| it.version.clone());
        self.hub.knows_itself(&name, current).await;
    }

    /// Follows the stream until it ends, is replaced, or the workload is drained.
    async fn follow(
        &self,
        claim: &mut Claim,
        requests: &mut Streaming<RegisterRequest>,
        responses: &mpsc::Sender<Result<RegisterResponse, Status>>,
    ) -> Result<(), Status> {
        let mut groups = self.registry.board.subscribe();
        let mut verdicts = self.registry.board.verdicts();
        let mut lost = Mending::new(claim.lost.clone());
        loop {
            let asked = tokio::select! {
                asked = requests.message() => asked,
                group = newer_group(claim, &mut groups) => {
                    tracing::info!(workload = %claim.key, group = group.name, "its group has changed");
                    self.registry.set_group(claim, group).await.map_err(refusal)?;
                    tell_group(claim, responses).await;
                    continue;
                }
                objection = board::objected(&mut verdicts, &claim.workload, claim.group.as_deref()) => {
                    tracing::warn!(workload = %claim.key, objection, "removed: its labels are another's");
                    return Err(refusal(RegistryError::NoMember(objection)));
                }
                _ = &mut claim.replaced => return Err(refusal(RegistryError::Replaced)),
                what = lost.next() => {
                    self.mend(claim, what).await.map_err(refusal)?;
                    continue;
                }
                () = claim.held.asked() => {
                    drop(responses.send(Ok(response(Answer::Ping(Ping {})))).await);
                    continue;
                }
            };
            let Ok(Some(RegisterRequest { kind: Some(asked) })) = asked else { return Ok(()) };
            match asked {
                Asked::Health(health) => {
                    tracing::info!(workload = %claim.key, ready = health.ready, reason = health.reason, "health");
                    self.registry.set_health(claim, health).await.map_err(refusal)?;
                }
                Asked::Pong(_) => claim.held.answer(),
                Asked::Drain(_) => {
                    claim.held.leave();
                    let drained = tokio::select! {
                        drained = self.drain(claim) => drained,
                        // Nobody waits for the answer any longer.
                        _ = requests.message() => return Ok(()),
                    };
                    drop(responses.send(Ok(response(Answer::Drained(drained)))).await);
                    return Ok(());
                }
                Asked::Workload(_) => {
                    return Err(Status::invalid_argument("the workload is named once, at first"));
                }
            }
        }
    }

    /// Writes what was deleted under the workload again. Its own entry is ready only once its sidecar knows again what it stands
    /// for.
    async fn mend(&self, claim: &mut Claim, what: Missing) -> Result<(), RegistryError> {
        if what == Missing::Around {
            return self.registry.surround(claim).await;
        }
        let ready = claim.health.clone();
        if let Some(version) = self.registry.restore(claim).await? {
            let known = self.known_to_itself(&claim.workload, Some(version));
            drop(tokio::time::timeout(SELF_KNOWLEDGE, known).await);
            self.registry.set_health(claim, ready).await?;
        }
        Ok(())
    }

    /// Takes the workload out of the store, waits until the catalog is without it, then until every client that knew it
    /// has let go.
    async fn drain(&self, claim: &Claim) -> Drained {
        let leaving = self.hub.watch(self.endpoints(&claim.workload)).await;
        if let Some(version) = self.registry.release(claim).await {
            tracing::info!(workload = %claim.key, "draining: taken out of the registry");
            self.publisher.reached(version).await;
        }
        let settled = leaving.settled(&self.hub).await;
        tracing::info!(
            workload = %claim.key, acknowledged = settled.acknowledged, gone = settled.gone,
            "drained: no proxy knows it any longer"
        );
        Drained { acknowledged: settled.acknowledged, gone: settled.gone }
    }

    /// The names of the workload's endpoints, one for each service that selects it.
    fn endpoints(&self, workload: &RegisteredWorkload) -> Vec<String> {
        let snapshot = self.publisher.snapshot();
        let own = snapshot.workload(&workload.namespace, &workload.name);
        let hosts: BTreeSet<&str> =
            own.iter().flat_map(|own| &own.inbound).map(|port| port.host.as_str()).collect();
        hosts.into_iter().map(|host| endpoint_name(host, &workload.name)).collect()
    }
}

#[tonic::async_trait]
impl Registration for RegistrationService {
    type RegisterStream = ReceiverStream<Result<RegisterResponse, Status>>;

    async fn register(
        &self,
        request: Request<Streaming<RegisterRequest>>,
    ) -> Result<Response<Self::RegisterStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let (responses, stream) = mpsc::channel(4);
        // A task of its own: it must come to its end also when the client is gone in the middle of it.
        tokio::spawn(self.clone().serve(peer, request.into_inner(), responses));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn configure(
        &self,
        request: Request<RegisteredWorkload>,
    ) -> Result<Response<ProxyConfig>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let workload = request.into_inner();
        check(peer, &workload)?;
        self.registry.proxy_config(&workload).await.map(Response::new).map_err(refusal)
    }
}

/// Whether the caller has proved that the workload is its own.
fn check(peer: Option<Peer>, workload: &RegisteredWorkload) -> Result<(), Status> {
    let identity = peer.and_then(|peer| peer.identity).ok_or_else(|| {
        Status::unauthenticated(
            "registration needs a client certificate: get one from the certificate service first",
        )
    })?;
    admit::admit(workload, &identity)
}

/// Tells a member's sidecar what its group says. A client that is gone need not hear it.
async fn tell_group(claim: &Claim, responses: &mpsc::Sender<Result<RegisterResponse, Status>>) {
    if let Some(group) = &claim.group {
        let message = Answer::Group(group.message(&claim.workload));
        drop(responses.send(Ok(response(message))).await);
    }
}

/// Waits for a newer version of the group that a workload is a member of.
fn newer_group<'a>(
    claim: &Claim,
    groups: &'a mut board::News,
) -> impl Future<Output = Arc<Group>> + use<'a> {
    let followed = claim
        .group
        .as_ref()
        .map(|group| (board::key(&claim.workload.namespace, &group.name), group.version));
    async move {
        match followed {
            Some((key, version)) => board::newer(groups, &key, version).await,
            None => std::future::pending().await,
        }
    }
}

fn response(kind: Answer) -> RegisterResponse {
    RegisterResponse { kind: Some(kind) }
}

fn refusal(error: RegistryError) -> Status {
    match error {
        RegistryError::Taken(..) | RegistryError::Held { .. } => {
            Status::already_exists(error.to_string())
        }
        RegistryError::NoGroup { .. } => Status::not_found(error.to_string()),
        RegistryError::BadGroup(..) => Status::failed_precondition(error.to_string()),
        RegistryError::NoMember(_) => Status::permission_denied(error.to_string()),
        RegistryError::Replaced => Status::aborted(error.to_string()),
        RegistryError::Store(_) => Status::unavailable(error.to_string()),
    }
}
