//! The labels of calls towards the mesh, as the caller's proxy reports them.

use std::sync::Arc;

use meltemi_telemetry::{PeerLabels, RequestProtocol, SecurityPolicy, Word};

use crate::config::{Cluster, Endpoint};
use crate::worker::Worker;

/// The labels of calls to an endpoint of a cluster; without a cluster, of those that leave the mesh.
pub(crate) fn labels(
    worker: &Worker,
    protocol: RequestProtocol,
    cluster: Option<&Cluster>,
    endpoint: Option<&Endpoint>,
) -> Arc<PeerLabels> {
    let mut labels = PeerLabels {
        source: worker.shared.local.party.clone(),
        security: SecurityPolicy::Unknown,
        protocol,
        ..PeerLabels::default()
    };
    if let Some(endpoint) = endpoint {
        labels.destination = endpoint.party.clone();
        // Without mutual TLS nobody has proved to be it.
        if !cluster.is_some_and(|cluster| cluster.origination.is_mutual_with(endpoint)) {
            labels.destination.principal = Word::default();
        }
    }
    match cluster {
        Some(cluster) => {
            labels.service = Word::new(&cluster.host);
            labels.service_name = Word::new(&cluster.service_name);
            labels.service_namespace = Word::new(&cluster.service_namespace);
        }
        // A name that a caller made up must not become a series of its own.
        None => labels.service_name = Word::new("PassthroughCluster"),
    }
    Arc::new(labels)
}
