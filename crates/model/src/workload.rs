//! A workload as its own sidecar sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{Host, Protocol};
use meltemi_policy::authz::provider::Provider;
use meltemi_policy::authz::rule::AuthorizationPolicy;
use meltemi_policy::jwt::rule::RequestAuthentication;
use meltemi_policy::path::Normalization;
use meltemi_policy::peer::Mode;

use crate::credentials::Credential;
use crate::sidecar::Sidecar;

/// The services that a workload stands for, whether it is ready or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The name.
    pub name: Arc<str>,
    /// The namespace.
    pub namespace: Arc<str>,
    /// IP address or host name.
    pub address: String,
    /// Who it is; `None` if it names no service account.
    pub service_account: Option<String>,
    /// What arrives for it, by service host and port.
    pub inbound: Vec<InboundPort>,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `region/zone/subzone`.
    pub locality: String,
    /// The network that it stands in.
    pub network: String,
    /// The `Sidecar` that is for it.
    pub sidecar: Option<Arc<Sidecar>>,
    /// Whose tokens it takes.
    pub request_authentications: Vec<Arc<RequestAuthentication>>,
    /// Who may do what with it.
    pub authorization_policies: Vec<Arc<AuthorizationPolicy>>,
    /// The secrets that it needs to follow the rules of its namespace, by name.
    pub credentials: BTreeMap<String, Credential>,
    /// The authorizers that these policies have asked.
    pub extension_providers: Vec<Arc<Provider>>,
    /// So many proxies add an entry to `x-forwarded-for` before it is called.
    pub num_trusted_proxies: u32,
    /// How paths of requests are brought into one form.
    pub path_normalization: Normalization,
}

/// A service port that leads to the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPort {
    /// The service's host.
    pub host: Host,
    /// The service's name.
    pub service_name: Arc<str>,
    /// The service's namespace.
    pub service_namespace: Arc<str>,
    /// The port that callers use.
    pub service_port: u16,
    /// The name of the service's port, possibly empty.
    pub port_name: String,
    /// The workload's port.
    pub target_port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether callers are asked for mutual TLS.
    pub mode: Mode,
}
