//! The client of the registration service: keeps a workload in the registry, and takes it out in order.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::proto::meltemi::v1::register_request::Kind as Request;
use crate::proto::meltemi::v1::register_response::Kind as Response;
use crate::proto::meltemi::v1::registration_client::RegistrationClient;
use crate::proto::meltemi::v1::{
    Drain, Drained, Group, Health, Pong, ProxyConfig, RegisterRequest, RegisterResponse,
    RegisteredWorkload,
};
use crate::retry::BackOff;

/// How long the control plane may take to accept the stream.
const OPENING: Duration = Duration::from_secs(10);

/// How long the control plane may take to say how a proxy runs: without an answer it starts as it did before.
const CONFIGURING: Duration = Duration::from_secs(5);

/// Asks what the mesh says of how the proxy of a workload runs.
///
/// # Errors
/// When the control plane is not reached, refuses the workload, or has not answered after 5 s.
pub async fn proxy_config(
    channel: Channel,
    workload: RegisteredWorkload,
) -> Result<ProxyConfig, Status> {
    let mut service = RegistrationClient::new(channel);
    match tokio::time::timeout(CONFIGURING, service.configure(workload)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in 5 s")),
    }
}

/// Why a workload was not taken out in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// No stream, so the control plane cannot say who still knows the workload.
    #[error(
        "the control plane cannot be reached ({0}), so callers may know this workload a little longer"
    )]
    Unreachable(String),
    /// The registrar has ended already.
    #[error("the workload has been taken out already")]
    Ended,
}

/// What the workload's group says; why that is not known, as long as it is not.
pub type GroupNews = Result<Group, String>;

/// Keeps one workload registered; dropped, it ends the stream and thereby takes the workload out at once.
#[derive(Debug)]
pub struct Registrar {
    health: watch::Sender<Health>,
    registered: watch::Receiver<bool>,
    drain: mpsc::Sender<oneshot::Sender<Result<Drained, DrainError>>>,
}

impl Registrar {
    /// Starts on the current runtime: registers, and registers again after each break. What the workload's group says is
    /// told to `group`.
    pub fn start(
        channel: Channel,
        workload: RegisteredWorkload,
        group: watch::Sender<GroupNews>,
    ) -> Registrar {
        let first = Health { ready: workload.ready, reason: String::new() };
        let (health, health_news) = watch::channel(first);
        let (told, registered) = watch::channel(false);
        let (drain, drains) = mpsc::channel(1);
        let run = Run { channel, workload, group, health: health_news, told, drains };
        tokio::spawn(run.run());
        Registrar { health, registered, drain }
    }

    /// Says whether the application answers on its ports; `reason` is for people. Sent if it is news.
    pub fn set_ready(&self, ready: bool, reason: &str) {
        self.health.send_if_modified(|health| {
            let changed = health.ready != ready;
            *health = Health { ready, reason: reason.into() };
            changed
        });
    }

    /// True while the control plane has confirmed the registration on a stream that stands.
    pub fn registered(&self) -> watch::Receiver<bool> {
        self.registered.clone()
    }

    /// Takes the workload out and waits until every proxy that knew it has acknowledged that. The caller bounds the wait:
    /// a proxy that hangs holds it up until its connection is found dead. Dropping the future does not undo the drain.
    ///
    /// # Errors
    /// When the control plane is not there, after one attempt to reach it.
    pub fn drain(&self) -> impl Future<Output = Result<Drained, DrainError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let drain = self.drain.clone();
        async move {
            drain.send(answer).await.map_err(|_| DrainError::Ended)?;
            answered.await.map_err(|_| DrainError::Ended)?
        }
    }
}

type Answer = oneshot::Sender<Result<Drained, DrainError>>;

struct Run {
    channel: Channel,
    workload: RegisteredWorkload,
    group: watch::Sender<GroupNews>,
    health: watch::Receiver<Health>,
    told: watch::Sender<bool>,
    drains: mpsc::Receiver<Answer>,
}

/// How a stream ended.
enum Ended {
    /// The workload is out, or nobody wants it in.
    Done,
    /// The stream broke; the answer of a drain that was under way is owed.
    Broken(Status, Option<Answer>),
}

impl Run {
    async fn run(mut self) {
        let mut back_off = BackOff::default();
        let mut drain: Option<Answer> = None;
        let mut refused = String::new();
        loop {
            let is_last = drain.is_some();
            let was_registered = *self.told.borrow();
            let (status, owed) = match self.stream(drain.take()).await {
                Ended::Done => return,
                Ended::Broken(status, owed) => (status, owed),
            };
            let registered = self.told.send_replace(false);
            if let Some(answer) = owed {
                // The end of a stream takes the workload out, so only a stream that never stood is worth one attempt.
                if is_last || registered || was_registered {
                    drop(answer.send(Err(DrainError::Unreachable(status.message().into()))));
                    return;
                }
                drain = Some(answer);
                continue;
            }
            if registered {
                back_off.reset();
                tracing::warn!(
                    reason = status.message(),
                    "the registration stream broke; trying again"
                );
                refused.clear();
            } else {
                self.tell_refusal(&status, &mut refused);
            }
            tokio::select! {
                () = tokio::time::sleep(back_off.next(rand::random())) => {}
                asked = self.drains.recv() => match asked {
                    Some(answer) => drain = Some(answer),
                    None => return,
                },
            }
        }
    }

