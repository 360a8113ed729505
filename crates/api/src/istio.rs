//! Istio's kinds.

pub mod authorization_policy;
pub mod destination_rule;
pub mod envoy_filter;
pub mod gateway;
pub mod peer_authentication;
pub mod proxy_config;
pub mod request_authentication;
mod select;
pub mod service_entry;
pub mod sidecar;
mod status;
pub mod telemetry;
pub mod tls;
pub mod traffic_policy;
pub mod virtual_service;
pub mod wasm_plugin;
pub mod workload_entry;
pub mod workload_group;

pub use authorization_policy::AuthorizationPolicy;
pub use destination_rule::DestinationRule;
pub use envoy_filter::EnvoyFilter;
pub use gateway::Gateway;
pub use peer_authentication::PeerAuthentication;
pub use proxy_config::ProxyConfig;
pub use request_authentication::RequestAuthentication;
pub use select::{LabelSelector, MatchSelector, PolicyTargetReference};
pub use service_entry::ServiceEntry;
pub use sidecar::Sidecar;
pub use status::{MessageLevel, MessageType, Status, ValidationMessage};
pub use telemetry::Telemetry;
pub use virtual_service::VirtualService;
pub use wasm_plugin::WasmPlugin;
pub use workload_entry::WorkloadEntry;
pub use workload_group::WorkloadGroup;
