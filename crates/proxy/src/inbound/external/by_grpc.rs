//! An authorizer that is asked by gRPC: `envoy.service.auth.v3.Authorization/Check`.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use meltemi_policy::authz::provider::Authorizer;
use meltemi_wire::ext_authz::{
    Address, AddressKind, AttributeContext, CHECK, CheckRequest, CheckResponse, DeniedHttpResponse,
    HeaderAppendAction, HeaderValueOption, HttpRequest, HttpResponse, OkHttpResponse, Peer,
    PortSpecifier, Request, SocketAddress, Timestamp,
};
use prost::Message as _;

use super::PARTIAL;
use super::answer::{Allowed, Answer, Change, Denied, How, MOST_CHANGES};
use super::shown::Shown;
use crate::http::head::{BodyLength, RequestHead, Version};
use crate::http::known::Known;
use crate::inbound::authorize::Authorizer as Connection;
use crate::outbound::deadline;
use crate::outbound::own::Answered;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The question of a connection, and of a request where there is one. `own` is our SPIFFE id.
pub(super) fn question(
    authorizer: &Authorizer,
    connection: &Connection,
    own: String,
    request: Option<(&RequestHead, Option<&Shown>)>,
) -> (RequestHead, Bytes) {
    let said = &authorizer.said;
    let is_bytes = said.body.is_some_and(|it| it.pack_as_bytes);
    let context = AttributeContext {
        source: Some(Peer {
            address: Some(address(connection.source())),
            principal: connection.id().unwrap_or_default(),
            ..Peer::default()
        }),
        destination: Some(Peer {
            address: connection.destination().map(address),
            principal: own,
            ..Peer::default()
        }),
        request: request.map(|(head, shown)| Request {
            time: Some(now()),
            http: Some(http_request(head, shown, is_bytes)),
        }),
        ..AttributeContext::default()
    };
    let message = CheckRequest { attributes: Some(context) };
    let mut body = BytesMut::with_capacity(PREFIX + message.encoded_len());
    body.put_u8(0);
    body.put_u32(message.encoded_len() as u32);
    // The buffer grows as far as is needed.
    let _ = message.encode(&mut body);
    let id = request.and_then(|(head, _)| head.fields.find(Known::RequestId));
    (head(authorizer, body.len() as u64, id), body.freeze())
}

fn head(authorizer: &Authorizer, length: u64, id: Option<&[u8]>) -> RequestHead {
    let said = &authorizer.said;
    let mut head = RequestHead { version: Version::Http2, ..RequestHead::default() };
    head.method = head.fields.store(b"POST");
    head.set_target(CHECK.as_bytes());
    // As Istio names a cluster in an authority.
    head.set_authority(format!("outbound_.{}_._.{}", said.port, said.service).as_bytes());
    head.body = BodyLength::Exact(length);
    let timeout = deadline::write(authorizer.timeout());
    for (name, value) in [
        (&b"content-type"[..], &b"application/grpc"[..]),
        (b"te", b"trailers"),
        (b"grpc-timeout", timeout.as_bytes()),
    ] {
        head.fields.push(name, value);
    }
    if let Some(id) = id {
        head.fields.push(b"x-request-id", id);
    }
    head
}

fn http_request(head: &RequestHead, shown: Option<&Shown>, is_bytes: bool) -> HttpRequest {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let scheme = head.fields.find(Known::ForwardedProto).unwrap_or(b"http");
    let mut request = HttpRequest {
        id: head.fields.find(Known::RequestId).map(text).unwrap_or_default(),
        method: text(head.method()),
        path: text(head.target()),
        host: text(head.authority()),
        scheme: text(scheme),
        size: match (head.body, shown) {
            (BodyLength::Empty, _) => 0,
            (BodyLength::Exact(length), _) => i64::try_from(length).unwrap_or(-1),
            (BodyLength::Unknown, Some(shown)) if !shown.is_partial => shown.bytes.len() as i64,
            (BodyLength::Unknown, _) => -1,
        },
        protocol: match head.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        }
        .to_owned(),
        ..HttpRequest::default()
    };
    let headers = &mut request.headers;
    for (name, value) in [
        (":method", head.method()),
        (":path", head.target()),
        (":authority", head.authority()),
        (":scheme", scheme),
    ] {
        headers.insert(name.to_owned(), text(value));
    }
    for (_, name, value) in head.fields.iter() {
        let entry = headers.entry(text(name).to_ascii_lowercase());
        let value = text(value);
        entry.and_modify(|all| *all = format!("{all},{value}")).or_insert(value);
    }
    if let Some(shown) = shown {
        headers.insert(PARTIAL.to_owned(), shown.is_partial.to_string());
        match is_bytes {
            true => request.raw_body.clone_from(&shown.bytes),
            false => request.body = text(&shown.bytes),
        }
    }
    request
}

