//! The whole control plane: its start in order, its watch over its parts, and its stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_apiserver::ensure_namespaces;
use meltemi_audit::AuditLog;
use meltemi_discovery::{Hub, Keeper, Metrics, Publisher, Registry};
use meltemi_identity::FileError;
use meltemi_identity::token::{Issuer, SpentTokens};
use meltemi_model::Settings;
use meltemi_model::read::extension_providers;
use meltemi_store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::announced::Announced;
use crate::control_file::ControlFile;
use crate::door::Door;
use crate::error::ControlError;
use crate::federation::Federated;
use crate::follow::Follower;
use crate::grpc::Services;
use crate::identity::{OwnIdentity, open_authority};
use crate::key_sets::KeySets;
use crate::listen::{Bound, Sockets};
use crate::options::{AuditChoice, Options, StoreChoice};
use crate::outcomes;
use crate::state_dir::{StateDir, token_key};
use crate::stopping::Stopping;
use crate::store::Released;
use crate::trust::Truster;
use crate::trust_roots::TrustRoots;
use crate::{admin, api, dns, http_server, monitoring, statuses, store};

/// How long servers, and then the store's last users, may take to end.
const LAST_WORK: Duration = Duration::from_secs(10);

/// A running control plane. Dropped without [`ControlPlane::stop`], it leaves the registry as it is and ends its tasks.
#[derive(Debug)]
pub struct ControlPlane {
    bound: Bound,
    file: ControlFile,
    announced: Arc<Announced>,
    /// `None` when it has been let go.
    registry: Option<Arc<Registry>>,
    stop: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    /// End by themselves after the sign to stop.
    servers: JoinSet<&'static str>,
    /// Run for ever.
    keepers: JoinSet<&'static str>,
    released: Released,
    outcomes: Arc<Keeper>,
    state_dir: StateDir,
}

/// What was opened before anything is served.
struct Parts {
    services: Services,
    own: OwnIdentity,
    store: Arc<dyn Store>,
    released: Released,
    follower: Follower,
    key_sets: KeySets,
    /// The store's version that is published already.
    version: u64,
    admin_token: String,
    audit: AuditLog,
    /// Its file, if there is one.
    audit_log: Option<PathBuf>,
    truster: Truster,
    federated: Arc<Federated>,
}

impl Parts {
    async fn open(
        options: &Options,
        state_dir: &StateDir,
        bound: &Bound,
        announced: Arc<Announced>,
    ) -> Result<Self, ControlError> {
        if options.store == StoreChoice::Embedded && state_dir.has_lost_its_store() {
            tracing::warn!(
                path = %state_dir.store().display(),
                "a control plane has worked with this state directory, but its store is not there: all configuration is gone, rules of who may call whom, roles and revocations too, and sidecars go by none; if that is not meant, stop, and bring the file back from a copy"
            );
        }
        let authority = open_authority(options, state_dir)?;
        let roots = Arc::new(TrustRoots::open(&options.trust_roots)?);
        let federated = Arc::new(Federated::open(options, state_dir.path())?);
        let own = OwnIdentity::new(authority.clone(), options, bound)?;
        let tokens =
            Issuer::open_or_create(&token_key(state_dir.path())).map_err(ControlError::TokenKey)?;
        let spent =
            SpentTokens::open(&state_dir.spent_tokens(), SystemTime::now()).map_err(|error| {
                match error {
                    FileError::Write { .. } => ControlError::File(error),
                    error => ControlError::SpentTokens(error),
                }
            })?;
        let admin_token = admin::open_token(state_dir)?;
        let audit_log = audit_log(&options.audit_log, state_dir);
        let audit = match &audit_log {
            Some(path) => AuditLog::open(path)?,
            None => AuditLog::off(),
        };
        let (store, released) = store::open(&options.store, state_dir).await?;
        ensure_namespaces(&*store).await?;
        let publisher = Arc::new(Publisher::default());
        let topology = options.mesh_config.default_config.gateway_topology;
        let settings = Settings {
            path_normalization: options.path_normalization,
            extension_providers: extension_providers(options.mesh_config.clone()),
            trust_domain_aliases: federated.aliases().to_vec(),
            num_trusted_proxies: topology.num_trusted_proxies,
            ..Settings::new(options.trust_domain.clone(), &options.domain_suffix)
        };
        let (key_sets, news) = KeySets::open(options, state_dir.path());
        let mut follower = Follower::new(store.clone(), publisher.clone(), settings, news);
        // Before the first proxy is answered: after a restart nobody may miss what was there before.
        let version = follower.list().await?;
        let services = Services {
            publisher,
            hub: Arc::new(Hub::default()),
            metrics: Arc::new(Metrics::default()),
            registry: Registry::new(store.clone()),
            authority,
            tokens,
            spent: Arc::new(spent),
            audit: audit.clone(),
            outcomes: outcomes::open(&state_dir.outcomes()),
            report_every: options.report_every,
        };
        let truster = Truster::new(
            &services,
            store.clone(),
            own.clone(),
            roots,
            federated.clone(),
            announced,
        );
        truster.tell().await?;
        Ok(Parts {
            services,
            own,
            store,
            released,
            follower,
            key_sets,
            version,
            admin_token,
            audit,
            audit_log,
            truster,
            federated,
        })
    }
}

