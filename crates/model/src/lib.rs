//! One immutable, indexed snapshot of the mesh, computed from resources. Pure.
//!
//! [`read`] makes records of resources and refuses those that cannot be used. A [`Model`] takes records in and out and
//! recomputes what they touch: the [`Snapshot`]s that it hands out share everything that did not change, and
//! [`Affected`] names what did.

mod affected;
mod endpoint;
mod model;
pub mod read;
pub mod record;
mod refusals;
mod selectors;
mod service;
mod shards;
mod snapshot;
mod workload;

pub use affected::{Affected, EndpointChange};
pub use endpoint::Endpoint;
pub use model::{Change, Model, Settings};
pub use record::{Object, Record};
pub use service::{Resolution, Service, ServicePort};
pub use shards::Shards;
pub use snapshot::Snapshot;
pub use workload::{InboundPort, Workload};
