//! Tries endpoints of a cluster in turn, as the retry policy, the time and the circuit breaker allow.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use meltemi_policy::balance::Ask;
use meltemi_policy::circuit::{Circuit, Permit, Resource};
use meltemi_policy::retry::{Failed, RetryOn, RetryPolicy};
use meltemi_policy::route::rule::Destination;
use meltemi_telemetry::{ResponseFlags, RouteEvent};

use super::changes::Changes;
use super::conclude::{gone, overflow, pass_on, too_late};
use super::counted::Counting;
use super::deadline::{self, Deadline};
use super::decide::inner;
use super::goal::Named;
use super::http::Served;
use super::{learn, mirror, outcomes, probe, sticky};
use crate::clock;
use crate::config::{Cluster, Endpoint};
use crate::exchange::Call;
use crate::finish::local::{is_not_delivered, is_overloaded, respond};
use crate::finish::outcome::Outcome;
use crate::http::forward;
use crate::http::head::ResponseHead;
use crate::http::known::Known;
use crate::outcomes::Ongoing;
use crate::upstream::attempt::{Answer, Failure, Missed, attempt};
use crate::upstream::replay::{Replay, Whole};
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// An attempt that has less time than this cannot finish.
const LEAST: Duration = Duration::from_millis(1);

/// How a request goes, as rules say.
pub(crate) struct Way<'t> {
    pub(crate) retry: &'t RetryPolicy,
    /// For the whole answer.
    pub(crate) timeout: Option<Duration>,
    pub(crate) changes: Changes<'t>,
    /// Who gets a copy.
    pub(crate) mirrors: Vec<&'t Destination>,
    pub(crate) spot: Option<&'t Rc<super::decide::Spot>>,
    /// Where it is counted, if its rule has a name for statistics.
    pub(crate) counting: Option<&'t Counting>,
}

impl<'t> Way<'t> {
    /// Without rules, but with this policy and timeout.
    pub(crate) fn by(retry: &'t RetryPolicy, timeout: Option<Duration>) -> Way<'t> {
        Way {
            retry,
            timeout,
            changes: Changes::default(),
            mirrors: Vec::new(),
            spot: None,
            counting: None,
        }
    }
}

/// A request, over all its attempts.
pub(super) struct Run<'r> {
    worker: &'r Rc<Worker>,
    way: &'r Way<'r>,
    pub(super) deadline: Option<Deadline>,
    hash: Option<u64>,
    started: Instant,
    pub(super) made: u32,
    /// The presences of the endpoints that attempts went to.
    tried: Vec<u64>,
    /// Leave for a retry, while it is under way.
    pub(super) retrying: Option<Permit>,
    pub(super) flags: ResponseFlags,
    /// When all of the request had come; only where it is counted.
    whole: Option<Whole>,
}

/// Has an attempt take no longer than this from when it is made, or, if all of the request comes later, from then on.
async fn in_time(
    limit: Duration,
    whole: Whole,
    attempt: impl Future<Output = Result<Answer, Missed>>,
) -> Result<Answer, Missed> {
    let (mut attempt, mut clock) = (pin!(attempt), pin!(None));
    poll_fn(|cx| {
        if let Poll::Ready(attempted) = attempt.as_mut().poll(cx) {
            return Poll::Ready(attempted);
        }
        if let (None, true) = (&*clock, whole.get().is_some()) {
            clock.set(Some(tokio::time::sleep(limit)));
        }
        match clock.as_mut().as_pin_mut().is_some_and(|it| it.poll(cx).is_ready()) {
            true => Poll::Ready(Err(late(false))),
            false => Poll::Pending,
        }
    })
    .await
}

