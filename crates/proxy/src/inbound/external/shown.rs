//! What an authorizer is shown of a request's body: read before it is asked, and sent to the application afterwards.

use std::future::poll_fn;

use meltemi_policy::authz::provider::Body;
use tokio::time::timeout;

use crate::exchange::{Call, expects_continue};
use crate::http::body::{BodyError, Piece, Source};
use crate::http::head::{BodyLength, ResponseHead};
use crate::http::known::Known;
use crate::upstream::attempt::Missed;
use crate::upstream::replay::PATIENCE;

/// The beginning of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) bytes: Vec<u8>,
    /// Whether there is more of it.
    pub(super) is_partial: bool,
}

/// Why it cannot be shown.
#[derive(Debug)]
pub(super) enum NotShown {
    /// There is more of it than is shown, and a part would not do.
    TooLong,
    /// The caller does not send it.
    Caller(Missed),
}

/// Reads what is to be shown; `None` where there is nothing of the kind.
pub(super) async fn read(
    call: &mut Call<'_>,
    how: Option<Body>,
) -> Result<Option<Shown>, NotShown> {
    let Some(how) = how else { return Ok(None) };
    // Of what leaves HTTP no end would come.
    if call.head.body == BodyLength::Empty || call.head.upgrade {
        return Ok(None);
    }
    let limit = how.max_request_bytes as usize;
    let length = match call.head.body {
        BodyLength::Exact(length) => Some(length),
        _ => None,
    };
    let is_longer = length.is_some_and(|it| it > limit as u64);
    if is_longer && !how.allow_partial_message {
        return Err(NotShown::TooLong);
    }
    if expects_continue(call.head) {
        let told = ResponseHead { status: 100, ..ResponseHead::default() };
        let told = call.reply.interim(&told).await;
        told.map_err(|_| NotShown::Caller(Missed::CallerGone))?;
        call.head.fields.remove(Known::Expect);
    }
    let mut bytes = Vec::with_capacity(length.map_or(0, |it| it.min(limit as u64) as usize));
    let is_whole = fill(&mut call.body, &mut bytes, limit, how.allow_partial_message).await?;
    Ok(Some(Shown { bytes, is_partial: !is_whole }))
}

/// Takes up to so many bytes; whether that is all.
async fn fill(
    source: &mut Source<'_>,
    bytes: &mut Vec<u8>,
    limit: usize,
    may_be_partial: bool,
) -> Result<bool, NotShown> {
    let failed = |error: BodyError| NotShown::Caller(Missed::of_caller(&error));
    loop {
        let room = limit - bytes.len();
        let taken = match source.piece().map_err(failed)? {
            Piece::End(_) => return Ok(true),
            Piece::Data(_) if room == 0 && !may_be_partial => return Err(NotShown::TooLong),
            Piece::Data(_) if room == 0 => return Ok(false),
            Piece::Data(data) => {
                let taken = data.len().min(room);
                bytes.extend_from_slice(&data[..taken]);
                taken
            }
            // As with Envoy a part goes as soon as it is there.
            Piece::Nothing if room == 0 && may_be_partial => return Ok(false),
            Piece::Nothing => {
                if let Source::H1(reader) = source {
                    reader.hurry();
                }
                let more = timeout(PATIENCE, poll_fn(|cx| source.poll_more(cx))).await;
                more.unwrap_or(Err(BodyError::Stalled)).map_err(failed)?;
                continue;
            }
        };
        source.consume(taken);
    }
}
