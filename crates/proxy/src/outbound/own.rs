//! A call that the proxy itself makes to a service of the mesh: it goes the way of the application's calls, and its answer
//! is kept whole.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meltemi_policy::route::rule::Destination;
use meltemi_telemetry::ResponseFlags;
use tokio::time::timeout;

use super::attempts::Way;
use super::goal::{self, Goal};
use super::http::{self, Served};
use crate::exchange::{Call, Reply};
use crate::finish::outcome::Outcome;
use crate::http::body::Source;
use crate::http::head::{Fields, RequestHead};
use crate::http::kept::Kept;
use crate::worker::Worker;

/// How much of what we say of a failed call is passed on.
const TOLD: usize = 300;

/// Whom a call goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) host: &'a str,
    /// The namespace of the service; any where it is empty.
    pub(crate) namespace: &'a str,
    pub(crate) port: u16,
    /// What has it called, as errors name it.
    pub(crate) who: &'a str,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Kept,
    pub(crate) grpc_status: Option<u8>,
}

/// Makes a call, within this time and with an answer of at most `limit` bytes. The error says why there is no answer.
pub(crate) async fn call(
    worker: &Rc<Worker>,
    to: To<'_>,
    head: &mut RequestHead,
    mut body: Bytes,
    within: Duration,
    limit: usize,
) -> Result<Answered, String> {
    let started = Instant::now();
    let goal = match timeout(within, find(worker, to)).await {
        Ok(goal) => goal?,
        Err(_) => return Err(late(to, within)),
    };
    let left = within.saturating_sub(started.elapsed());
    let (nothing, mut kept) = (Fields::default(), Kept::new(limit));
    let reply = Reply::Kept(&mut kept);
    let mut call = Call { head, body: Source::Bytes(&mut body, &nothing), reply, cors: None };
    let way = Way::by(&worker.retry, Some(left));
    let mut served = Served::default();
    let outcome = Box::pin(http::to(worker, goal, &way, &mut call, &mut served, started)).await;
    whole(to, &outcome, kept)
}

async fn find(worker: &Worker, to: To<'_>) -> Result<Goal, String> {
    let destination =
        Destination { host: to.host.to_owned(), port: Some(to.port), ..Destination::default() };
    let goal = goal::of_own(worker, to.who, &destination).await.map_err(|it| it.text)?;
    let service = worker.shared.mesh.find(to.host);
    let is_meant = |namespace: &str| to.namespace.is_empty() || namespace == to.namespace;
    match service {
        Some(service) if !is_meant(&service.namespace) => Err(format!(
            "{} is a service of namespace {}, not of {}",
            to.host, service.namespace, to.namespace
        )),
        _ => Ok(goal),
    }
}

fn late(to: To<'_>, within: Duration) -> String {
    format!("{}:{} did not answer within {within:?}", to.host, to.port)
}

/// The answer, unless it is our own or not whole.
fn whole(to: To<'_>, outcome: &Outcome, answer: Kept) -> Result<Answered, String> {
    if outcome.flags == ResponseFlags::NONE && outcome.may_continue {
        return Ok(Answered { answer, grpc_status: outcome.grpc_status });
    }
    let told = String::from_utf8_lossy(&answer.body[..answer.body.len().min(TOLD)]).into_owned();
    Err(format!("{}:{} gave no whole answer ({}): {told}", to.host, to.port, outcome.flags))
}
