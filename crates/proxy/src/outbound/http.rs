//! A request of the application goes to the mesh: decide, follow the rules, attempt, perhaps again, relay, count.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use meltemi_telemetry::{Reporter, ResponseFlags};

use super::attempts::{self, Way};
use super::decide::{Decision, Refusal, Spot, decide};
use super::goal::{self, Goal};
use super::labels::labels;
use super::overrides::Overrides;
use super::{egress, outside, routed};
use crate::config::{Bind, Cluster, Endpoint};
use crate::exchange::Call;
use crate::finish::local::respond;
use crate::finish::outcome::{Account, Outcome, finish};
use crate::finish::series::Kind;
use crate::http::forward;
use crate::http::normalize::normalize;
use crate::upstream::route::Outside;
use crate::worker::Worker;

/// The port of a URL without one.
const HTTP_PORT: u16 = 80;
/// Istio's name of the route of a service without rules, and of a workload's own ports.
pub(crate) const DEFAULT_ROUTE: &str = "default";
/// Istio's name of the route to hosts that the mesh does not know.
const ALLOW_ANY: &str = "allow_any";

/// How a request of the application has come in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// It goes to where it says.
    Proxy,
    /// Its connection leads to this authority, whatever it says.
    Service(&'a [u8]),
    /// By a listener of a Sidecar resource: it goes to where it says, if the listener carries that.
    Listener(&'a Bind),
    /// Of a program of this process: it goes to services that the mesh knows, and nowhere else.
    Program,
}

/// Serves a request from its head to the last byte of its answer.
pub(crate) async fn serve(worker: &Rc<Worker>, entry: Entry<'_>, call: &mut Call<'_>) -> bool {
    let started = Instant::now();
    let _carried = worker.carry();
    forward::outbound_request(call.head, rand::random);
    let mut decision = match entry {
        Entry::Proxy => decide(worker, call.head.authority(), HTTP_PORT).await,
        Entry::Service(authority) => decide(worker, authority, HTTP_PORT).await,
        Entry::Program => known(decide(worker, call.head.authority(), HTTP_PORT).await),
        Entry::Listener(bind) => {
            Box::pin(egress::of_request(worker, bind, call.head.authority())).await
        }
    };
    if let Decision::Service(spot) = &decision
        && is_judged(spot)
        && let Err(why) = normalize(call.head, worker.shared.mesh.current().inbound().normalization)
    {
        decision = Decision::Refuse(Refusal::malformed(why.to_string()));
    }
    let mut served = Served::default();
    let outcome = match decision {
        Decision::Service(spot) => to_service(worker, &spot, call, &mut served, started).await,
        Decision::Outside(outside) if outside.cluster.is_none() => {
            served.name(worker, Some(ALLOW_ANY));
            outside::pass(worker, outside, call, started).await
        }
        Decision::Outside(outside) => {
            served.name(worker, Some(DEFAULT_ROUTE));
            to_goal(worker, Ok(Goal::Outside(outside)), call, &mut served, started).await
        }
        Decision::EgressProxy(goal) => to_goal(worker, Ok(goal), call, &mut served, started).await,
        Decision::Refuse(refusal) => {
            respond(call, refusal.status, refusal.flags, &refusal.text, &[]).await
        }
    };
    let account = Account {
        cache: &worker.series,
        reporter: Reporter::Source,
        key: served.key(),
        upstream_cluster: served.cluster.as_ref().filter(|_| served.is_called).map(|it| &*it.name),
        route: served.route.as_deref(),
    };
    let Served { cluster, endpoint, .. } = &served;
    let labels =
        |kind: Kind| labels(worker, kind.protocol(), cluster.as_deref(), endpoint.as_deref());
    finish(worker, &account, labels, call.head, &outcome, started);
    outcome.may_continue
}

/// A program that calls a service by the mesh means no host that only has the same name.
fn known(decision: Decision) -> Decision {
    match decision {
        Decision::Outside(Outside { host, cluster: None, .. }) => {
            let text = format!("there is no service {host} in the mesh");
            Decision::Refuse(Refusal { status: 503, flags: ResponseFlags::NR, text })
        }
        decision => decision,
    }
}

/// Whether rules or the called proxy look at the path. What leaves the mesh goes as the application wrote it.
fn is_judged(spot: &Spot) -> bool {
    !spot.service.external || spot.service.table.is_some()
}

/// Whom a request was served by, for its labels.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    /// Whether the cluster was called: what the proxy answers itself is counted as the cluster's too.
    pub(crate) is_called: bool,
    /// The name of the rule; made only where lines are written.
    pub(crate) route: Option<Box<str>>,
}

impl Served {
    /// What tells its labels apart: the endpoint, and the rule by which it is called, if there is one.
    fn key(&self) -> Option<u64> {
        let rule = self.cluster.as_ref().map_or(0, |cluster| cluster.origination.id);
        self.endpoint.as_ref().map(|endpoint| endpoint.id ^ rule.rotate_right(24))
    }

    /// Notes what the rule is called, where lines are written.
    pub(crate) fn name(&mut self, worker: &Worker, name: Option<&str>) {
        if worker.shared.access_log.is_some() {
            self.route = name.filter(|name| !name.is_empty()).map(Box::from);
        }
    }
}

/// As the rules for the service say; without rules to the service itself.
async fn to_service(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    let table = spot.service.table.as_ref().and_then(|table| table.http.as_ref());
    if let Some(table) = table.filter(|table| table.serves(spot.port)) {
        served.cluster.clone_from(&spot.cluster);
        return Box::pin(routed::serve(worker, spot, table, call, served, started)).await;
    }
    served.name(worker, Some(DEFAULT_ROUTE));
    to_itself(worker, spot, call, served, started).await
}

/// To the service itself.
pub(crate) async fn to_itself(
    worker: &Rc<Worker>,
    spot: &Rc<Spot>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    served.cluster.clone_from(&spot.cluster);
    to_goal(worker, goal::of_spot(spot), call, served, started).await
}

/// To where no rule changes anything.
async fn to_goal(
    worker: &Rc<Worker>,
    goal: Result<Goal, Refusal>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    match goal {
        Ok(goal) => {
            let asked = Overrides::take(call.head, &worker.retry, None);
            let (retry, timeout) = asked.as_ref().map_or((&worker.retry, None), |it| it.way());
            to(worker, goal, &Way::by(retry, timeout), call, served, started).await
        }
        Err(refusal) => respond(call, refusal.status, refusal.flags, &refusal.text, &[]).await,
    }
}

/// To endpoints, or to the host itself.
pub(crate) async fn to(
    worker: &Rc<Worker>,
    goal: Goal,
    way: &Way<'_>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    match goal {
        Goal::Cluster(named) => attempts::run(worker, &named, way, call, served, started).await,
        // Boxed, so that requests to endpoints do not carry its room.
        Goal::Outside(it) => Box::pin(outside::serve(worker, it, way, call, served, started)).await,
    }
}

/// The outcome of a request that no rule is for.
pub(crate) async fn no_route(call: &mut Call<'_>, host: &str) -> Outcome {
    let text = format!("no route for {host} matches the request");
    respond(call, 404, ResponseFlags::NR, &text, &[]).await
}
