//! Whether a workload that has just been registered is in what this proxy knows, so that calls from here find it.

use std::sync::Arc;

use meltemi_policy::balance::SMALLEST_SUBSET;

use super::snapshot::Answer;
use super::{Inbound, InboundPort, Mesh, Resolution, Service, Snapshot};

impl Mesh {
    /// Waits until calls from here find a workload: by every name that is followed here of the services which it is an
    /// instance of, as its own proxy is told (`own`). A name that nobody has asked for needs no wait, as the answer to a first
    /// question is newer than the registration.
    pub async fn finds(&self, namespace: &str, workload: &str, own: &Inbound) {
        let is_found = || {
            let snapshot = self.current();
            own.ports.iter().all(|port| is_found(&snapshot, namespace, workload, port))
        };
        // The sender lives in the mesh, so the channel is open.
        drop(self.changes().wait_for(|_| is_found()).await);
    }
}

fn is_found(snapshot: &Snapshot, namespace: &str, workload: &str, port: &InboundPort) -> bool {
    names(snapshot, port).iter().filter_map(|name| snapshot.names.get(&**name)).all(|asked| {
        match &asked.answer {
            Answer::Known(service) if service.host == port.host => {
                leads_to(service, namespace, workload, port.service_port)
            }
            // Another service's name, or a description that is of no use and that no wait mends.
            Answer::Known(_) | Answer::Refused(_) => true,
            Answer::Denied => false,
        }
    })
}

/// Under which names a service may be followed: as Kubernetes has them, the short one in its own namespace alone.
fn names(snapshot: &Snapshot, port: &InboundPort) -> Vec<Arc<str>> {
    let InboundPort { host, service_name: name, service_namespace: namespace, .. } = port;
    let mut names = vec![host.clone()];
    if host.starts_with(&*format!("{name}.{namespace}.")) {
        names.push(format!("{name}.{namespace}").into());
        names.push(format!("{name}.{namespace}.svc").into());
        if snapshot.own.namespace == **namespace {
            names.push(name.clone());
        }
    }
    names
}

fn leads_to(service: &Service, namespace: &str, workload: &str, port: u16) -> bool {
    let Some(cluster) = service.cluster(port) else { return false };
    let endpoints = cluster.endpoints();
    // A caller may be sent but some of the endpoints of a large service; that it lacks one of them fails no call.
    service.resolution != Resolution::Static
        || endpoints.len() >= SMALLEST_SUBSET
        || endpoints.iter().any(|it| *it.workload == *workload && *it.namespace == *namespace)
}