impl ControlPlane {
    /// Starts everything. When this returns, all servers answer, and `control.json` is written.
    ///
    /// # Errors
    /// When the state directory is in use or cannot be written, an address cannot be listened on, or the CA or the store
    /// cannot be opened. Nothing keeps running then.
    pub async fn start(options: Options) -> Result<Self, ControlError> {
        let state_dir = StateDir::open(&options.state_dir)?;
        let path = state_dir.path();
        let failed = |source| ControlError::StateDir { path: path.into(), source };
        let announced = Arc::new(Announced::new(path).map_err(failed)?);
        let sockets = Sockets::open(&options).await?;
        let bound = sockets.bound;
        let parts = Parts::open(&options, &state_dir, &bound, announced.clone()).await?;
        let file = control_file(&options, &bound, &parts);

        let (stop, stopping) = watch::channel(false);
        let mut plane = ControlPlane {
            bound,
            file,
            announced,
            registry: Some(parts.services.registry.clone()),
            stop,
            ready: watch::Sender::new(false),
            servers: JoinSet::new(),
            keepers: JoinSet::new(),
            released: Released::default(),
            outcomes: parts.services.outcomes.clone(),
            state_dir,
        };
        plane.serve(&options, parts, sockets, &Stopping(stopping))?;
        let path = plane.state_dir.path();
        let failed = |source| ControlError::StateDir { path: path.into(), source };
        plane.announced.write(plane.file.clone()).map_err(failed)?;
        plane.ready.send_replace(true);
        tracing::info!(api = %bound.api, secure_xds = %bound.secure_xds, "the control plane is ready");
        Ok(plane)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Bound {
        &self.bound
    }

    /// What commands of this machine were told at the start.
    pub fn file(&self) -> &ControlFile {
        &self.file
    }

    /// Waits until a part ends that should run for ever.
    pub async fn failed(&mut self) -> ControlError {
        let ended = tokio::select! {
            Some(ended) = self.servers.join_next() => ended,
            Some(ended) = self.keepers.join_next() => ended,
            else => return ControlError::Ended("the control plane"),
        };
        // A panic's message is in the log already.
        ControlError::Ended(ended.unwrap_or("a part of the control plane"))
    }

    /// Stops: takes no workload out, accepts nothing more, ends all streams, closes the store, gives the state directory
    /// back.
    pub async fn stop(mut self) {
        tracing::info!(
            "stopping; registered workloads stay, and proxies go on with what they know"
        );
        self.close();
        let servers = &mut self.servers;
        let ending = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORK, ending).await.is_err() {
            tracing::warn!("connections that did not end in 10 s were cut off");
        }
        self.servers.shutdown().await;
        self.keepers.shutdown().await;
        outcomes::write(&self.outcomes, &self.state_dir.outcomes()).await;
        self.registry = None;
        if tokio::time::timeout(LAST_WORK, self.released.wait()).await.is_err() {
            tracing::warn!("the store is still in use after 10 s; what it acknowledged is safe");
        }
        tracing::info!("stopped");
    }

    /// Gives the sign to stop. From here on the ends of streams mean nothing for the registry.
    fn close(&self) {
        if let Some(registry) = &self.registry {
            registry.close();
        }
        self.ready.send_replace(false);
        if let Err(error) = self.announced.remove() {
            tracing::warn!(%error, "control.json could not be removed");
        }
        self.stop.send_replace(true);
    }

