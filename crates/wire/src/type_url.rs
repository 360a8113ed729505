//! The types of resources on the delta stream.

/// What all of them begin with, in every version of the API.
pub const PREFIX: &str = "type.googleapis.com/meltemi.";
/// A service, by the host that was asked for ([`crate::proto::meltemi::v1::Service`]).
pub const SERVICE: &str = "type.googleapis.com/meltemi.v1.Service";
/// One endpoint of a service, `HOST/WORKLOAD`; subscribed to as `HOST/*` ([`crate::proto::meltemi::v1::Endpoint`]).
pub const ENDPOINT: &str = "type.googleapis.com/meltemi.v1.Endpoint";
/// Whom the mesh's members believe; its only name is [`TRUST_NAME`] ([`crate::proto::meltemi::v1::Trust`]).
pub const TRUST: &str = "type.googleapis.com/meltemi.v1.Trust";
/// The name of the one resource of type [`TRUST`].
pub const TRUST_NAME: &str = "trust";
/// The subscriber's own workload, `NAMESPACE/NAME` ([`crate::proto::meltemi::v1::Workload`]).
pub const WORKLOAD: &str = "type.googleapis.com/meltemi.v1.Workload";
