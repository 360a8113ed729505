//! The user's resources: Istio's, the Gateway API's and Kubernetes' core and RBAC kinds, and our own, one module a kind.
//!
//! Text goes through [`parse`] (YAML and JSON, with places), [`refuse`] (the shape by the kind's [`schema`], then
//! what the kind itself checks) and [`defaults`]; wrong input is refused whole, every problem told as a [`Finding`].
//! [`references`] says what a resource points to, [`yaml`] writes it for people. Nothing here knows time or
//! network; [`files`] alone touches the disk.

mod annotations;
mod balancing;
pub mod core;
pub mod defaults;
pub mod effect;
pub mod files;
mod finding;
pub mod gateway_api;
pub mod istio;
mod kind;
pub mod meltemi;
pub mod mesh_config;
pub mod metadata;
mod object;
mod outliers;
pub mod parse;
pub mod rbac;
pub mod references;
pub mod refuse;
mod resource;
pub mod schema;
mod subset;
pub mod values;
pub mod yaml;

pub use balancing::{BALANCING, Balancing, balancing};
pub use finding::{Finding, Severity};
pub use kind::Kind;
pub use mesh_config::MeshConfig;
pub use object::Object;
pub use outliers::{OUTLIER_DETECTION, OutlierStatistics, outlier_statistics};
pub use parse::{Accepted, Options, Parsed, Source, parse};
pub use references::{Reference, Target, dangling, references};
pub use resource::Resource;
pub use schema::schema;
pub use subset::{ENDPOINT_SUBSET, SMALLEST_ENDPOINT_SUBSET, endpoint_subset};
