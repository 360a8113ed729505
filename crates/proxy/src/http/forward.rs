//! What a proxy changes of a message that it passes on: fields of one hop, and the fields that say who called and which
//! request it is, as Istio's sidecars treat them.
//!
//! `x-forwarded-for` and `traceparent` pass unchanged (Istio's sidecars neither trust nor add a remote address, and start
//! no trace unless a tracing provider is configured).

use uuid::fmt::Hyphenated;

use super::head::{Fields, RequestHead, ResponseHead};
use super::known::Known;

/// How many options of `connection` fields are looked at.
const MAX_OPTIONS: usize = 32;

/// The value of a field that asks for the load and nothing else.
const PROBE: &[u8] = b"probe";

/// Prepares a request that the application sends into the mesh. `random` becomes its id if it has none.
pub(crate) fn outbound_request(head: &mut RequestHead, random: impl FnOnce() -> [u8; 16]) {
    drop_hop_by_hop(&mut head.fields, head.upgrade);
    // Only a proxy that has proved the caller's identity may say whose certificate it saw.
    head.fields.remove(Known::ForwardedClientCert);
    head.fields.remove(Known::NotAnswered);
    head.fields.remove(Known::AttemptCount);
    head.fields.remove(Known::ReportLoad);
    set_request_id(&mut head.fields, random);
    if head.fields.find(Known::ForwardedProto).is_none() {
        head.fields.push(b"x-forwarded-proto", b"http");
    }
}

/// Notes which attempt this is, from 1 (`x-envoy-attempt-count`).
pub(crate) fn set_attempt(head: &mut RequestHead, attempt: u32) {
    let mut text = [0; 10];
    head.fields.set(
        Known::AttemptCount,
        b"x-envoy-attempt-count",
        decimal(attempt.into(), &mut text),
    );
}

/// Asks the called proxy for its workload's load, or does so no longer.
pub(crate) fn ask_for_load(head: &mut RequestHead, is_wanted: bool) {
    match is_wanted {
        true => head.fields.set(Known::ReportLoad, b"x-meltemi-report-load", b"1"),
        false => head.fields.remove(Known::ReportLoad),
    }
}

/// Makes a call's head a question for the load alone, which the called proxy answers itself.
pub(crate) fn probe_load(head: &mut RequestHead) {
    head.fields.set(Known::ReportLoad, b"x-meltemi-report-load", PROBE);
}

/// Whether the head is such a question. Asked after [`inbound_request`], which takes the field from callers without mutual TLS.
pub(crate) fn is_load_probe(head: &RequestHead) -> bool {
    head.fields.find(Known::ReportLoad) == Some(PROBE)
}

/// Prepares a request that came from the mesh for the application. `client_cert`: the element that describes the caller's
/// certificate. It alone is passed on (Envoy's SANITIZE_SET): what a caller says of others before it proves nothing.
pub(crate) fn inbound_request(
    head: &mut RequestHead,
    client_cert: Option<&[u8]>,
    random: impl FnOnce() -> [u8; 16],
) {
    drop_hop_by_hop(&mut head.fields, head.upgrade);
    head.fields.remove(Known::NotAnswered);
    set_request_id(&mut head.fields, random);
    if head.fields.find(Known::ForwardedProto).is_none() {
        head.fields.push(b"x-forwarded-proto", b"http");
    }
    let Some(client_cert) = client_cert else {
        head.fields.remove(Known::ForwardedClientCert);
        // Only proxies of the mesh are told what load there is.
        head.fields.remove(Known::ReportLoad);
        return;
    };
    head.fields.set(Known::ForwardedClientCert, b"x-forwarded-client-cert", client_cert);
}

/// Prepares a response for the next hop back.
pub(crate) fn response(head: &mut ResponseHead) {
    drop_hop_by_hop(&mut head.fields, head.upgrade);
}

fn set_request_id(fields: &mut Fields, random: impl FnOnce() -> [u8; 16]) {
    if fields.find(Known::RequestId).is_some() {
        return;
    }
    let mut text = [0; Hyphenated::LENGTH];
    let id = uuid::Builder::from_random_bytes(random()).into_uuid();
    let text = id.hyphenated().encode_lower(&mut text);
    fields.push(b"x-request-id", text.as_bytes());
}

/// Removes the fields of one hop, and those that `connection` names (RFC 9110, section 7.6.1). `te: trailers` stays, as
/// gRPC asks for it, and `upgrade` where the protocol changes.
fn drop_hop_by_hop(fields: &mut Fields, is_upgrade: bool) {
    let mut is_needed = false;
    let mut has_options = false;
    for (known, _, value) in fields.iter() {
        is_needed |= known.is_hop_by_hop();
        has_options |= known == Known::Connection && !is_plain_option(value);
    }
    if !is_needed {
        return;
    }
    if has_options {
        drop_nominated(fields);
    }
    fields.retain(|known, _, value| match known {
        Known::Upgrade => is_upgrade,
        Known::Te => value.trim_ascii().eq_ignore_ascii_case(b"trailers"),
        known => !known.is_hop_by_hop(),
    });
}

fn is_plain_option(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    [&b"keep-alive"[..], b"close", b"upgrade"].iter().any(|it| value.eq_ignore_ascii_case(it))
}

fn drop_nominated(fields: &mut Fields) {
    let nominated: Vec<Vec<u8>> = fields
        .find_all(Known::Connection)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .filter(|option| !option.is_empty())
        .take(MAX_OPTIONS)
        .collect();
    fields.retain(|known, name, _| {
        // What says where the message ends or goes is never dropped on a peer's word.
        let is_kept = matches!(
            known,
            Known::ContentLength
                | Known::TransferEncoding
                | Known::Host
                | Known::Upgrade
                | Known::Te
                | Known::ForwardedClientCert
                | Known::ForwardedProto
                | Known::RequestId
        );
        is_kept || !nominated.iter().any(|it| name.eq_ignore_ascii_case(it))
    });
}

/// Writes a number in decimal.
fn decimal(mut number: u64, text: &mut [u8; 10]) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            return &text[at..];
        }
    }
}

#[cfg(test)]
mod tests;