fn address(of: SocketAddr) -> Address {
    let address = SocketAddress {
        address: of.ip().to_canonical().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(of.port().into())),
        ..SocketAddress::default()
    };
    Address { address: Some(AddressKind::SocketAddress(address)) }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
    Timestamp { seconds, nanos: now.subsec_nanos().cast_signed() }
}

/// What the answer means. The error says why it means nothing.
pub(super) fn answer(answered: &Answered) -> Result<Answer, String> {
    let status = answered.answer.head.status;
    match (status, answered.grpc_status) {
        (200, Some(0)) => read(&answered.answer.body),
        (200, Some(code)) => Err(format!("it answered with gRPC status {code}")),
        (200, None) => Err("it did not answer in gRPC".into()),
        (status, _) => Err(format!("it answered with status {status}, not in gRPC")),
    }
}

/// Reads the message.
pub(super) fn read(body: &[u8]) -> Result<Answer, String> {
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or("its answer is empty")?;
    let length = prefix.iter().skip(1).fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    if prefix.first() != Some(&0) || length != message.len() {
        return Err("its answer is not one message without compression".into());
    }
    let response = CheckResponse::decode(message)
        .map_err(|error| format!("its answer cannot be read: {error}"))?;
    // Without a status it is OK, as it is of any message of the kind.
    let is_ok = response.status.is_none_or(|status| status.code == 0);
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) if is_ok => allowed(ok).map(Answer::Allow),
        _ if is_ok => Ok(Answer::Allow(Allowed::default())),
        Some(HttpResponse::ErrorResponse(error)) => denied(error).map(Answer::Error),
        Some(HttpResponse::DeniedResponse(no)) => denied(no).map(Answer::Deny),
        _ => Ok(Answer::Deny(Denied::default())),
    }
}

fn allowed(ok: OkHttpResponse) -> Result<Allowed, String> {
    let count = ok.headers.len()
        + ok.headers_to_remove.len()
        + ok.response_headers_to_add.len()
        + ok.query_parameters_to_set.len()
        + ok.query_parameters_to_remove.len();
    if count > MOST_CHANGES {
        return Err(format!("it changes {count} things; at most {MOST_CHANGES} are changed"));
    }
    let set = ok.query_parameters_to_set.into_iter().map(|it| (it.key, it.value));
    Ok(Allowed {
        request: changes(ok.headers)?,
        remove: ok.headers_to_remove.into_iter().map(String::into_bytes).collect(),
        set_query: set.collect(),
        remove_query: ok.query_parameters_to_remove,
        response: changes(ok.response_headers_to_add)?,
    })
}

fn denied(no: DeniedHttpResponse) -> Result<Denied, String> {
    if no.headers.len() > MOST_CHANGES {
        return Err(format!("its refusal has more than {MOST_CHANGES} headers"));
    }
    let status = no.status.and_then(|it| u16::try_from(it.code).ok());
    Ok(Denied {
        status: status.filter(|it| (200..=599).contains(it)),
        headers: changes(no.headers)?,
        body: no.body.into_bytes(),
    })
}

fn changes(options: Vec<HeaderValueOption>) -> Result<Vec<Change>, String> {
    let change = |option: HeaderValueOption| {
        let how = how(&option);
        let header = option.header.unwrap_or_default();
        let value = match header.raw_value.is_empty() {
            true => header.value.as_bytes(),
            false => &header.raw_value,
        };
        Change::new(header.key.as_bytes(), value, how)
            .ok_or_else(|| format!("its header {:?} cannot be carried by HTTP", header.key))
    };
    options.into_iter().map(change).collect()
}

/// The old `append` goes before `append_action`. Where neither says anything, a header of the request that is there already is
/// overwritten, so that no caller can add to what the authorizer says.
fn how(option: &HeaderValueOption) -> How {
    #[expect(deprecated, reason = "authorizers still write it, and Envoy reads it")]
    match (&option.append, HeaderAppendAction::try_from(option.append_action)) {
        (Some(append), _) if append.value => How::Add,
        (Some(_), _) => How::Set,
        (None, Ok(HeaderAppendAction::AddIfAbsent)) => How::AddIfAbsent,
        (None, Ok(HeaderAppendAction::OverwriteIfExists)) => How::SetIfPresent,
        (None, _) => How::Set,
    }
}

#[cfg(test)]
mod tests;
