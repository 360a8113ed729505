//! How connections of a cluster are opened and how long they serve: what a DestinationRule says of TLS and of the connection
//! pool, made ready once, when the configuration comes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::{
    ClientTls, ClientTlsMode, ConnectionPool, H2UpgradePolicy, HttpPool, ProxyProtocolVersion,
    TunnelSettings,
};
use rustls_pki_types::ServerName;
use socket2::TcpKeepalive;

use super::{Credential, Endpoint, Own};

mod outside;

pub(crate) use outside::Outside;
pub(super) use outside::Stamp;

/// How long a connection may take, TLS included, where no rule says it (Istio's default).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection of bytes may be without any, where no rule says it (Envoy's default).
const TCP_IDLE: Duration = Duration::from_secs(3600);

/// The next id. 0 stands for what no rule says anything of.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How connections are opened, and how long they serve. Two clusters never share connections that were opened under
/// different ones.
#[derive(Debug)]
pub struct Origination {
    /// Unique in this process, but for 0: no rule says anything.
    pub id: u64,
    pub(crate) tls: Tls,
    /// Names of which a peer's certificate must bear one, for TLS of the mesh.
    pub(crate) names: Vec<String>,
    pub(crate) limits: ConnectionLimits,
    /// What is written before anything else.
    pub(crate) proxy_protocol: Option<ProxyProtocolVersion>,
    /// Through what connections of bytes go on.
    pub(crate) tunnel: Option<TunnelSettings>,
    words: Words,
}

/// What is spoken beneath.
#[derive(Debug)]
pub(crate) enum Tls {
    /// TLS of the mesh where the endpoint takes it, else none.
    Auto,
    /// None.
    Disable,
    /// TLS of the mesh; the name to ask for, if it is not the usual one.
    Mesh(Option<ServerName<'static>>),
    /// TLS with a server outside of the mesh.
    Outside(Box<Outside>),
    /// The rule cannot be followed, for this reason: no connection may be made.
    Refused(String),
}

/// What a connection may take and how long it serves.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// For opening one.
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive: Option<TcpKeepalive>,
    /// How long one lives.
    pub(crate) duration: Option<Duration>,
    /// How long one may be without requests, where a rule says it.
    pub(crate) idle: Option<Duration>,
    /// How long a connection of bytes may be without any.
    pub(crate) tcp_idle: Option<Duration>,
    /// After so many requests it is closed.
    pub(crate) requests: u64,
    /// So many streams of HTTP/2 at once.
    pub(crate) streams: usize,
    /// Whether HTTP/1.1 becomes HTTP/2.
    pub(crate) upgrades: bool,
    /// Whether the caller's version of HTTP is kept.
    pub(crate) keeps_protocol: bool,
}

/// What an origination is made of; equal words make the same.
#[derive(Debug, Clone, Default, PartialEq)]
struct Words {
    tls: Option<ClientTls>,
    pool: Option<ConnectionPool>,
    tunnel: Option<TunnelSettings>,
    proxy_protocol: Option<ProxyProtocolVersion>,
    names: Vec<String>,
    /// What the rule's secret says, or why it may not be used.
    credential: Option<Result<Credential, String>>,
}

impl Words {
    fn of(policy: &TrafficPolicy, names: &[String], own: &Own) -> Words {
        let mut pool = policy.connection_pool.clone();
        // What only limits how many there are makes no other connections.
        if let Some(pool) = &mut pool {
            if let Some(tcp) = &mut pool.tcp {
                tcp.max_connections = None;
            }
            if let Some(http) = &mut pool.http {
                http.http1_max_pending_requests = None;
                http.http2_max_requests = None;
                http.max_retries = None;
            }
            pool.tcp.take_if(|tcp| *tcp == Default::default());
            pool.http.take_if(|http| *http == Default::default());
        }
        let is_empty = |pool: &mut ConnectionPool| *pool == ConnectionPool::default();
        pool.take_if(is_empty);
        Words {
            tls: policy.tls.clone(),
            pool,
            tunnel: policy.tunnel.clone(),
            proxy_protocol: policy.proxy_protocol,
            names: names.to_vec(),
            credential: policy.tls.as_ref().and_then(|tls| Credential::of(tls, own)),
        }
    }
}

impl Default for Origination {
    fn default() -> Self {
        Origination::build(0, Words::default(), "")
    }
}

