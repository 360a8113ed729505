//! One port of a service: the endpoints behind it, and whose turn it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meltemi_names::Protocol;
use meltemi_policy::balance::round_robin::Schedule;
use rustls_pki_types::ServerName;

use super::{Endpoint, Resolution};

/// A service's port with its endpoints (Envoy's word).
#[derive(Debug)]
pub struct Cluster {
    /// `outbound|PORT||HOST`, as Envoy names it in logs.
    pub name: Arc<str>,
    /// The service's canonical host.
    pub host: Arc<str>,
    /// The service's name within its namespace.
    pub service_name: Arc<str>,
    /// The service's namespace.
    pub service_namespace: Arc<str>,
    /// The service's port.
    pub port: u16,
    /// The port's name.
    pub port_name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether the service lies outside of the mesh.
    pub external: bool,
    /// Where the endpoints' addresses come from.
    pub resolution: Resolution,
    /// Istio's `outbound_.PORT_._.HOST`, by which the peer's proxy knows what is meant. For a host that fits in no DNS
    /// name (a wildcard, an address) it is the address 0.0.0.0, for which TLS sends no name: the peer then goes by the
    /// port that its workload serves.
    pub sni: ServerName<'static>,
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    pub(super) schedule: Schedule,
    /// Shared with the same port's clusters of all snapshots, so that the turn survives them.
    pub(super) turn: Arc<AtomicU64>,
}

impl Cluster {
    /// All endpoints, by name.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The next endpoint in turn. Endpoints whose id is in `tried` are passed over while there are others.
    pub fn pick(&self, tried: &[u64]) -> Option<&Arc<Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = |turn| self.schedule.pick(turn).and_then(|index| self.endpoints.get(index));
        if tried.is_empty() {
            return at(turn);
        }
        (0..self.schedule.cycle() as u64)
            .filter_map(|step| at(turn.wrapping_add(step)))
            .find(|endpoint| !tried.contains(&endpoint.id))
            .or_else(|| at(turn))
    }
}

#[cfg(test)]
mod tests;
