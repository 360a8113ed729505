//! Answers that the proxy gives itself.

use meltemi_telemetry::ResponseFlags;

use super::outcome::Outcome;
use crate::exchange::Call;
use crate::http::h1::encode::{self, Answering};
use crate::http::h1::{Framing, Writer};
use crate::http::head::{BodyLength, Fields, ResponseHead, Version};
use crate::http::known::Known;

/// Answers with a status and a sentence. A gRPC caller gets it as gRPC has it: status 200 and `grpc-status`
/// (gRPC's mapping of HTTP statuses, as Envoy's local replies do).
pub(crate) async fn respond(
    call: &mut Call<'_>,
    status: u16,
    flags: ResponseFlags,
    text: &str,
    extra: &[(&[u8], &[u8])],
) -> Outcome {
    let mut response = ResponseHead::default();
    let mut outcome = Outcome::of(status, flags);
    if !call.body.is_over() {
        call.reply.close_after();
    }
    for (name, value) in extra {
        response.fields.push(name, value);
    }
    let is_grpc = call.head.is_grpc();
    if is_grpc {
        let code = grpc_code(status);
        outcome.status = 200;
        outcome.grpc_status = Some(code);
        response.status = 200;
        response.fields.push(b"content-type", b"application/grpc");
        response.fields.push(b"grpc-status", code.to_string().as_bytes());
        response.fields.push(b"grpc-message", percent_encoded(text).as_bytes());
        response.body = BodyLength::Empty;
    } else {
        response.status = status;
        response.fields.push(b"content-type", b"text/plain");
        response.fields.push(b"content-length", text.len().to_string().as_bytes());
        response.body = BodyLength::Exact(text.len() as u64);
    }
    let has_body = !is_grpc && call.head.method() != b"HEAD" && !text.is_empty();
    if !has_body {
        response.body = BodyLength::Empty;
    }
    if call.reply.begin(&response).is_err() {
        outcome.flags |= ResponseFlags::DC;
        outcome.may_continue = false;
        return outcome;
    }
    if has_body {
        let mut rest = text.as_bytes();
        let mut sink = call.reply.sink();
        while !rest.is_empty() {
            match sink.write(rest).await {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => break,
            }
        }
        outcome.sent = text.len() as u64;
    }
    let finished = call.reply.sink().finish(&Fields::default()).await;
    outcome.may_continue = finished.is_ok();
    outcome
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

/// Whether a response of a proxy says that the application never saw the request.
pub(crate) fn is_not_delivered(response: &ResponseHead) -> bool {
    response.fields.find(Known::NotDelivered).is_some()
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
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
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
        assert_eq!(percent_encoded("no 100% ä\n"), "no 100%25 %C3%A4%0A");
    }
}