impl Origination {
    /// The one for a policy. `names` are those of the service, for rules that list none. The one before is kept if it says
    /// the same.
    pub(super) fn of(
        policy: &TrafficPolicy,
        names: &[String],
        host: &str,
        own: &Own,
        before: Option<&Arc<Origination>>,
    ) -> Arc<Origination> {
        static PLAIN: LazyLock<Arc<Origination>> = LazyLock::new(Arc::default);
        let words = Words::of(policy, names, own);
        if words == Words::default() {
            return PLAIN.clone();
        }
        if let Some(before) = before.filter(|before| before.words == words) {
            return before.clone();
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Origination::build(id, words, host))
    }

    fn build(id: u64, words: Words, host: &str) -> Origination {
        let own_names = words.tls.as_ref().map(|tls| &tls.subject_alt_names);
        let names = own_names.filter(|names| !names.is_empty()).unwrap_or(&words.names).clone();
        let credential = words.credential.as_ref();
        Origination {
            id,
            tls: words.tls.as_ref().map_or(Tls::Auto, |tls| Tls::of(tls, credential, &names, host)),
            names,
            limits: ConnectionLimits::of(words.pool.as_ref()),
            proxy_protocol: words.proxy_protocol,
            tunnel: words.tunnel.clone(),
            words,
        }
    }

    /// Whether the TLS of the mesh is spoken with the sidecar of an endpoint.
    pub(crate) fn is_mutual_with(&self, endpoint: &Endpoint) -> bool {
        endpoint.tls.is_some()
            && match self.tls {
                Tls::Auto => !endpoint.is_plaintext,
                Tls::Mesh(_) => true,
                Tls::Disable | Tls::Outside(_) | Tls::Refused(_) => false,
            }
    }
}

impl Tls {
    fn of(
        rule: &ClientTls,
        credential: Option<&Result<Credential, String>>,
        names: &[String],
        host: &str,
    ) -> Tls {
        let sni = match rule.sni.is_empty() {
            true => None,
            false => match ServerName::try_from(rule.sni.clone()) {
                Ok(name) => Some(name),
                Err(_) => return Tls::Refused(format!("its sni `{}` is no host name", rule.sni)),
            },
        };
        match rule.mode {
            ClientTlsMode::Disable => Tls::Disable,
            ClientTlsMode::IstioMutual => Tls::Mesh(sni),
            ClientTlsMode::Simple | ClientTlsMode::Mutual => {
                let settings = match credential {
                    Some(Ok(credential)) => credential.settings(rule, names),
                    Some(Err(reason)) => Err(reason.clone()),
                    None => outside::settings(rule, names),
                };
                match settings {
                    Ok(settings) => Tls::Outside(Box::new(Outside::new(
                        settings,
                        sni.or_else(|| server_name(host)),
                    ))),
                    Err(reason) => Tls::Refused(reason),
                }
            }
        }
    }
}

/// The name of a host that is one: of a wildcard there is none.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(ServerName::IpAddress(ip.into())),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}

impl ConnectionLimits {
    fn of(pool: Option<&ConnectionPool>) -> ConnectionLimits {
        let tcp = pool.and_then(|pool| pool.tcp.clone()).unwrap_or_default();
        let http: HttpPool = pool.and_then(|pool| pool.http.clone()).unwrap_or_default();
        let some = |millis: Option<u64>| millis.filter(|it| *it > 0).map(Duration::from_millis);
        let limit = |limit: Option<u32>| limit.filter(|limit| *limit > 0);
        let keepalive = tcp.tcp_keepalive.map(|rule| {
            let mut keepalive = TcpKeepalive::new();
            if let Some(time) = some(rule.time_ms) {
                keepalive = keepalive.with_time(time);
            }
            if let Some(interval) = some(rule.interval_ms) {
                keepalive = keepalive.with_interval(interval);
            }
            match limit(rule.probes) {
                Some(probes) => keepalive.with_retries(probes),
                None => keepalive,
            }
        });
        ConnectionLimits {
            connect_timeout: some(tcp.connect_timeout_ms).unwrap_or(CONNECT_TIMEOUT),
            keepalive,
            duration: some(tcp.max_connection_duration_ms),
            idle: match (http.idle_timeout_ms, tcp.idle_timeout_ms) {
                (Some(own), _) => some(Some(own)),
                (None, tcp) => some(tcp),
            },
            tcp_idle: match tcp.idle_timeout_ms {
                None => Some(TCP_IDLE),
                told => some(told),
            },
            requests: limit(http.max_requests_per_connection).map_or(u64::MAX, u64::from),
            streams: limit(http.max_concurrent_streams).map_or(usize::MAX, |it| it as usize),
            upgrades: http.h2_upgrade_policy == H2UpgradePolicy::Upgrade,
            keeps_protocol: http.use_client_protocol,
        }
    }
}

#[cfg(test)]
mod tests;
