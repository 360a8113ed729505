//! Assembly of a proxy: its sockets, its certificate, its view of the mesh, its place in the registry, its data path;
//! and the end of all that in order.

mod bind;
pub(crate) mod fuzzing;
mod home;
mod join;
mod member;
mod options;
mod party;
mod readiness;
mod register;
mod renew;
mod settings;
mod trust;
mod workload_api;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use meltemi_identity::{Identity, IdentityError, SvidError};
use meltemi_names::{Protocol, SpiffeIdError};
use meltemi_telemetry::Metrics;
use meltemi_wire::load_stats::{Reporting, SENDS_ALL};
use meltemi_wire::workload_api::WorkloadApiError;
use meltemi_wire::xds;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use bind::Addresses;
pub use home::HomeError;
pub use options::{
    AppPort, CERTIFICATE_LIFE, ControlPlane, Listen, ListenOptions, Located, ProxyOptions,
    Upstream, WorkloadOptions,
};
pub use readiness::Ready;
pub use settings::{AccessLog, Choices, time};
pub use workload_api::GivenError;

use crate::admin::{self, Panel};
use crate::config::{Mesh, MeshOptions};
use crate::data_path::{DataPath, Drain};
use crate::in_process::{Caller, Handlers};
use crate::listen::configured;
use crate::outcomes::Outcomes;
use crate::probe::AppHealth;
use crate::shared::{Local, Shared};
use bind::Bound;
use home::Home;
use member::Member;
use readiness::{NOT_CONNECTED, Signs};
use register::Registration;
use settings::Settings;

/// Why a member of a group may not be called at first.
const UNKNOWN_GROUP: &str = "not registered yet, so what its group says is not known";

/// Why a proxy does not serve at first.
const NO_CERTIFICATE: &str = "the certificate is not here yet";

/// How long the control plane may take to read the last report of outcomes.
const LAST_REPORT: Duration = Duration::from_secs(1);

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A socket cannot be opened.
    #[error(
        "cannot listen on {address} for {role}: {source}; choose another address with {flag} (port 0 picks a free one)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        role: String,
        /// The flag that changes it.
        flag: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The proxy's own directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The control plane does not let the workload join.
    #[error("the control plane refuses this workload: {0}")]
    Refused(String),
    /// The time is over in which the workload was to join the mesh.
    #[error("no member of the mesh within {0:?}: {1}")]
    Late(Duration, String),
    /// The certificate could not be written to the proxy's own directory.
    #[error("the certificate cannot be kept: {0}")]
    Keep(SvidError),
    /// The certificate is no good.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The SPIFFE Workload API does not answer this process.
    #[error(transparent)]
    WorkloadApi(#[from] WorkloadApiError),
    /// What it answers is of no use.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// The certificate's trust domain is none.
    #[error(transparent)]
    TrustDomain(#[from] SpiffeIdError),
    /// The data path cannot start.
    #[error("cannot start the data path: {0}; is a limit on threads or open files too low?")]
    DataPath(io::Error),
}

/// A proxy that runs. Dropped, it takes its workload out of the registry at once.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    ready: watch::Receiver<Ready>,
    panel: Arc<Panel>,
    shared: Arc<Shared>,
    data_path: DataPath,
    registration: Registration,
    reporting: Reporting,
    drain_timeout: Duration,
    /// Background tasks; they end with this.
    tasks: JoinSet<()>,
    /// Held until the end.
    home: Home,
}

/// Starts a proxy: comes back when it carries traffic. While the control plane is away and no certificate of before is
/// kept, that takes until it is back; `/healthz/ready` answers meanwhile. Dropping the future undoes everything.
///
/// # Errors
/// When a socket cannot be opened, the state directory cannot be used, or the control plane refuses the workload.
pub async fn start(options: ProxyOptions) -> Result<Running, StartError> {
    let (judged, ready) = watch::channel(Err(NO_CERTIFICATE.to_owned()));
    assemble(options, Handlers::default(), judged, ready).await
}

