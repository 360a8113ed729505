//! The words that all other crates share: hosts, services, workloads, SPIFFE ids, ports, protocols.
//!
//! Everything here is a plain value that is parsed once and then known to be right. Nothing does I/O.

mod header;
mod host;
mod label;
pub mod ports;
mod protocol;
mod spiffe;
pub mod variables;

pub use header::{is_cookie_text, is_framing_header, is_header_name};
pub use host::{
    Host, HostError, expand_host, is_dns_label, is_dns_subdomain, is_peer_address, service_host,
};
pub use label::{is_label_key, is_label_value};
pub use protocol::Protocol;
pub use spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

/// The namespace that resources without one belong to.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Istio's root namespace: policies here apply to the whole mesh.
pub const ROOT_NAMESPACE: &str = "istio-system";
/// The trust domain used unless another is set.
pub const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";
/// The DNS suffix of the mesh's own services unless another is set.
pub const DEFAULT_DOMAIN_SUFFIX: &str = "svc.cluster.local";
/// The service account of workloads that name none.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "default";
/// The cluster (registry) id of the mesh unless another is set; Istio's default.
pub const DEFAULT_CLUSTER: &str = "Kubernetes";
