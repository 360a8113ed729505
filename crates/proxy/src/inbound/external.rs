//! Has an authorizer outside say whether a request or a connection may pass: CUSTOM policies, by the protocols of Envoy's
//! `ext_authz` filter.

mod answer;
mod by_grpc;
mod by_http;
pub(crate) mod fuzzing;
mod shown;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use meltemi_policy::authz::provider::{DEFAULT_STATUS_ON_ERROR, Protocol};
use meltemi_policy::jwt::Authenticated;
use meltemi_telemetry::ResponseFlags;

use self::answer::{Allowed, Answer, Denied, apply};
use self::shown::{NotShown, Shown};
use super::authorize::{self, Asking, External, authorize_allowed};
use super::caller::Caller;
use super::http::{Passed, to_app};
use super::tcp::Closed;
use crate::config::InboundPort;
use crate::exchange::Call;
use crate::finish::local::{Local, respond, respond_with};
use crate::finish::outcome::Outcome;
use crate::http::head::{Fields, RequestHead};
use crate::http::known::Known;
use crate::outbound::conclude::{gone, malformed};
use crate::outbound::own::{self, To};
use crate::upstream::attempt::{Missed, unless_gone};
use crate::upstream::replay::Replay;
use crate::worker::Worker;

/// Says whether an authorizer sees all of a body.
const PARTIAL: &str = "x-envoy-auth-partial-body";
/// The longest answer that is read, bytes: permissions are short, and refusals are pages at most.
const LONGEST_ANSWER: usize = 256 * 1024;
/// Envoy's words for `response_code_details`.
const DETAILS_DENIED: &str = "ext_authz_denied";
const DETAILS_ERROR: &str = "ext_authz_error";

/// What a permission does to the application's answer.
pub(crate) struct OnAnswer(Vec<answer::Change>);

impl OnAnswer {
    /// Changes the answer's fields.
    pub(crate) fn apply(&self, fields: &mut Fields) {
        apply(&self.0, fields);
    }
}

/// Asks about a request, and serves it as the answer says.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    caller: &Caller,
    port: &InboundPort,
    bearer: Option<&Authenticated<'_>>,
    call: &mut Call<'_>,
    asking: Asking<'_>,
) -> Outcome {
    let shown = match shown::read(call, asking.authorizer.said.body).await {
        Ok(shown) => shown,
        Err(NotShown::TooLong) => return too_long(call).await,
        Err(NotShown::Caller(missed)) => return broken_off(call, missed).await,
    };
    let connection = &caller.authorizer;
    let (head, body) = question(worker, connection, &asking, Some((&*call.head, shown.as_ref())));
    let asked = Box::pin(ask(worker, &asking, head, body));
    let Some(answered) = unless_gone(call, std::pin::pin!(asked)).await else {
        return gone(&Replay::default());
    };
    let replay = Replay::read(shown.map(|it| it.bytes).unwrap_or_default());
    let counters = &worker.decisions.external_http;
    let allowed = match decided(&asking, answered, counters) {
        Decided::Passes(allowed) => allowed,
        Decided::Refused(denied, details) => {
            let outcome = refuse(worker, call, &asking, denied, details).await;
            return Outcome { received: replay.passed(), ..outcome };
        }
    };
    allowed.change(call.head);
    match authorize_allowed(worker, connection, port, &asking, Some((call.head, bearer))) {
        Ok(()) => {
            let on_answer = Some(OnAnswer(allowed.response)).filter(|it| !it.0.is_empty());
            to_app(worker, port, call, Passed { replay, on_answer }).await
        }
        Err(denied) => authorize::refuse(worker, call, denied).await,
    }
}

/// Asks about a connection of bytes. With Istio only authorizers that speak gRPC are asked
/// about these.
pub(super) async fn admits(
    worker: &Rc<Worker>,
    caller: &Caller,
    port: &InboundPort,
    asking: Asking<'_>,
) -> Result<(), Closed> {
    let connection = &caller.authorizer;
    if asking.authorizer.said.protocol == Protocol::Grpc {
        let (head, body) = question(worker, connection, &asking, None);
        let answered = Box::pin(ask(worker, &asking, head, body)).await;
        let decided = decided(&asking, answered, &worker.decisions.external_tcp);
        if let Decided::Refused(_, details) = decided {
            return Err(Closed::Unauthorized(details));
        }
    }
    authorize_allowed(worker, connection, port, &asking, None).map_err(Closed::Denied)
}

