//! One endpoint of a cluster: where it is, who it must be, and whether it is still there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use meltemi_names::SpiffeId;
use meltemi_telemetry::Party;

use super::Presence;

/// A workload as one port of a service is served by it. While the control plane's word on it does not change, every
/// snapshot holds the very same value.
#[derive(Debug)]
pub struct Endpoint {
    /// Unique in this process; a changed endpoint is a new one.
    pub id: u64,
    /// What stays when only the description changes.
    pub presence: Arc<Presence>,
    /// The workload's own name, unique in its namespace.
    pub workload: Arc<str>,
    /// The workload's namespace.
    pub namespace: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// The workload's own port, to connect to where there is no sidecar.
    pub port: u16,
    /// How to reach its sidecar; `None` without one.
    pub tls: Option<MutualTls>,
    /// Whether its sidecar takes no mutual TLS on this port (`PeerAuthentication`'s `DISABLE`).
    pub is_plaintext: bool,
    /// The workload's labels.
    pub labels: BTreeMap<String, String>,
    /// `region/zone/subzone`, empty where unknown.
    pub locality: String,
    /// The network of the address, empty for the mesh's own.
    pub network: String,
    /// Not 0 while another caller has found out that it fails: which finding that is.
    pub ejection: u64,
    /// Its share of the load, at least 1.
    pub weight: u32,
    /// The destination's labels for metrics.
    pub party: Party,
}

impl Endpoint {
    /// Whether it was taken out of rotation; see [`Presence::is_gone`].
    pub fn is_gone(&self) -> bool {
        self.presence.is_gone()
    }

    pub(super) fn leave(&self) {
        self.presence.leave();
    }

    /// Whether it is reached as another one is.
    pub(super) fn is_reached_as(&self, other: &Endpoint) -> bool {
        (&self.address, self.port, &self.tls, self.is_plaintext, &self.network)
            == (&other.address, other.port, &other.tls, other.is_plaintext, &other.network)
    }

    /// The port to connect to. A sidecar stands before all ports of its workload, whatever is spoken: what passed it by
    /// would pass by the workload's policies.
    pub(crate) fn entry(&self) -> u16 {
        self.tls.as_ref().map_or(self.port, |tls| tls.port)
    }

    /// `ADDRESS:PORT` that is connected to.
    pub(crate) fn socket(&self) -> String {
        format!("{}:{}", self.address, self.entry())
    }

    /// `ADDRESS:PORT` of the workload, which stays the same for as long as it is there.
    pub(super) fn label(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// An endpoint's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// To connect to as it stands.
    Ip(IpAddr),
    /// To be resolved first.
    Name(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(ip) => ip.fmt(f),
            Address::Name(name) => name.fmt(f),
        }
    }
}

/// How an endpoint is reached over mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualTls {
    /// The inbound port of its sidecar.
    pub port: u16,
    /// Who has to answer there.
    pub identity: SpiffeId,
}
