//! How a service is called: balancing, pools, ejection, TLS; of destination rules and sidecars.

use schemars::JsonSchema;
use serde::Deserialize;

use super::tls::ClientTls;
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Duration, Port};

mod load_balancer;

pub use load_balancer::{
    ConsistentHash, CookieAttribute, HttpCookie, LoadBalancer, LocalityDistribute,
    LocalityFailover, LocalityLoadBalancer, Maglev, RingHash, SimpleLoadBalancer, Warmup,
};

/// How a service is called.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// Which endpoint is called.
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint that fails is left out.
    pub outlier_detection: Option<OutlierDetection>,
    /// The TLS that is spoken.
    pub tls: Option<ClientTls>,
    /// The same for single ports; what they leave out is not taken from here.
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// Whether TCP goes through HTTP CONNECT.
    pub tunnel: Option<TunnelSettings>,
    /// Whether the server learns of the client's address by the PROXY protocol.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// When a request may be sent once more.
    pub retry_budget: Option<RetryBudget>,
}

/// How one port of a service is called.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PortTrafficPolicy {
    /// The port.
    pub port: Option<PortSelector>,
    /// Which endpoint is called.
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint that fails is left out.
    pub outlier_detection: Option<OutlierDetection>,
    /// The TLS that is spoken.
    pub tls: Option<ClientTls>,
}

/// A port of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PortSelector {
    /// Its number.
    pub number: Option<Port>,
}

/// TCP through HTTP CONNECT.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TunnelSettings {
    /// `CONNECT` or `POST`; `CONNECT` where it is left out.
    #[serde(default)]
    pub protocol: String,
    /// Where the tunnel leads.
    pub target_host: String,
    /// The port there.
    pub target_port: Port,
}

/// The PROXY protocol.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProxyProtocol {
    /// Its version; `V1` where it is left out.
    pub version: Option<ProxyProtocolVersion>,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProxyProtocolVersion {
    /// The one in text.
    V1,
    /// The one in bytes.
    V2,
}

/// When a request may be sent once more.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RetryBudget {
    /// At most so many of the requests under way; 20 where it is left out.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<f64>,
    /// So many retries are always possible; 3 where it is left out.
    pub min_retry_concurrency: Option<u32>,
}

/// How many connections and requests there may be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionPool {
    /// Of connections.
    pub tcp: Option<TcpPool>,
    /// Of requests.
    pub http: Option<HttpPool>,
}

/// How many connections there may be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpPool {
    /// At most so many to a service.
    #[schemars(range(min = 0))]
    pub max_connections: i32,
    /// How long making one may take; 10 s where it is left out.
    pub connect_timeout: Option<Duration>,
    /// Signs of life on idle ones.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long one may live.
    pub max_connection_duration: Option<Duration>,
    /// How long one may be idle; 1 h where it is left out.
    pub idle_timeout: Option<Duration>,
}

/// Signs of life on idle connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TcpKeepalive {
    /// After so many without answer a connection is dead.
    pub probes: u32,
    /// How long a connection is idle before the first.
    pub time: Option<Duration>,
    /// How long between them.
    pub interval: Option<Duration>,
}

/// How many requests there may be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpPool {
    /// At most so many wait for a connection.
    #[schemars(range(min = 0))]
    pub http1_max_pending_requests: i32,
    /// At most so many are under way.
    #[schemars(range(min = 0))]
    pub http2_max_requests: i32,
    /// After so many a connection is closed.
    #[schemars(range(min = 0))]
    pub max_requests_per_connection: i32,
    /// At most so many retries are under way.
    #[schemars(range(min = 0))]
    pub max_retries: i32,
    /// How long a connection may be without requests.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 becomes HTTP/2.
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// Whether the client's protocol is kept.
    pub use_client_protocol: bool,
    /// At most so many are under way on a connection of HTTP/2.
    #[schemars(range(min = 0))]
    pub max_concurrent_streams: i32,
}

/// Whether HTTP/1.1 becomes HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum H2UpgradePolicy {
    /// As the mesh says.
    Default,
    /// It does not.
    DoNotUpgrade,
    /// It does.
    Upgrade,
}