    fn serve(
        &mut self,
        options: &Options,
        parts: Parts,
        sockets: Sockets,
        stopping: &Stopping,
    ) -> Result<(), ControlError> {
        let Parts {
            services,
            own,
            store,
            released,
            follower,
            key_sets,
            version,
            admin_token,
            audit,
            audit_log: _,
            truster,
            federated,
        } = parts;
        self.released = released;
        let (identity, publisher) = (own.identity().clone(), services.publisher.clone());
        let sources = monitoring::Sources {
            metrics: services.metrics.clone(),
            publisher: publisher.clone(),
            outcomes: services.outcomes.clone(),
            authority: services.authority.clone(),
            identity: identity.clone(),
            keys: key_sets.figures(),
            ready: self.ready.subscribe(),
        };
        self.keep("the way from the store to the proxies", follower.run(version));
        if !matches!(options.store, StoreChoice::Directory(_)) {
            // A folder is its owner's: nothing is written into files that people keep.
            let telling = statuses::run(store.clone(), publisher.clone());
            self.keep("the telling of what became of routes", telling);
        }
        self.keep("the fetching of keys for tokens", key_sets.run());
        self.keep("the renewal of the own certificate", own.keep_fresh());
        self.sweep(services.registry.clone());
        let keeping =
            outcomes::keep(services.outcomes.clone(), publisher.clone(), self.state_dir.outcomes());
        self.keep("the keeping of outcomes", keeping);
        let outcomes = services.outcomes.clone();
        let registry = services.registry.clone();
        let groups = async move { registry.follow_groups().await };
        self.keep("the following of workload groups", groups);

        let members_identity = identity.clone();
        let members =
            services.clone().serve_members(sockets.secure_xds, identity, stopping.clone());
        self.server("the xDS server", members);
        if let Some(listener) = sockets.xds {
            let anybody = services.serve_anybody(listener, stopping.clone());
            self.server("the plaintext xDS server", anybody);
        }
        self.keep("the way of revocations to the proxies", truster.clone().run());
        self.keep("the following of further roots", truster.clone().follow_roots());
        self.keep("the fetching of SPIFFE bundles", federated.run());
        self.keep("the following of other trust domains", truster.clone().follow_federation());
        let api = api::Parts {
            store,
            publisher: publisher.clone(),
            token: admin_token,
            audit,
            truster,
            outcomes,
        };
        let routes = api::routes(options, &self.bound, api, stopping);
        let door = Door::Secure { identity: members_identity, plaintext: options.insecure_network };
        let serving = http_server::serve(sockets.api, routes, door, stopping.clone());
        self.server("the API server", serving);
        if let Some(listener) = sockets.monitoring {
            let routes = monitoring::routes(sources);
            let serving = http_server::serve(listener, routes, Door::Plain, stopping.clone());
            self.server("the monitoring server", serving);
        }
        if let Some(sockets) = sockets.dns {
            let serving = dns::server(sockets, publisher, options, stopping.clone())?;
            self.server("the DNS server", serving);
        }
        Ok(())
    }

    fn server(&mut self, name: &'static str, serving: impl Future<Output = ()> + Send + 'static) {
        self.servers.spawn(async move {
            serving.await;
            name
        });
    }

    fn keep(&mut self, name: &'static str, running: impl Future<Output = ()> + Send + 'static) {
        self.keepers.spawn(async move {
            running.await;
            name
        });
    }

    /// Removes what does not come back after a restart.
    fn sweep(&mut self, registry: Arc<Registry>) {
        self.keepers.spawn(async move {
            if let Err(error) = registry.sweep().await {
                tracing::warn!(%error, "workloads of before the restart could not be looked for");
            }
            drop(registry);
            std::future::pending().await
        });
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where the audit log is; absolute, as commands that append to it are started elsewhere.
fn audit_log(choice: &AuditChoice, state_dir: &StateDir) -> Option<PathBuf> {
    let path = match choice {
        AuditChoice::Off => return None,
        AuditChoice::File(path) => path.clone(),
        AuditChoice::StateDir => state_dir.audit_log(),
    };
    Some(std::path::absolute(&path).unwrap_or(path))
}

fn control_file(options: &Options, bound: &Bound, parts: &Parts) -> ControlFile {
    ControlFile::new(
        bound,
        options,
        parts.services.authority.bundle().to_pem(),
        parts.admin_token.clone(),
        parts.audit_log.clone(),
    )
}
