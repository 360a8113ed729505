//! The rule of a `DestinationRule` (networking.istio.io/v1), as it travels to proxies and is evaluated by them.
//!
//! Names and defaults are Istio's. A section that is `None` was not written; which defaults stand in for single fields is
//! said at each of them.

use std::collections::BTreeMap;
use std::ops::Not;

use serde::{Deserialize, Serialize};

mod connection_pool;
mod load_balancer;
mod outlier_detection;
mod tls;

pub use connection_pool::{ConnectionPool, H2UpgradePolicy, HttpPool, TcpKeepalive, TcpPool};
pub use load_balancer::{
    ConsistentHash, CookieAttribute, HashKey, HashTable, HttpCookie, LoadBalancer,
    LocalityDistribute, LocalityFailover, LocalityLbSetting, SimpleLoadBalancer, Warmup,
};
pub use outlier_detection::{FailurePercentage, OutlierDetection, SuccessRate};
pub use tls::{ClientTls, ClientTlsMode};

/// How a service is called, as one object says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationRule {
    /// The object's name.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
    /// When the object was made (RFC 3339, UTC, so that texts sort as times do). Of two the older wins.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// The service, fully qualified and in lower case; may be `*` or start with `*.`.
    pub host: String,
    /// The namespaces that see the rule: names, `.` for its own, `*` for all, `~` for none. Empty is `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// Labels that a caller must have; it must also be of the rule's namespace then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<BTreeMap<String, String>>,
    /// How all of the service is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
    /// Parts of the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subsets: Vec<Subset>,
}

impl DestinationRule {
    /// Every policy of it, that of the whole service first.
    fn policies_mut(&mut self) -> impl Iterator<Item = &mut TrafficPolicy> {
        let subsets = self.subsets.iter_mut().filter_map(|it| it.traffic_policy.as_mut());
        self.traffic_policy.iter_mut().chain(subsets)
    }

    /// Has the service, its subsets and single ports of both balanced in this way, where no consistent hashing is asked for.
    pub fn balance(&mut self, simple: SimpleLoadBalancer) {
        let balancer = LoadBalancer { simple: Some(simple), ..LoadBalancer::default() };
        self.traffic_policy.get_or_insert_default().load_balancer.get_or_insert(balancer.clone());
        for policy in self.policies_mut() {
            // A port that is named takes nothing of what is said above it.
            for port in &mut policy.port_level_settings {
                port.load_balancer.get_or_insert_with(|| balancer.clone()).simple = Some(simple);
            }
            if let Some(balancer) = &mut policy.load_balancer {
                balancer.simple = Some(simple);
            }
        }
    }

    /// What it says of outliers, for the service, its subsets and single ports of both.
    pub fn outlier_detections_mut(&mut self) -> impl Iterator<Item = &mut OutlierDetection> {
        self.policies_mut().flat_map(|policy| {
            let ports = policy.port_level_settings.iter_mut();
            let ports = ports.filter_map(|port| port.outlier_detection.as_mut());
            policy.outlier_detection.iter_mut().chain(ports)
        })
    }

    /// What it says of TLS, for the service, its subsets and single ports of both.
    pub fn tls_mut(&mut self) -> impl Iterator<Item = &mut ClientTls> {
        self.policies_mut().flat_map(|policy| {
            let ports = policy.port_level_settings.iter_mut();
            policy.tls.iter_mut().chain(ports.filter_map(|port| port.tls.as_mut()))
        })
    }
}

/// A part of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subset {
    /// Its name, by which routes mean it.
    pub name: String,
    /// The labels that its endpoints have. Without any it is the whole service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How it is called, where that differs from the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How a service or a subset is called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficPolicy {
    /// Which endpoint is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint that fails is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// The TLS that is spoken; the mesh's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// The first four sections for single ports. A port that is named here takes nothing of them from above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// TCP goes through HTTP CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelSettings>,
    /// The server learns of the client's address by the PROXY protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocolVersion>,
    /// How many retries there may be in proportion to requests; takes the place of `maxRetries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
}

/// How one port of a service is called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortTrafficPolicy {
    /// The service's port.
    pub port: u16,
    /// Which endpoint is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint that fails is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// The TLS that is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// TCP through an HTTP tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TunnelSettings {
    /// Whether the tunnel is asked for by `POST`; by `CONNECT` otherwise.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub use_post: bool,
    /// Where the tunnel leads.
    pub target_host: String,
    /// The port there.
    pub target_port: u16,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyProtocolVersion {
    /// The one in text; Istio's default.
    #[default]
    V1,
    /// The one in bytes.
    V2,
}

/// How many retries there may be in proportion to the requests under way (Envoy's retry budget).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryBudget {
    /// Of 100 requests under way or waiting, so many may be retries; 20 by default.
    pub percent: f64,
    /// So many retries are always possible; 3 by default.
    pub min_retry_concurrency: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { percent: 20.0, min_retry_concurrency: 3 }
    }
}

#[cfg(test)]
mod tests;
