//! The client's loop: keeps one delta stream open, and tells the subscriber what comes.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::delta::client::{Client, Refused, Update};
use crate::retry::{BackOff, LONGEST};
use crate::xds::{
    AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node,
};

/// Answers that may wait for the network before no more responses are read.
const MAX_WAITING: usize = 256;
/// The largest response that is read, bytes: a thousand services with endpoints fit many times.
const MAX_RESPONSE: usize = 64 * 1024 * 1024;
/// How long the control plane may take to accept the stream.
const OPENING: Duration = Duration::from_secs(10);

/// Whether the control plane is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// The stream stands.
    Connected {
        /// Since when.
        since: Instant,
    },
    /// There is no stream; what was received stays in use.
    Disconnected {
        /// Since when.
        since: Instant,
        /// Why the last attempt failed; empty before the first.
        reason: String,
    },
}

impl Connection {
    /// Whether the stream stands.
    pub fn is_connected(&self) -> bool {
        matches!(self, Connection::Connected { .. })
    }
}

/// Starts the client.
pub struct DeltaClient;

/// A running client; clones share it. The stream ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    /// Held for its drop: the loop ends when all are gone.
    _alive: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    client: Mutex<Client>,
    news: Notify,
    state: watch::Sender<Connection>,
}

impl DeltaClient {
    /// Starts the loop on the current runtime. `on_update` is told of every change, in order, from the loop's task: it
    /// should be quick, may use the handle, and returns the resources that it cannot use (the others of the update are
    /// taken as accepted). Updates without any resource are not told.
    pub fn start(
        channel: Channel,
        node: Node,
        on_update: impl FnMut(Update) -> Vec<Refused> + Send + 'static,
    ) -> Handle {
        let (handle, run) = Self::prepare(channel, node, on_update);
        tokio::spawn(run);
        handle
    }

    /// As [`DeltaClient::start`], but the caller runs the loop: so that `hold` and `subscribe` can be called before the
    /// first request is made. The future ends when the handle and all its clones are gone.
    pub fn prepare(
        channel: Channel,
        node: Node,
        on_update: impl FnMut(Update) -> Vec<Refused> + Send + 'static,
    ) -> (Handle, impl Future<Output = ()> + Send + 'static) {
        let before = Connection::Disconnected { since: Instant::now(), reason: String::new() };
        let shared = Arc::new(Shared {
            client: Mutex::new(Client::new(node)),
            news: Notify::new(),
            state: watch::Sender::new(before),
        });
        let (alive, mut gone) = watch::channel(());
        let handle = Handle { shared: shared.clone(), _alive: Arc::new(alive) };
        let run = async move {
            let ended = async move { while gone.changed().await.is_ok() {} };
            tokio::select! {
                () = run(channel, &shared, on_update) => {}
                () = ended => {}
            }
            shared.client.lock().disconnected();
        };
        (handle, run)
    }
}

impl Handle {
    /// Subscribes to a name or glob of a type. Doing so twice is harmless and sends nothing.
    pub fn subscribe(&self, type_url: &str, name: &str) {
        if self.shared.client.lock().subscribe(type_url, name) {
            self.shared.news.notify_one();
        }
    }

    /// Ends a subscription; no update about it is told from now on, except one that is being told just now.
    pub fn unsubscribe(&self, type_url: &str, name: &str) {
        if self.shared.client.lock().unsubscribe(type_url, name) {
            self.shared.news.notify_one();
        }
    }

    /// Notes a version held from before; see [`Client::hold`].
    pub fn hold(&self, type_url: &str, name: &str, version: &str) {
        self.shared.client.lock().hold(type_url, name, version);
    }

    /// Whether the control plane is there, and since when.
    pub fn state(&self) -> watch::Receiver<Connection> {
        self.shared.state.subscribe()
    }
}

