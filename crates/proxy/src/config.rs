//! Configuration: what the control plane says about services, endpoints and our own workload, compiled into one
//! immutable snapshot that is swapped whole.
//!
//! The way of an update: the discovery stream hands it to [`Mesh`]; `receive` takes it in by name, `compile` checks it,
//! `hosted` builds what changed of a service; the new [`Snapshot`] is swapped in before the update is acknowledged.
//! `keep` writes the raw resources to disk (`last_good`), so that a proxy can start without its control plane.

mod app;
mod arrival;
mod authentication;
mod authorization;
mod cluster;
mod compile;
mod credential;
mod egress;
mod endpoint;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod fuzzing;
mod hosted;
mod inbound;
mod ingress;
mod keep;
mod last_good;
mod mesh;
mod origination;
mod own;
mod presence;
mod receive;
mod rules;
mod snapshot;
mod sweep;
mod termination;

pub use app::{App, AppPlace, At};
pub use authentication::Authentications;
pub use authorization::Authorization;
pub use cluster::{Active, Cluster};
pub use credential::Credential;
pub use egress::{Bind, EgressListener};
pub use endpoint::{Address, Endpoint, MutualTls};
pub use inbound::{Gate, Inbound, InboundListener, InboundPort};
pub use mesh::{Lookup, Mesh, MeshOptions, TrustSink};
pub use origination::Origination;
pub(crate) use origination::{ConnectionLimits, Tls};
pub use own::Own;
pub use presence::Presence;
pub use snapshot::{Resolution, Service, Snapshot};
pub use termination::Termination;