/// Starts the data path of a program that holds it itself, and that serves these ports in its own process. Where the mesh
/// cannot be joined within this time it says why.
///
/// # Errors
/// As [`start`], and when the time is over.
pub async fn start_within(
    options: ProxyOptions,
    handlers: Handlers,
    limit: Duration,
) -> Result<Running, StartError> {
    let (judged, ready) = watch::channel(Err(NO_CERTIFICATE.to_owned()));
    let late = ready.clone();
    match tokio::time::timeout(limit, assemble(options, handlers, judged, ready)).await {
        Ok(started) => started,
        Err(_) => {
            let reason = late.borrow().clone().err().unwrap_or_default();
            Err(StartError::Late(limit, reason))
        }
    }
}

async fn assemble(
    options: ProxyOptions,
    handlers: Handlers,
    judged: watch::Sender<Ready>,
    ready: watch::Receiver<Ready>,
) -> Result<Running, StartError> {
    let Bound { data_path: listeners, admin, metrics: metrics_listener, health, addresses } =
        Bound::open(&options.listen, &options.upstreams)?;
    let workload = &options.workload;
    let home =
        Home::open(&options.state_dir, &workload.namespace, &workload.name, options.ephemeral)?;
    let metrics = Arc::new(Metrics::new(
        options.choices.workers.map_or_else(settings::processors, NonZeroUsize::get),
    ));
    let panel = Arc::new(Panel::new(metrics.clone(), ready.clone()));
    let mut tasks = JoinSet::new();
    for (listener, role) in [
        (admin, admin::Role::Admin),
        (metrics_listener, admin::Role::Metrics),
        (health, admin::Role::Health),
    ] {
        let Some(listener) = listener else { continue };
        tasks.spawn(admin::serve(listener, role, panel.clone()).map_err(StartError::DataPath)?);
    }

    let waiting = |what: &str| drop(judged.send_replace(Err(format!("waiting for {what}"))));
    let member = member::join(&options, &home.identity(), waiting, &mut tasks).await?;
    drop(judged.send_replace(Err(NOT_CONNECTED.to_owned())));
    let channel = member.channel.clone();
    let registered = register::workload(workload, addresses.inbound.port());
    let file = home.proxy_config();
    let settings = options.choices.complete(channel.clone(), registered.clone(), &file).await;
    tracing::debug!(?settings, "how the proxy runs");
    let node = node_of(&options.workload);
    let shared =
        Arc::new(share(&options, settings, &home, member, metrics, handlers, node.clone()));
    panel.show(shared.clone());
    let (group, news) = watch::channel(Err(UNKNOWN_GROUP.to_owned()));
    let (app, is_member) = (shared.app.clone(), workload.group.is_some());
    let allow_exec = options.allow_exec_probes;
    let mesh = shared.mesh.clone();
    tasks.spawn(async move {
        let find = |port| mesh.current().inbound().place(port);
        match is_member {
            true => app.run_member(news, allow_exec, find).await,
            false => app.run(find).await,
        }
    });
    let data_path = DataPath::start(shared.clone(), settings.workers, listeners)
        .map_err(StartError::DataPath)?;
    tasks.spawn(configured::run(shared.mesh.clone(), data_path.doors()));
    tasks.spawn(data_path.meters().follow());
    let reporting = channel.clone();
    let registration = Registration::start(channel, registered, shared.app.watch(), group);
    let signs = Signs {
        app: shared.app.watch(),
        registered: registration.confirmed(),
        mesh: shared.mesh.clone(),
        is_service: is_member || workload.service.is_some() && !workload.ports.is_empty(),
    };
    tasks.spawn(signs.follow(judged));
    let reporting = Reporting::start(reporting, node, shared.outcomes.clone());
    let drain_timeout = settings.drain_timeout;
    Ok(Running {
        addresses,
        ready,
        panel,
        shared,
        data_path,
        registration,
        reporting,
        drain_timeout,
        tasks,
        home,
    })
}

/// Who we are, as the control plane is told.
fn node_of(workload: &WorkloadOptions) -> xds::Node {
    let WorkloadOptions { name, namespace, service_account, address, labels, .. } = workload;
    let node = xds::node(name, namespace, service_account, &address.to_string(), labels);
    xds::Node { client_features: vec![SENDS_ALL.into()], ..node }
}