/// Opens the stream again and again, with waits that grow while nothing is received.
async fn run(
    channel: Channel,
    shared: &Shared,
    mut on_update: impl FnMut(Update) -> Vec<Refused> + Send,
) {
    let mut back_off = BackOff::default();
    loop {
        let began = Instant::now();
        let mut received = false;
        let ended = follow(&channel, shared, &mut on_update, &mut received).await;
        shared.client.lock().disconnected();
        let was_connected = shared.state.borrow().is_connected();
        let reason = ended.message().to_owned();
        shared.state.send_if_modified(|state| {
            let since = match state {
                Connection::Disconnected { since, .. } => *since,
                Connection::Connected { .. } => Instant::now(),
            };
            let next = Connection::Disconnected { since, reason: reason.clone() };
            let changed = *state != next;
            *state = next;
            changed
        });
        if received || began.elapsed() > LONGEST {
            back_off.reset();
        }
        let wait = back_off.next(rand::random());
        if was_connected {
            tracing::warn!(%reason, "the discovery stream broke; going on with what is known");
        } else {
            tracing::debug!(%reason, retry_ms = wait.as_millis(), "no discovery stream yet");
        }
        tokio::time::sleep(wait).await;
    }
}

/// One stream, from its opening to its end.
async fn follow(
    channel: &Channel,
    shared: &Shared,
    on_update: &mut (impl FnMut(Update) -> Vec<Refused> + Send),
    received: &mut bool,
) -> Status {
    let (requests, stream) = mpsc::channel(MAX_WAITING);
    let mut service = AggregatedDiscoveryServiceClient::new(channel.clone())
        .max_decoding_message_size(MAX_RESPONSE);
    let opening = service.delta_aggregated_resources(ReceiverStream::new(stream));
    let responses = match tokio::time::timeout(OPENING, opening).await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return status,
        Err(_) => return Status::deadline_exceeded("the control plane did not accept the stream"),
    };
    shared.state.send_replace(Connection::Connected { since: Instant::now() });
    let waiting: VecDeque<_> = shared.client.lock().connected().into();
    converse(shared, on_update, received, requests, responses, waiting).await
}

async fn converse(
    shared: &Shared,
    on_update: &mut (impl FnMut(Update) -> Vec<Refused> + Send),
    received: &mut bool,
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    mut responses: Streaming<DeltaDiscoveryResponse>,
    mut waiting: VecDeque<DeltaDiscoveryRequest>,
) -> Status {
    loop {
        tokio::select! {
            biased;
            permit = requests.reserve(), if !waiting.is_empty() => match permit {
                Ok(permit) => {
                    if let Some(request) = waiting.pop_front() {
                        permit.send(request);
                    }
                }
                Err(_) => return Status::unavailable("the control plane closed the stream"),
            },
            response = responses.message(), if waiting.len() < MAX_WAITING => match response {
                Ok(Some(response)) => {
                    *received = true;
                    waiting.push_back(take_in(shared, on_update, response));
                    // What the subscriber asked for meanwhile goes out with the answer.
                    waiting.extend(shared.client.lock().outgoing());
                }
                Ok(None) => return Status::unavailable("the control plane ended the stream"),
                Err(status) => return status,
            },
            () = shared.news.notified() => waiting.extend(shared.client.lock().outgoing()),
        }
    }
}

/// Tells the subscriber, without holding the lock: it may subscribe to more while it is told.
fn take_in(
    shared: &Shared,
    on_update: &mut (impl FnMut(Update) -> Vec<Refused> + Send),
    response: DeltaDiscoveryResponse,
) -> DeltaDiscoveryRequest {
    let (update, receipt) = shared.client.lock().received(response).split();
    let refused = match update.added.is_empty() && update.removed.is_empty() {
        true => Vec::new(),
        false => on_update(update),
    };
    for resource in &refused {
        tracing::warn!(
            r#type = receipt.type_url,
            name = resource.name,
            reason = resource.reason,
            "a resource of the control plane cannot be used; the version before it stays in use"
        );
    }
    let mut client = shared.client.lock();
    client.acknowledge(&receipt.type_url, &receipt.nonce, receipt.added, &refused)
}