fn question(
    worker: &Worker,
    connection: &authorize::Authorizer,
    asking: &Asking<'_>,
    request: Option<(&RequestHead, Option<&Shown>)>,
) -> (RequestHead, Bytes) {
    let authorizer = asking.authorizer;
    match (&authorizer.said.protocol, &authorizer.names, request) {
        (Protocol::Http(http), Some(names), Some((head, shown))) => {
            by_http::question(http, names, head, shown)
        }
        _ => {
            let own = worker.shared.identity.id().to_string();
            by_grpc::question(authorizer, connection, own, request)
        }
    }
}

/// Asks, and reads what is said. The error says why nothing is.
async fn ask(
    worker: &Rc<Worker>,
    asking: &Asking<'_>,
    mut head: RequestHead,
    body: Bytes,
) -> Result<Answer, String> {
    let authorizer = asking.authorizer;
    let said = &authorizer.said;
    let to = To {
        host: &said.service,
        namespace: &said.namespace,
        port: said.port,
        who: "the authorizer's entry in extensionProviders",
    };
    let within = authorizer.timeout();
    let answered = own::call(worker, to, &mut head, body, within, LONGEST_ANSWER).await?;
    match said.protocol {
        Protocol::Grpc => by_grpc::answer(&answered),
        Protocol::Http(_) => by_http::answer(authorizer, &answered),
    }
}

/// What follows from an answer, or from there being none.
enum Decided {
    Passes(Allowed),
    /// With the words for the log.
    Refused(Denied, &'static str),
}

fn decided(asking: &Asking<'_>, answered: Result<Answer, String>, counters: &External) -> Decided {
    let said = &asking.authorizer.said;
    let (why, denied) = match answered {
        Ok(Answer::Allow(allowed)) => {
            counters.ok.add_one();
            return Decided::Passes(allowed);
        }
        Ok(Answer::Deny(denied)) => {
            counters.denied.add_one();
            tracing::debug!(target: "authorization", authorizer = said.name, rule = asking.rule(), "refused");
            return Decided::Refused(denied, DETAILS_DENIED);
        }
        Ok(Answer::Error(denied)) => ("it says that it failed".to_owned(), denied),
        Err(why) => (why, Denied::default()),
    };
    counters.error.add_one();
    if counters.may_tell() {
        let passes = said.fail_open;
        tracing::warn!(target: "authorization", authorizer = said.name, rule = asking.rule(), why, passes, "an authorizer could not be asked");
    }
    if said.fail_open {
        counters.failure_mode_allowed.add_one();
        return Decided::Passes(Allowed::default());
    }
    let status = denied.status.unwrap_or(said.status_on_error);
    Decided::Refused(Denied { status: Some(status), ..denied }, DETAILS_ERROR)
}

/// Answers a request that is refused, in the authorizer's words.
async fn refuse(
    worker: &Worker,
    call: &mut Call<'_>,
    asking: &Asking<'_>,
    denied: Denied,
    details: &'static str,
) -> Outcome {
    let status = denied.status.unwrap_or(DEFAULT_STATUS_ON_ERROR);
    let is_grpc = call.head.is_grpc();
    let local = Local { body: &denied.body, ..Local::of(status, ResponseFlags::UAEX) };
    let outcome = respond_with(call, local, |fields| {
        let kept = fields.find(Known::ContentType).map(<[u8]>::to_vec);
        apply(&denied.headers, fields);
        // A client of gRPC reads no other content.
        if let (true, Some(kept)) = (is_grpc, kept) {
            fields.set(Known::ContentType, b"content-type", &kept);
        }
        if worker.shared.tells_denied_by {
            fields.push(authorize::DENIED_BY, asking.rule().as_bytes());
        }
    })
    .await;
    tracing::debug!(target: "authorization", authorizer = asking.authorizer.said.name, details, status, "answered");
    Outcome { details: Some(Arc::from(details)), ..outcome }
}

/// A request whose body is longer than the authorizer is shown, in Envoy's words.
async fn too_long(call: &mut Call<'_>) -> Outcome {
    let outcome = respond(call, 413, ResponseFlags::NONE, "Payload Too Large", &[]).await;
    Outcome { details: Some("request_payload_too_large".into()), ..outcome }
}

async fn broken_off(call: &mut Call<'_>, missed: Missed) -> Outcome {
    match missed {
        Missed::Malformed(why) => malformed(call, why, &Replay::default()).await,
        _ => gone(&Replay::default()),
    }
}