/// Serves a request.
pub(crate) async fn run(
    worker: &Rc<Worker>,
    named: &Named,
    way: &Way<'_>,
    call: &mut Call<'_>,
    served: &mut Served,
    started: Instant,
) -> Outcome {
    let cluster = &named.cluster;
    served.cluster = Some(cluster.clone());
    served.is_called = true;
    let Some(_permit) = cluster.circuit.try_acquire(Resource::Requests) else {
        let text = format!("too many requests are under way to {}", cluster.name);
        return overflow(call, &text, &Replay::default()).await;
    };
    let sticky = match cluster.is_hashing() {
        true => sticky::find(cluster, call.head, &worker.shared.local.workload, || worker.random()),
        false => sticky::Sticky::default(),
    };
    let (mut replay, mut response) = (Replay::default(), worker.lend_head());
    let mut run = Run::new(worker, way, sticky.hash, call, &mut replay, started);
    loop {
        run.made += 1;
        // The configuration may have changed since the last attempt.
        let newer = (run.made > 1).then(|| named.now(worker));
        let current = newer.as_ref().unwrap_or(cluster);
        let Some((index, endpoint)) = run.pick(current) else {
            let text = no_endpoint(current);
            return respond(call, 503, ResponseFlags::UH, &text, &[]).await;
        };
        let endpoint = endpoint.clone();
        if !run.wait(&endpoint, call).await {
            return gone(&replay);
        }
        served.endpoint = Some(endpoint.clone());
        let _active = current.begin(&endpoint);
        let counted = outcomes::counted(worker, current, &endpoint);
        let ongoing = Ongoing::new(&**counted, worker.index, run.began());
        let place = Place::Endpoint(current.clone(), endpoint.clone());
        let route = Route { place, inner: inner(current.protocol, call.head.version) };
        let is_proxy = current.origination.is_mutual_with(&endpoint);
        let begun = learn::begin(current, is_proxy, call.head);
        if run.made == 1 {
            probe::send(worker, current, &endpoint, call.head);
        }
        let attempted = run.attempt(&route, call, &mut replay, &mut response).await;
        let failed = run.judge(is_proxy, &attempted, &response);
        let ended = outcomes::record(current, index, &attempted, failed, response.status);
        learn::end(worker, current, index, begun, ended, &mut response.fields);
        let answered = outcomes::Answered::of(is_proxy, failed, &response);
        if let Some(failed) = failed
            && run.would_try_again(call.head.method(), failed, &replay)
        {
            if run.may_try_again(Some(&current.circuit)) {
                outcomes::end_attempt(ongoing, &attempted, answered);
                run.tried.push(endpoint.presence.id);
                if let Ok(answer) = attempted {
                    put_aside(worker, &route, answer, &response);
                }
                continue;
            }
            run.flags |= ResponseFlags::URX;
        } else {
            run.count_end(&attempted);
        }
        let ongoing = match &attempted {
            Ok(_) => Some(ongoing),
            Err(_) => {
                outcomes::end_attempt(ongoing, &attempted, answered);
                None
            }
        };
        if let Some(spot) = way.spot {
            mirror::send(worker, spot, &way.mirrors, call, &replay);
        }
        if attempted.is_ok() {
            way.changes.apply(&mut response.fields, call.cors.as_deref());
            if let Some(cookie) = &sticky.set_cookie {
                response.fields.push(b"set-cookie", cookie.as_bytes());
            }
        }
        if let (Err(Missed::Endpoint(failure)), Some(deadline)) = (&attempted, &run.deadline)
            && failure.failed == Failed::TimedOut
            && deadline.is_callers()
        {
            return too_late(call, &replay).await;
        }
        // The resource is for getting an answer, not for how long that is.
        run.retrying = None;
        // A connection that has left HTTP lasts as long as its ends like.
        let deadline = run.deadline.take().filter(|_| attempted.is_ok() && !response.upgrade);
        let (made, is_answered) = (run.made, attempted.is_ok());
        let outcome =
            pass_on(worker, &route, call, attempted, response, replay, made, deadline).await;
        if let Some(ongoing) = ongoing {
            outcomes::end_answer(ongoing, answered, &outcome);
        }
        return run.passed_on(is_answered, outcome);
    }
}

fn no_endpoint(cluster: &Cluster) -> String {
    match &cluster.subset {
        None => format!("service {} has no endpoint that is ready", cluster.host),
        Some(subset) => {
            format!("subset {subset} of service {} has no endpoint that is ready", cluster.host)
        }
    }
}

