//! How many connections and requests there may be; of sidecars too.

use meltemi_api::istio::traffic_policy as api;
use meltemi_policy::destination::rule::{
    ConnectionPool, H2UpgradePolicy, HttpPool, TcpKeepalive, TcpPool,
};

use crate::read::{count, millis};

pub(in super::super) fn connection_pool(given: &api::ConnectionPool) -> ConnectionPool {
    ConnectionPool { tcp: given.tcp.as_ref().map(tcp), http: given.http.as_ref().map(http) }
}

fn tcp(given: &api::TcpPool) -> TcpPool {
    TcpPool {
        max_connections: count(given.max_connections),
        connect_timeout_ms: given.connect_timeout.map(millis),
        tcp_keepalive: given.tcp_keepalive.as_ref().map(|it| TcpKeepalive {
            probes: Some(it.probes).filter(|probes| *probes > 0),
            time_ms: it.time.map(millis),
            interval_ms: it.interval.map(millis),
        }),
        max_connection_duration_ms: given.max_connection_duration.map(millis),
        idle_timeout_ms: given.idle_timeout.map(millis),
    }
}

fn http(given: &api::HttpPool) -> HttpPool {
    HttpPool {
        http1_max_pending_requests: count(given.http1_max_pending_requests),
        http2_max_requests: count(given.http2_max_requests),
        max_requests_per_connection: count(given.max_requests_per_connection),
        max_retries: count(given.max_retries),
        idle_timeout_ms: given.idle_timeout.map(millis),
        h2_upgrade_policy: match given.h2_upgrade_policy {
            Some(api::H2UpgradePolicy::Default) | None => H2UpgradePolicy::Default,
            Some(api::H2UpgradePolicy::DoNotUpgrade) => H2UpgradePolicy::DoNotUpgrade,
            Some(api::H2UpgradePolicy::Upgrade) => H2UpgradePolicy::Upgrade,
        },
        use_client_protocol: given.use_client_protocol,
        max_concurrent_streams: count(given.max_concurrent_streams),
    }
}