/// When an endpoint that fails is left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Old form of `consecutive5xxErrors`.
    #[schemars(range(min = 0))]
    pub consecutive_errors: i32,
    /// Whether failures to connect are counted apart.
    pub split_external_local_origin_errors: bool,
    /// After so many failures to connect in a row, counted apart.
    pub consecutive_local_origin_failures: Option<u32>,
    /// After so many answers 502, 503 or 504 in a row.
    pub consecutive_gateway_errors: Option<u32>,
    /// After so many answers 5xx in a row; 5 where it is left out.
    pub consecutive_5xx_errors: Option<u32>,
    /// How long between looks; 10 s where it is left out.
    pub interval: Option<Duration>,
    /// How long the first time is; 30 s where it is left out.
    pub base_ejection_time: Option<Duration>,
    /// At most so many of 100 are left out; 10 where it is left out.
    #[schemars(range(min = 0, max = 100))]
    pub max_ejection_percent: i32,
    /// Where fewer than so many of 100 are healthy, nobody is left out.
    #[schemars(range(min = 0, max = 100))]
    pub min_health_percent: i32,
}

impl TrafficPolicy {
    /// Whether it, or what it says of a port, has a section on outliers.
    pub(crate) fn detects_outliers(&self) -> bool {
        let mut ports = self.port_level_settings.iter();
        self.outlier_detection.is_some() || ports.any(|it| it.outlier_detection.is_some())
    }

    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        check_parts(&self.load_balancer, &self.connection_pool, &self.tls, at, report);
        if let Some(outlier) = &self.outlier_detection {
            outlier.check(&at.field("outlierDetection"), report);
        }
        let mut seen = std::collections::HashMap::new();
        for (index, settings) in self.port_level_settings.iter().enumerate() {
            let at = at.field("portLevelSettings").item(index);
            let Some(number) = settings.port.and_then(|port| port.number) else {
                report.error(at.field("port"), "missing; it says which port is meant");
                continue;
            };
            if let Some(first) = seen.insert(number, index) {
                let number = number.number();
                let message = format!("{number} is the port of setting [{first}] already");
                report.error(at.field("port"), message);
            }
            let PortTrafficPolicy {
                load_balancer, connection_pool, tls, outlier_detection, ..
            } = settings;
            check_parts(load_balancer, connection_pool, tls, &at, report);
            if let Some(outlier) = outlier_detection {
                outlier.check(&at.field("outlierDetection"), report);
            }
        }
        if let Some(tunnel) = &self.tunnel {
            tunnel.check(&at.field("tunnel"), report);
        }
    }
}

fn check_parts(
    load_balancer: &Option<LoadBalancer>,
    pool: &Option<ConnectionPool>,
    tls: &Option<ClientTls>,
    at: &Path,
    report: &mut Report,
) {
    if let Some(load_balancer) = load_balancer {
        load_balancer.check(&at.field("loadBalancer"), report);
    }
    if let Some(pool) = pool {
        pool.check(&at.field("connectionPool"), report);
    }
    if let Some(tls) = tls {
        tls.check(&at.field("tls"), report);
    }
}

/// The shortest time that may be said.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(1);

impl OutlierDetection {
    /// Times are at least a millisecond (Istio's `ValidateDuration`).
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        for (field, time) in
            [("interval", self.interval), ("baseEjectionTime", self.base_ejection_time)]
        {
            if time.is_some_and(|it| it.0 < SHORTEST) {
                report.error(at.field(field), "must be at least 1ms").suggest("leave it out");
            }
        }
    }
}

impl ConnectionPool {
    /// Times are at least a millisecond (Istio's `ValidateDuration`).
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        let connect = self.tcp.as_ref().and_then(|tcp| tcp.connect_timeout);
        if connect.is_some_and(|it| it.0 < SHORTEST) {
            let at = at.field("tcp").field("connectTimeout");
            report.error(at, "must be at least 1ms").suggest("leave it out");
        }
        let Some(http) = &self.http else {
            return;
        };
        let is_upgrade = http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade);
        let choices =
            [("useClientProtocol", http.use_client_protocol), ("h2UpgradePolicy", is_upgrade)];
        at_most_one(&choices, &at.field("http"), report);
    }
}

impl TunnelSettings {
    fn check(&self, at: &Path, report: &mut Report) {
        if !["", "CONNECT", "POST"].contains(&self.protocol.as_str()) {
            let message = format!("`{}` is none of `CONNECT`, `POST`", self.protocol);
            report.error(at.field("protocol"), message);
        }
        match self.target_host.parse::<meltemi_names::Host>() {
            Err(error) => {
                report.error(at.field("targetHost"), error.to_string());
            }
            Ok(host) if host.is_wildcard() => {
                let message = format!("`{host}`: a tunnel leads to one host");
                report.error(at.field("targetHost"), message);
            }
            Ok(_) => {}
        }
    }
}
