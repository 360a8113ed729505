//! How a request ends once its last attempt is over: the answer is passed back, or one of our own is given.

use std::rc::Rc;

use h2::Reason;
use meltemi_policy::retry::Failed;
use meltemi_telemetry::ResponseFlags;

use super::deadline::Deadline;
use crate::exchange::Call;
use crate::finish::local::{Local, respond, respond_with};
use crate::finish::outcome::Outcome;
use crate::finish::pass_back::pass_back;
use crate::http::h1::parse::Malformed;
use crate::http::head::ResponseHead;
use crate::upstream::attempt::{Answer, Failure, Missed};
use crate::upstream::replay::Replay;
use crate::upstream::route::Route;
use crate::worker::Worker;

/// Passes on what the last attempt brought, as long as there is time.
#[allow(clippy::too_many_arguments, reason = "they are what an attempt leaves, moved once")]
pub(crate) async fn pass_on(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    attempted: Result<Answer, Missed>,
    response: ResponseHead,
    replay: Replay,
    made: u32,
    deadline: Option<Deadline>,
) -> Outcome {
    let Some(deadline) = deadline else {
        return conclude(worker, route, call, attempted, response, replay, made).await;
    };
    let status = response.status;
    let concluding = conclude(worker, route, call, attempted, response, replay, made);
    // Boxed, so that requests without a deadline do not carry its room.
    let concluded = Box::pin(deadline.hold(concluding)).await;
    concluded.unwrap_or_else(|| {
        call.reply.break_off(Reason::CANCEL);
        Outcome { may_continue: false, ..Outcome::of(status, ResponseFlags::UT) }
    })
}

/// Passes on what the last attempt brought.
async fn conclude(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    attempted: Result<Answer, Missed>,
    response: ResponseHead,
    replay: Replay,
    made: u32,
) -> Outcome {
    let answer = match attempted {
        Ok(answer) => answer,
        Err(Missed::CallerGone) => return gone(&replay),
        Err(Missed::Malformed(why)) => return malformed(call, why, &replay).await,
        Err(Missed::Overflow(text)) => return overflow(call, &text, &replay).await,
        Err(Missed::Endpoint(failure) | Missed::Local(failure)) => {
            return give_up(call, &failure, made, &replay).await;
        }
    };
    pass_back(worker, route, call, answer, response, replay).await
}

/// The outcome when the caller went away before the answer began.
pub(crate) fn gone(replay: &Replay) -> Outcome {
    Outcome { received: replay.passed(), may_continue: false, ..Outcome::of(0, ResponseFlags::DC) }
}

/// The outcome when the caller's body could not be read on.
pub(crate) async fn malformed(call: &mut Call<'_>, why: Malformed, replay: &Replay) -> Outcome {
    call.reply.close_after();
    let outcome = respond(call, why.status(), ResponseFlags::DPE, &why.to_string(), &[]).await;
    Outcome { received: replay.passed(), may_continue: false, ..outcome }
}

/// The answer where the circuit breaker let no attempt be made, marked as Envoy's is.
pub(super) async fn overflow(call: &mut Call<'_>, text: &str, replay: &Replay) -> Outcome {
    let overloaded: &[(&[u8], &[u8])] = &[(b"x-envoy-overloaded", b"true")];
    let outcome = respond(call, 503, ResponseFlags::UO, text, overloaded).await;
    Outcome { received: replay.passed(), ..outcome }
}

/// The caller's own deadline is over (gRPC's DEADLINE_EXCEEDED).
pub(super) async fn too_late(call: &mut Call<'_>, replay: &Replay) -> Outcome {
    let local = Local::of(504, ResponseFlags::UT);
    let local = Local { body: b"the request's deadline is over", grpc_status: Some(4), ..local };
    let outcome = respond_with(call, local, |_| {}).await;
    Outcome { received: replay.passed(), ..outcome }
}

async fn give_up(call: &mut Call<'_>, failure: &Failure, made: u32, replay: &Replay) -> Outcome {
    let is_late = matches!(failure.failed, Failed::TimedOut | Failed::PerTryTimedOut);
    let (status, text) = match is_late {
        true => (504, "upstream request timeout".to_owned()),
        false => (
            503,
            format!(
                "upstream connect error or reset before an answer, after {made} attempts: {}",
                failure.detail
            ),
        ),
    };
    let outcome = respond(call, status, failure.flags, &text, &[]).await;
    Outcome { received: replay.passed(), ..outcome }
}
