//! What every worker of a proxy shares: the mesh as it is known, who we are, and where figures go.

use std::sync::Arc;

use meltemi_identity::Identity;
use meltemi_telemetry::access_log::LogFormat;
use meltemi_telemetry::{Metrics, Party};

use crate::config::Mesh;
use crate::in_process::Handlers;
use crate::outcomes::Outcomes;
use crate::probe::AppHealth;

/// The application protocols that the proxy's TLS configurations are made for: give this plan to
/// [`Identity::new`]. The clients' order is that of [`crate::listen::alpn`].
pub use crate::listen::alpn::plan as alpn_plan;

/// Shared by all workers; everything in it is ready for use without a lock.
#[derive(Debug)]
pub struct Shared {
    /// Services and endpoints, swapped whole when they change.
    pub mesh: Mesh,
    /// Our certificate and the TLS configurations made of it.
    pub identity: Identity,
    /// Where requests are counted; made with as many shards as there are workers.
    pub metrics: Arc<Metrics>,
    /// What became of the calls to each endpoint; made for as many workers as there are.
    pub outcomes: Arc<Outcomes>,
    /// The workload beside this proxy.
    pub local: Local,
    /// Told when the application refuses connections.
    pub app: AppHealth,
    /// The ports that this very process serves.
    pub handlers: Handlers,
    /// Whether callers whose requests are refused are told by which policy.
    pub tells_denied_by: bool,
    /// The layout of access log lines; `None` writes none.
    pub access_log: Option<LogFormat>,
}

/// The workload beside this proxy.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its name, unique in its namespace.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels for metrics; the principal is our own SPIFFE id.
    pub party: Party,
    /// The cluster for metrics.
    pub cluster: String,
}