    /// Says why the workload is not registered: aloud when the control plane refuses it, once for each reason.
    fn tell_refusal(&self, status: &Status, before: &mut String) {
        let reason = status.message();
        if !is_refusal(status) {
            return tracing::debug!(reason, "not registered yet; trying again");
        }
        if before != reason {
            tracing::warn!(
                reason,
                "the control plane refuses to register this workload; trying again"
            );
            reason.clone_into(before);
        }
        // A group that is known is gone on with.
        self.group.send_if_modified(|group| {
            let changed = group.as_ref().is_err_and(|told| told != reason);
            if changed {
                *group = Err(reason.into());
            }
            changed
        });
    }

    /// One stream. `drain`: the workload is to be taken out as soon as it stands.
    async fn stream(&mut self, drain: Option<Answer>) -> Ended {
        let (requests, stream) = mpsc::channel(8);
        let health = self.health.borrow_and_update().clone();
        let ready = health.ready && drain.is_none();
        let first = RegisteredWorkload { ready, ..self.workload.clone() };
        // Neither channel can be full or closed here: this is its first message.
        drop(requests.try_send(request(Request::Workload(first))));
        let mut service = RegistrationClient::new(self.channel.clone());
        let opening = service.register(ReceiverStream::new(stream));
        let opened = tokio::select! {
            opened = tokio::time::timeout(OPENING, opening) => opened,
            asked = self.drains.recv(), if drain.is_none() => return match asked {
                None => Ended::Done,
                Some(answer) => Ended::Broken(Status::unavailable("it was not connected"), Some(answer)),
            },
        };
        match opened {
            Ok(Ok(responses)) => self.converse(requests, responses.into_inner(), drain).await,
            Ok(Err(status)) => Ended::Broken(status, drain),
            Err(_) => Ended::Broken(Status::deadline_exceeded("no answer in 10 s"), drain),
        }
    }

    async fn converse(
        &mut self,
        requests: mpsc::Sender<RegisterRequest>,
        mut responses: Streaming<RegisterResponse>,
        mut drain: Option<Answer>,
    ) -> Ended {
        let closed = || Status::unavailable("the control plane closed the stream");
        if drain.is_some() && requests.send(request(Request::Drain(Drain {}))).await.is_err() {
            return Ended::Broken(closed(), drain);
        }
        loop {
            tokio::select! {
                response = responses.message() => match response {
                    Ok(Some(RegisterResponse { kind: Some(Response::Registered(registered)) })) => {
                        tracing::info!(workload = registered.workload, "registered");
                        self.told.send_replace(true);
                    }
                    Ok(Some(RegisterResponse { kind: Some(Response::Drained(drained)) })) => {
                        self.told.send_replace(false);
                        if let Some(answer) = drain.take() {
                            drop(answer.send(Ok(drained)));
                        }
                        return Ended::Done;
                    }
                    Ok(Some(RegisterResponse { kind: Some(Response::Group(group)) })) => {
                        self.group.send_if_modified(|told| {
                            let changed = told.as_ref() != Ok(&group);
                            *told = Ok(group);
                            changed
                        });
                    }
                    Ok(Some(RegisterResponse { kind: Some(Response::Ping(_)) })) => {
                        if requests.send(request(Request::Pong(Pong {}))).await.is_err() {
                            return Ended::Broken(closed(), drain);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return Ended::Broken(closed(), drain),
                    Err(status) => return Ended::Broken(status, drain),
                },
                changed = self.health.changed(), if drain.is_none() => {
                    // The registrar was dropped: the stream's end takes the workload out.
                    if changed.is_err() {
                        return Ended::Done;
                    }
                    let health = self.health.borrow_and_update().clone();
                    if requests.send(request(Request::Health(health))).await.is_err() {
                        return Ended::Broken(closed(), drain);
                    }
                }
                asked = self.drains.recv(), if drain.is_none() => {
                    let Some(answer) = asked else { return Ended::Done };
                    drain = Some(answer);
                    if requests.send(request(Request::Drain(Drain {}))).await.is_err() {
                        return Ended::Broken(closed(), drain);
                    }
                }
            }
        }
    }
}

/// Whether the control plane has answered that it does not take the workload, rather than not answered.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
    )
}

fn request(kind: Request) -> RegisterRequest {
    RegisterRequest { kind: Some(kind) }
}
