//! From model to wire: encoding of snapshots, subscription sessions, pushes.
//!
//! The way of a change: a new snapshot comes to [`Publisher::publish`], which encodes what is affected once ([`Catalog`]) and
//! tells every session; each session compares what its client holds with the catalog and sends the difference. The other
//! two services of the control plane stand beside it: [`Registry`] enters workloads into the store, and
//! [`CertificateService`] has their certificates signed. What proxies report of their calls comes to [`LoadStatsService`], and
//! [`Keeper`] keeps it.

mod ads;
mod catalog;
mod certificate;
mod encode;
mod foreign;
pub mod fuzzing;
mod hub;
mod left;
mod load_stats;
mod metrics;
mod outcomes;
mod publish;
mod registration;
mod session;
mod subsets;

pub use ads::{Access, DiscoveryService};
pub use catalog::{Catalog, Encoded};
pub use certificate::{CertificateService, Tokens};
pub use hub::{Hub, Leaving, Settled};
pub use load_stats::{ALL_ENDPOINTS, LoadStatsService};
pub use metrics::Metrics;
pub use outcomes::Keeper;
pub use publish::{Published, Publisher};
pub use registration::{GRACE, RegistrationService, Registry};
