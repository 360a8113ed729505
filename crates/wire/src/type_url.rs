//! The types of resources on the delta stream.

/// A service, by the host that was asked for ([`crate::proto::meltemi::v1::Service`]).
pub const SERVICE: &str = "type.googleapis.com/meltemi.v1.Service";
/// One endpoint of a service, `HOST/WORKLOAD`; subscribed to as `HOST/*` ([`crate::proto::meltemi::v1::Endpoint`]).
pub const ENDPOINT: &str = "type.googleapis.com/meltemi.v1.Endpoint";
/// The subscriber's own workload, `NAMESPACE/NAME` ([`crate::proto::meltemi::v1::Workload`]).
pub const WORKLOAD: &str = "type.googleapis.com/meltemi.v1.Workload";