/// What the data path's threads share. Starts the discovery stream.
fn share(
    options: &ProxyOptions,
    settings: Settings,
    home: &Home,
    member: Member,
    metrics: Arc<Metrics>,
    handlers: Handlers,
    node: xds::Node,
) -> Shared {
    let Member { channel, identity, trust } = member;
    let WorkloadOptions { name, namespace, labels, ports, group, .. } = &options.workload;
    let mesh = Mesh::start(MeshOptions {
        channel,
        node,
        workload: Some(format!("{namespace}/{name}")),
        namespace: namespace.clone(),
        labels: labels.clone(),
        cache_dir: home.configuration(),
        trust: Some(trust),
    });
    let party = party::of(&options.workload, &identity.id());
    let is_asked = |port: &&AppPort| port.protocol != Protocol::Udp && !handlers.has(port.number);
    let answering = ports.iter().filter(is_asked);
    Shared {
        outcomes: Arc::new(Outcomes::new(settings.workers)),
        mesh,
        identity,
        metrics,
        local: Local {
            workload: name.clone(),
            namespace: namespace.clone(),
            cluster: party.cluster.to_string(),
            party,
        },
        app: match group {
            Some(_) => AppHealth::unknown(UNKNOWN_GROUP),
            None => AppHealth::new(answering.map(|port| port.number)),
        },
        handlers,
        tells_denied_by: settings.tells_denied_by,
        access_log: settings.access_log,
    }
}

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether it serves, and each change of that.
    pub fn ready(&self) -> watch::Receiver<Ready> {
        self.ready.clone()
    }

    /// Tells how to find out how much time of processors the application has had so far, for the reports of load. Asked once a
    /// second at most, and only while a caller wants reports. The first one that is told counts.
    pub fn measure_cpu(&self, time: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        self.data_path.meters().measure_cpu(Box::new(time));
    }

    /// Makes calls of this very process over the data path.
    pub fn caller(&self) -> Caller {
        self.data_path.caller()
    }

    /// What is known of the mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.shared.mesh
    }

    /// Who this workload is.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Why the registry does not take the workload, if it has said so.
    pub fn refusal(&self) -> Option<String> {
        self.registration.refusal()
    }

    /// Ends when somebody has asked the admin interface to quit.
    pub fn quit(&self) -> Arc<Notify> {
        self.panel.quit()
    }

    /// Takes the workload out by events: first every proxy that knows it lets it go, then the last request finishes, then
    /// what is known is kept for the next start. Each of the first two may take as long as the drain time-out.
    pub async fn drain(&self, what: Drain) {
        self.panel.drain();
        tracing::info!("draining: taking the workload out of the registry");
        match self.registration.drain(self.drain_timeout).await {
            Ok(drained) => tracing::info!(
                acknowledged = drained.acknowledged,
                gone = drained.gone,
                "drained: acknowledged by {} proxies, {} gone",
                drained.acknowledged,
                drained.gone
            ),
            Err(reason) => tracing::warn!(%reason, "drained without every acknowledgement"),
        }
        match tokio::time::timeout(self.drain_timeout, self.data_path.drain(what)).await {
            Ok(()) => tracing::info!("last request finished"),
            Err(_) => tracing::warn!(
                in_flight = self.data_path.in_flight(),
                limit = ?self.drain_timeout,
                "requests are cut off (--drain-timeout)"
            ),
        }
        self.shared.mesh.flush().await;
    }

    /// Tells the control plane what became of the last calls; of later ones it is told nothing. It has a second for it.
    pub async fn tell_last_outcomes(&self) {
        // A worker that stands still must not hold up the end of the program.
        drop(tokio::time::timeout(LAST_REPORT, self.data_path.settle()).await);
        self.reporting.finish(LAST_REPORT).await;
    }

    /// Ends everything that still runs.
    pub async fn stop(self) {
        self.tell_last_outcomes().await;
        let Running { data_path, registration, reporting, shared, mut tasks, home, .. } = self;
        drop((reporting, registration));
        shared.mesh.flush().await;
        tasks.shutdown().await;
        // Joins threads, which must not hold up the tasks of this runtime meanwhile.
        if tokio::task::spawn_blocking(move || data_path.stop()).await.is_err() {
            tracing::error!("the data path did not end well");
        }
        drop(home);
    }
}
