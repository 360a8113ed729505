//! One immutable, indexed snapshot of the mesh, computed from resources. Pure.
//!
//! [`read`] makes records of resources and refuses those that cannot be used. A [`Model`] takes records in and out and
//! recomputes what they touch: the [`Snapshot`]s that it hands out share everything that did not change, and
//! [`Affected`] names what did.

mod addresses;
mod affected;
mod authentication;
mod authorization;
mod credentials;
mod destinations;
pub mod ejections;
mod endpoint;
mod export;
mod hosts;
mod model;
pub mod outcomes;
mod peers;
pub mod read;
mod readers;
pub mod record;
mod refusals;
mod routes;
mod selectors;
mod service;
mod settings;
mod shards;
mod sidecar;
mod snapshot;
mod viewer;
mod workload;

pub use affected::{Affected, EndpointChange};
pub use authentication::{FetchedKeys, JwtRuleRecord, KeySource, RequestAuthenticationRecord};
pub use authorization::AuthorizationPolicyRecord;
pub use credentials::Credential;
pub use destinations::DestinationRuleRecord;
pub use endpoint::Endpoint;
pub use export::ExportTo;
pub use model::{Change, Model};
pub use record::{Object, Record};
pub use routes::{
    Backend, Parent, ParentOf, Rank, RankedRule, ReferenceGrantRecord, Referent, RouteCondition,
    RouteParentStatus, RouteRecord, RouteStatus, VirtualServiceRecord,
};
pub use service::{Resolution, Rules, Service, ServicePort};
pub use settings::{DefaultExportTo, Settings};
pub use shards::Shards;
pub use sidecar::{
    EgressHost, EgressListener, EgressNamespace, EgressProxy, EgressScope, IngressListener,
    OutboundMode, Sidecar, SidecarRecord, Sidecars,
};
pub use snapshot::Snapshot;
pub use viewer::Viewer;
pub use workload::{InboundPort, Workload};
