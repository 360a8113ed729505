//! Kubernetes' core kinds, those that a mesh reads.

mod config_map;
mod namespace;
mod secret;
mod service;
mod service_account;

pub use config_map::ConfigMap;
pub use namespace::{Namespace, NamespaceSpec, NamespaceStatus};
pub use secret::Secret;
pub use service::{
    ClientIpAffinity, ExternalTrafficPolicy, InternalTrafficPolicy, IpFamily, IpFamilyPolicy,
    LoadBalancerIngress, LoadBalancerStatus, PortStatus, Service, ServicePort, ServiceProtocol,
    ServiceSpec, ServiceStatus, ServiceType, SessionAffinity, SessionAffinityConfig,
};
pub use service_account::{LocalObjectReference, ObjectReference, ServiceAccount};
