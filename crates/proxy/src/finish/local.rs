//! Answers that the proxy gives itself.

use meltemi_telemetry::ResponseFlags;

use super::outcome::Outcome;
use crate::exchange::Call;
use crate::http::h1::encode::{self, Answering};
use crate::http::h1::{Framing, Writer};
use crate::http::head::{BodyLength, Fields, ResponseHead, Version};
use crate::http::known::Known;

/// An answer of ours.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    pub(crate) status: u16,
    pub(crate) flags: ResponseFlags,
    pub(crate) body: &'a [u8],
    /// The status that a gRPC caller gets; the one that stands for `status` if it is left out.
    pub(crate) grpc_status: Option<u8>,
}

impl Local<'_> {
    /// An answer without a body.
    pub(crate) fn of(status: u16, flags: ResponseFlags) -> Self {
        Local { status, flags, body: &[], grpc_status: None }
    }
}

/// Answers with a status and a sentence.
pub(crate) async fn respond(
    call: &mut Call<'_>,
    status: u16,
    flags: ResponseFlags,
    text: &str,
    extra: &[(&[u8], &[u8])],
) -> Outcome {
    let local = Local { body: text.as_bytes(), ..Local::of(status, flags) };
    respond_with(call, local, |fields| {
        extra.iter().for_each(|(name, value)| fields.push(name, value));
    })
    .await
}

/// Answers; `change` may add to the fields and change them. A gRPC caller gets the answer as gRPC has it: status 200 and
/// `grpc-status` (gRPC's mapping of HTTP statuses, as Envoy's local replies do).
pub(crate) async fn respond_with(
    call: &mut Call<'_>,
    local: Local<'_>,
    change: impl FnOnce(&mut Fields),
) -> Outcome {
    let mut outcome = Outcome::of(local.status, local.flags);
    if !call.body.is_over() {
        call.reply.close_after();
    }
    let is_grpc = call.head.is_grpc() || local.grpc_status.is_some();
    let mut response = match is_grpc {
        true => grpc(&local, &mut outcome),
        false => plain(&local),
    };
    if let Some(cors) = &call.cors {
        cors.apply(&mut response.fields);
    }
    change(&mut response.fields);
    call.reply.is_ours(local.flags);
    let is_bare = matches!(response.status, 204 | 304) || call.head.method() == b"HEAD";
    let has_body = response.body != BodyLength::Empty && !is_bare;
    if !has_body {
        response.body = BodyLength::Empty;
    }
    if call.reply.begin(&response).is_err() {
        outcome.flags |= ResponseFlags::DC;
        outcome.may_continue = false;
        return outcome;
    }
    if has_body {
        let mut rest = local.body;
        let mut sink = call.reply.sink();
        while !rest.is_empty() {
            match sink.write(rest).await {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => break,
            }
        }
        outcome.sent = local.body.len() as u64;
    }
    let finished = call.reply.sink().finish(&Fields::default()).await;
    outcome.may_continue = finished.is_ok();
    outcome
}

fn grpc(local: &Local<'_>, outcome: &mut Outcome) -> ResponseHead {
    let code = local.grpc_status.unwrap_or_else(|| grpc_code(local.status));
    outcome.status = 200;
    outcome.grpc_status = Some(code);
    let mut response = ResponseHead { status: 200, ..ResponseHead::default() };
    response.fields.push(b"content-type", b"application/grpc");
    response.fields.push(b"grpc-status", code.to_string().as_bytes());
    response.fields.push(b"grpc-message", percent_encoded(local.body).as_bytes());
    response
}

fn plain(local: &Local<'_>) -> ResponseHead {
    let mut response = ResponseHead { status: local.status, ..ResponseHead::default() };
    let length = local.body.len();
    if length > 0 {
        response.fields.push(b"content-type", b"text/plain");
        response.body = BodyLength::Exact(length as u64);
    }
    // Neither has a body, and a length of none would be wrong of the second (RFC 9110, section 8.6).
    if !matches!(local.status, 204 | 304) {
        response.fields.push(b"content-length", length.to_string().as_bytes());
    }
    response
}

/// Writes a whole answer to a connection that ends with it: to what could not be read as a request, or leads nowhere.
pub(crate) fn write_refusal(writer: &mut Writer, status: u16, text: &str) {
    let mut response = ResponseHead { status, ..ResponseHead::default() };
    response.fields.push(b"content-type", b"text/plain");
    response.fields.push(b"content-length", text.len().to_string().as_bytes());
    response.body = BodyLength::Exact(text.len() as u64);
    let to = Answering { version: Version::Http11, to_head: false, keep_alive: false };
    encode::response(writer.out(), &response, to);
    writer.out().extend_from_slice(text.as_bytes());
    writer.begin(Framing::Ended);
}

/// What a proxy says to the caller's, where it answers in the application's stead: the application never saw the request.
pub(crate) const NOT_DELIVERED: (&[u8], &[u8]) = (b"x-meltemi-not-answered", b"not-delivered");
/// What it says where the application may have seen it, and broke off before it answered.
pub(crate) const BROKEN: (&[u8], &[u8]) = (b"x-meltemi-not-answered", b"broken");
/// What it says where it takes no more for the application, by a limit of the workload's.
pub(crate) const OVERLOADED: (&[u8], &[u8]) = (b"x-meltemi-not-answered", b"overloaded");

/// Whether a response of a proxy says that the application never saw the request.
pub(crate) fn is_not_delivered(response: &ResponseHead) -> bool {
    response.fields.find(Known::NotAnswered) == Some(NOT_DELIVERED.1)
}

/// Whether a response of a proxy says that the application broke off.
pub(crate) fn is_broken(response: &ResponseHead) -> bool {
    response.fields.find(Known::NotAnswered) == Some(BROKEN.1)
}

/// Whether a response of a proxy says that it takes no more for the application.
pub(crate) fn is_overloaded(response: &ResponseHead) -> bool {
    response.fields.find(Known::NotAnswered) == Some(OVERLOADED.1)
}

/// The gRPC status for an HTTP status (gRPC's `http-grpc-status-mapping.md`).
fn grpc_code(status: u16) -> u8 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// A message as gRPC writes it in a field (gRPC over HTTP/2, `Status-Message`).
fn percent_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_field_of_ascii() {
        assert_eq!(percent_encoded("no 100% ä\n".as_bytes()), "no 100%25 %C3%A4%0A");
    }
}
