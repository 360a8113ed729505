//! What balancing knows of endpoints and of the client that calls them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::observed::Observed;

/// An endpoint, as it is when a balancer is built.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// A name that stays the same for as long as the endpoint is there, such as its address and port. Consistent hashing goes
    /// by it.
    pub name: &'a str,
    /// Its share of the load. With 0 it gets none, unless all have 0.
    pub weight: u32,
    /// `region/zone/subzone`; empty where unknown.
    pub locality: &'a str,
    /// The network it is in, and the cluster; empty for the mesh's own.
    pub network: &'a str,
    /// The cluster it belongs to.
    pub cluster: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Whether it can be called, as far as the registry knows.
    pub is_healthy: bool,
    /// Whether outlier detection has it ejected now.
    pub is_ejected: bool,
    /// Since when it is there, counted from the same moment as `now` of [`Ask`](super::Ask). `None` for one that was always
    /// there: it does not warm up.
    pub ready_since: Option<Duration>,
    /// What is known of it from before, for algorithms that go by that; `None` where nothing is.
    pub observed: Option<&'a Arc<Observed>>,
}

/// The client, for choices by place.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// `region/zone/subzone`; empty where unknown.
    pub locality: &'a str,
    /// The network it is in.
    pub network: &'a str,
    /// The cluster it belongs to.
    pub cluster: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

impl Endpoint<'_> {
    pub(crate) fn label(&self, key: &str) -> &str {
        find_label(self.labels, key, self.locality, self.network, self.cluster)
    }
}

impl Client<'_> {
    pub(crate) fn label(&self, key: &str) -> &str {
        find_label(self.labels, key, self.locality, self.network, self.cluster)
    }
}

/// A label's value, empty where there is none. Labels of topology are known of everyone, as in Istio.
fn find_label<'a>(
    labels: &'a BTreeMap<String, String>,
    key: &str,
    locality: &'a str,
    network: &'a str,
    cluster: &'a str,
) -> &'a str {
    if let Some(value) = labels.get(key) {
        return value;
    }
    let part = |number| locality.splitn(3, '/').nth(number).unwrap_or("");
    match key {
        "topology.kubernetes.io/region" => part(0),
        "topology.kubernetes.io/zone" => part(1),
        "topology.istio.io/subzone" => part(2),
        "topology.istio.io/network" => network,
        "topology.istio.io/cluster" => cluster,
        _ => "",
    }
}
