//! What a proxy is told at its start: which workload it stands beside, where to listen, and how to find the mesh.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meltemi_identity::TrustBundle;
use meltemi_names::{Protocol, TrustDomain};
use meltemi_wire::transport::Target;
use meltemi_wire::workload_api::Socket;

use super::settings::Choices;

/// Everything that a proxy is told at its start.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// The workload beside it.
    pub workload: WorkloadOptions,
    /// How the control plane is found and joined.
    pub control: Arc<dyn ControlPlane>,
    /// The SPIFFE Workload API that gives the certificate; `None` where the mesh's own CA does.
    pub workload_api: Option<Socket>,
    /// The life of its certificates that the mesh's own CA is asked for: it gives 5 minutes to 30 days.
    pub certificate_life: Duration,
    /// Where to listen.
    pub listen: ListenOptions,
    /// Local addresses that each stand for one service.
    pub upstreams: Vec<Upstream>,
    /// The state directory of all proxies of this machine; this one's own is `proxies/NAMESPACE/WORKLOAD` in it.
    pub state_dir: PathBuf,
    /// The workload's name is of this run only, so that nothing is to be kept of it.
    pub ephemeral: bool,
    /// How it runs, where that is not left to the mesh.
    pub choices: Choices,
    /// Whether commands that the probe of a group names may be run on this machine.
    pub allow_exec_probes: bool,
}

/// The life of certificates where nobody wants another (Istio's `SECRET_TTL` has the same).
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The workload beside a proxy.
#[derive(Debug, Clone)]
pub struct WorkloadOptions {
    /// Its name, unique in its namespace.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The service that it belongs to; `None` for one that only calls others, or is chosen by its group's labels.
    pub service: Option<String>,
    /// The `WorkloadGroup` of its namespace that it is a member of.
    pub group: Option<String>,
    /// The service account that its identity is of.
    pub service_account: String,
    /// The address at which peers reach the proxy.
    pub address: IpAddr,
    /// Nobody has named the address: the one of its group goes before it.
    pub address_is_default: bool,
    /// The application's ports.
    pub ports: Vec<AppPort>,
    /// Its labels; `version` among them where one was given.
    pub labels: BTreeMap<String, String>,
}

/// One of the application's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppPort {
    /// Its number.
    pub number: u16,
    /// What is spoken on it; [`Protocol::Auto`] where nothing was said.
    pub protocol: Protocol,
}

/// A local address that stands for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The service, as the user names it.
    pub host: String,
    /// The service's port.
    pub port: u16,
    /// Where to listen for it.
    pub listen: SocketAddr,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// This one and no other: the user named it.
    Exactly(SocketAddr),
    /// This one, or another port if it is taken: nobody asked for it.
    Preferably(SocketAddr),
    /// Nowhere: it is not wanted.
    Nowhere,
}

/// Where a proxy listens.
#[derive(Debug, Clone, Copy)]
pub struct ListenOptions {
    /// What the application sends enters the mesh here.
    pub outbound: Listen,
    /// What the mesh sends to the application enters here.
    pub inbound: Listen,
    /// The admin interface.
    pub admin: Listen,
    /// The metrics for Prometheus.
    pub metrics: Listen,
    /// The health of the proxy.
    pub health: Listen,
}

/// Finds the control plane, and proves to it who may join. Asked anew at each attempt: a control plane that was started
/// again may listen elsewhere, and a token file may have been replaced.
pub trait ControlPlane: fmt::Debug + Send + Sync + 'static {
    /// Where it listens and whom to trust.
    ///
    /// # Errors
    /// A text for people that says why it is not known now.
    fn locate(&self) -> Result<Located, String>;

    /// A join token for the workload's service account.
    ///
    /// # Errors
    /// A text for people that says why there is none now.
    fn token(&self) -> Result<String, String>;
}

/// A control plane that was found.
#[derive(Debug, Clone)]
pub struct Located {
    /// Where it listens.
    pub target: Target,
    /// The roots that it must prove itself by.
    pub bundle: TrustBundle,
    /// The mesh's trust domain.
    pub trust_domain: TrustDomain,
}