impl<'r> Run<'r> {
    pub(super) fn new(
        worker: &'r Rc<Worker>,
        way: &'r Way<'r>,
        hash: Option<u64>,
        call: &mut Call<'_>,
        replay: &mut Replay,
        started: Instant,
    ) -> Run<'r> {
        // What went before, an injected delay say, is not the endpoint's.
        let timeout = way.timeout.map(|it| (it, replay.tell_whole(&mut call.body)));
        let whole = way.counting.map(|_| replay.tell_whole(&mut call.body));
        Run {
            worker,
            way,
            deadline: Deadline::of(call.head, timeout, started),
            hash,
            started,
            made: 0,
            tried: Vec::new(),
            retrying: None,
            flags: ResponseFlags::NONE,
            whole,
        }
    }

    /// When the attempt begins that is made now. What rules of a route take before the first one is not the endpoint's.
    fn began(&self) -> Instant {
        match self.made == 1 && self.way.spot.is_none() {
            true => self.started,
            false => Instant::now(),
        }
    }

    fn pick<'c>(&self, cluster: &'c Cluster) -> Option<(usize, &'c Arc<Endpoint>)> {
        let policy = self.way.retry;
        let tried = if policy.ignore_previous_hosts { &*self.tried } else { &[] };
        let avoid = match policy.remote_localities && !self.tried.is_empty() {
            true => cluster.priorities(&self.tried),
            false => 0,
        };
        let (random, now) = (self.worker.random(), clock::at(self.started));
        let stays = !policy.remote_localities && policy.on != RetryOn::Safe;
        cluster.pick(&Ask { random, now, hash: self.hash, avoid, stays }, tried)
    }

    /// Waits before another attempt; false if the caller is gone meanwhile. Without a rule of the user's an endpoint that
    /// has not failed is tried at once.
    async fn wait(&self, endpoint: &Endpoint, call: &mut Call<'_>) -> bool {
        let policy = self.way.retry;
        let is_new = !self.tried.contains(&endpoint.presence.id);
        if self.made == 1 || (is_new && policy.on == RetryOn::Safe) {
            return true;
        }
        self.back_off(call).await
    }

    /// Waits as long as the policy says before the attempt that is to be made now; false if the caller is gone meanwhile.
    pub(super) async fn back_off(&self, call: &mut Call<'_>) -> bool {
        let policy = self.way.retry;
        let random = self.worker.random();
        let next = policy.next_attempt(self.made - 1, random, self.left(), LEAST);
        let wait = next.map(|next| next.wait).unwrap_or_default();
        pause(call, wait).await
    }

    /// What is left of the time for the whole answer.
    fn left(&self) -> Option<Duration> {
        self.deadline.as_ref()?.left(Instant::now())
    }

    pub(super) async fn attempt(
        &self,
        route: &Route,
        call: &mut Call<'_>,
        replay: &mut Replay,
        response: &mut ResponseHead,
    ) -> Result<Answer, Missed> {
        forward::set_attempt(call.head, self.made);
        self.count(RouteEvent::Attempt);
        let limit = self.way.retry.attempt_timeout(self.left());
        let is_fresh = self.made > 1;
        let worker = self.worker;
        let Some(limit) = limit else {
            return attempt(worker, route, is_fresh, call, replay, response).await;
        };
        deadline::tell(call.head, limit);
        let per_try = self.way.retry.per_try_timeout;
        let one = per_try.map(|limit| (limit, replay.tell_whole(&mut call.body)));
        let attempt = attempt(worker, route, is_fresh, call, replay, response);
        let attempt = async {
            match one {
                Some((limit, whole)) => in_time(limit, whole, attempt).await,
                None => attempt.await,
            }
        };
        match &self.deadline {
            Some(deadline) => Box::pin(deadline.hold(attempt)).await.unwrap_or(Err(late(true))),
            None => Box::pin(attempt).await,
        }
    }

    /// What the retry policy has to know of an attempt; `None` where nothing can be made better. `is_proxy`: another proxy of
    /// the mesh answered.
    pub(super) fn judge(
        &self,
        is_proxy: bool,
        attempted: &Result<Answer, Missed>,
        response: &ResponseHead,
    ) -> Option<Failed> {
        match attempted {
            Ok(_) if is_proxy && is_not_delivered(response) => Some(Failed::NotDelivered),
            Ok(_) if is_proxy && is_overloaded(response) => Some(Failed::Overloaded),
            Ok(_) => {
                let fields = &response.fields;
                let grpc = fields
                    .find(Known::GrpcStatus)
                    .and_then(|it| std::str::from_utf8(it).ok()?.trim().parse::<u16>().ok());
                let is_fine = response.status < 300 && grpc.is_none_or(|status| status == 0);
                if is_fine && self.way.retry.spares_success() {
                    return None;
                }
                let is_limited = fields.find_name(b"x-envoy-ratelimited").is_some();
                Some(Failed::of_answer(response.status, grpc, is_limited))
            }
            Err(Missed::Endpoint(failure)) => Some(failure.failed),
            Err(_) => None,
        }
    }

    /// Whether another attempt could make it better, if there were no limit to them.
    pub(super) fn would_try_again(&self, method: &[u8], failed: Failed, replay: &Replay) -> bool {
        let (policy, is_replayable) = (self.way.retry, replay.kept().is_some());
        policy.attempts > 0 && policy.again(1, method, failed, is_replayable)
    }

    /// Whether another attempt is within its limits; then it has leave to be made.
    pub(super) fn may_try_again(&mut self, circuit: Option<&Circuit>) -> bool {
        if self.made > self.way.retry.attempts {
            self.count(RouteEvent::RetryLimitExceeded);
            return false;
        }
        if self.left().is_some_and(|left| left <= LEAST) {
            return false;
        }
        // The one before is over.
        self.retrying = None;
        if let Some(circuit) = circuit {
            self.retrying = circuit.try_acquire(Resource::Retries);
            if self.retrying.is_none() {
                self.count(RouteEvent::RetryOverflow);
                return false;
            }
        }
        self.count(RouteEvent::Retry);
        true
    }

    fn count(&self, event: RouteEvent) {
        if let Some(counting) = self.way.counting {
            counting.event(event);
        }
    }

    /// Counts how the last attempt ended, where another one could make nothing better.
    pub(super) fn count_end(&self, attempted: &Result<Answer, Missed>) {
        match attempted {
            Ok(_) if self.made > 1 => self.count(RouteEvent::RetrySuccess),
            Err(Missed::Endpoint(failure)) if failure.failed == Failed::TimedOut => {
                self.count(RouteEvent::Timeout);
            }
            _ => {}
        }
    }

    /// The outcome of the request, when it is passed on. `is_answered`: an endpoint had begun to answer.
    pub(super) fn passed_on(&self, is_answered: bool, mut outcome: Outcome) -> Outcome {
        if let (true, Some(counting)) = (is_answered, self.way.counting) {
            counting.passed_back(self.whole.as_ref(), &outcome);
        }
        outcome.flags |= self.flags;
        outcome
    }
}

/// An attempt that took too long, as the whole answer or for one.
pub(crate) fn late(is_whole: bool) -> Missed {
    Missed::Endpoint(Failure {
        failed: if is_whole { Failed::TimedOut } else { Failed::PerTryTimedOut },
        flags: ResponseFlags::UT,
        detail: "upstream request timeout".into(),
        was_reused: false,
        is_tls: false,
    })
}

/// Waits; false if the caller is gone meanwhile.
pub(crate) async fn pause(call: &mut Call<'_>, wait: Duration) -> bool {
    if wait.is_zero() {
        return true;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = std::future::poll_fn(|cx| call.poll_gone(cx)) => false,
    }
}

/// An answer that is not passed on: its connection serves again if the answer has come to its end already.
fn put_aside(worker: &Worker, route: &Route, answer: Answer, response: &ResponseHead) {
    if let Answer::H1(mut connection) = answer
        && response.keep_alive
        && connection.writer.is_done()
        && connection.reader.discard()
    {
        worker.pool.put(route, connection, Instant::now());
    }
}
