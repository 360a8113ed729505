//! The cluster that a request or connection goes to, as rules name it.

use std::rc::Rc;
use std::sync::Arc;

use meltemi_policy::route::rule::Destination;
use meltemi_telemetry::ResponseFlags;

use super::decide::{ON_DEMAND, Refusal, Spot, is_own_address, no_port, refusal};
use crate::config::{Cluster, Lookup, Service};
use crate::upstream::route::Outside;
use crate::worker::Worker;

/// The status of what leads nowhere, where no rule says another.
pub(crate) const UNAVAILABLE: u16 = 503;

/// Where it goes.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// To endpoints.
    Cluster(Named),
    /// To the host itself, which has no endpoints here.
    Outside(Outside),
}

/// A cluster, and how to find it again when the configuration has changed.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    name: Arc<str>,
    port: u16,
    subset: Option<Arc<str>>,
    pub(crate) cluster: Arc<Cluster>,
}

impl Named {
    /// The cluster as it is now; the one before where there is none any more.
    pub(crate) fn now(&self, worker: &Worker) -> Arc<Cluster> {
        let found = worker.shared.mesh.find(&self.name).and_then(|service| {
            match &self.subset {
                None => service.cluster(self.port),
                Some(subset) => service.subset(self.port, subset),
            }
            .cloned()
        });
        found.unwrap_or_else(|| self.cluster.clone())
    }
}

/// The host itself that was asked for.
pub(crate) fn of_spot(spot: &Spot) -> Result<Goal, Refusal> {
    let Some(cluster) = &spot.cluster else {
        let text = no_port(&spot.service, spot.port);
        return Err(refusal(503, ResponseFlags::NR, text));
    };
    Ok(goal(&spot.name, cluster.clone(), None))
}

/// The destination of a rule for a host that was asked for; `missing` is the status where there is no such service or port.
/// What is not known yet is asked of the control plane.
pub(crate) async fn of_rule(
    worker: &Worker,
    spot: &Rc<Spot>,
    destination: &Destination,
    missing: u16,
) -> Result<Goal, Refusal> {
    let host = &*destination.host;
    match host == &*spot.service.host {
        true => part(&spot.name, &spot.service, destination, spot.port, missing),
        false => elsewhere(worker, "the route", destination, spot.port, missing).await,
    }
}

/// The service that calls to unknown hosts go to. As with Istio its DestinationRule is applied, and no VirtualService.
pub(crate) async fn of_egress_proxy(
    worker: &Worker,
    destination: &Destination,
    asked: u16,
) -> Result<Goal, Refusal> {
    elsewhere(worker, "the Sidecar's egressProxy", destination, asked, UNAVAILABLE).await
}

/// The service that a call of our own goes to. As with Envoy's filters, which call clusters, its DestinationRule is applied,
/// and no VirtualService.
pub(crate) async fn of_own(
    worker: &Worker,
    who: &str,
    destination: &Destination,
) -> Result<Goal, Refusal> {
    elsewhere(worker, who, destination, destination.port.unwrap_or_default(), UNAVAILABLE).await
}

/// A destination that has to be found first; `who` names it.
async fn elsewhere(
    worker: &Worker,
    who: &str,
    destination: &Destination,
    asked: u16,
    missing: u16,
) -> Result<Goal, Refusal> {
    let host = &*destination.host;
    match worker.shared.mesh.fetch(host, ON_DEMAND).await {
        Lookup::Found(service) => part(&host.into(), &service, destination, asked, missing),
        Lookup::Unknown => {
            let text = format!("{who} leads to {host}, which is no service of the mesh");
            Err(refusal(missing, ResponseFlags::NC, text))
        }
        Lookup::Unreachable(reason) => {
            let text = format!("the control plane did not say what {host} is: {reason}");
            Err(refusal(UNAVAILABLE, ResponseFlags::NC, text))
        }
    }
}

/// The port and the subset of a service that a destination names.
fn part(
    name: &Arc<str>,
    service: &Service,
    destination: &Destination,
    asked: u16,
    missing: u16,
) -> Result<Goal, Refusal> {
    let port = destination.port.unwrap_or_else(|| port_of(service, asked));
    let Some(whole) = service.cluster(port) else {
        return Err(refusal(missing, ResponseFlags::NC, no_port(service, port)));
    };
    let Some(subset) = &destination.subset else {
        return Ok(goal(name, whole.clone(), None));
    };
    match service.subset(port, subset) {
        Some(part) => Ok(goal(name, part.clone(), Some(subset))),
        None => {
            let host = &destination.host;
            let text = format!(
                "the route leads to subset {subset} of {host}, which no DestinationRule has"
            );
            Err(refusal(UNAVAILABLE, ResponseFlags::NC, text))
        }
    }
}

/// Where a rule names no port: the only one, else the one that was asked for.
fn port_of(service: &Service, asked: u16) -> u16 {
    match &*service.clusters {
        [only] => only.port,
        _ => asked,
    }
}

fn goal(name: &Arc<str>, cluster: Arc<Cluster>, subset: Option<&str>) -> Goal {
    match is_own_address(&cluster) {
        true => Goal::Outside(Outside {
            host: name.clone(),
            port: cluster.port,
            cluster: Some(cluster),
        }),
        false => Goal::Cluster(Named {
            name: name.clone(),
            port: cluster.port,
            subset: subset.map(Into::into),
            cluster,
        }),
    }
}
