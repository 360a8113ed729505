//! What bytes of peers go through, for the fuzz targets in `fuzz/`: each function takes any bytes, and panics where what
//! the data path relies on does not hold.

mod http2;
mod words;

use std::task::Poll;

pub use http2::{http2_frames, http2_request, http2_response};
use meltemi_policy::path::Normalization;
use meltemi_wire::delta::client::{Added, Update};
use meltemi_wire::proto::meltemi::v1::PeerMetadata;
use meltemi_wire::type_url;
use prost::Message;
pub use words::{hash_key, overrides};

use crate::config::fuzzing::Taker;
use crate::http::forward;
use crate::http::h1::chunked::{Chunked, Step};
use crate::http::h1::parse::{self, Limits};
use crate::http::h1::{encode, writer::Framing};
use crate::http::head::{BodyLength, Fields, RequestHead, ResponseHead, Version};
use crate::http::normalize::normalize;
use crate::listen::hello::Hello;
use crate::listen::{announced, detect, tls};
use crate::outbound::{deadline, decide};
use crate::reporting;

/// What is spoken on a connection: once the first bytes have told it, more bytes change nothing.
pub fn detection(bytes: &[u8]) {
    let mut told = None;
    for end in 0..=bytes.len().min(64) {
        let now = detect::judge(&bytes[..end]);
        assert!(told.is_none() || told == now, "{told:?} became {now:?} at {end}");
        told = now;
    }
}

/// The head of a request. What was understood is what the next hop understands when it is written for it, and no part of
/// a head is taken for a whole one.
pub fn http1_request(bytes: &[u8]) {
    let mut head = RequestHead::default();
    let Ok(Some(parsed)) = parse::request(bytes, Limits::CALLER, &mut head) else { return };
    for end in [parsed.size - 1, parsed.size / 2] {
        let part = parse::request(&bytes[..end], Limits::CALLER, &mut RequestHead::default());
        assert!(matches!(part, Ok(None)), "{end} of {} bytes: {part:?}", parsed.size);
    }
    drop(decide::split_authority(head.authority()));
    if head.target().is_empty() {
        // CONNECT goes no further as a request.
        return;
    }
    if let Some(value) = head.fields.find_name(b"grpc-timeout") {
        let _ = deadline::read(value);
    }
    is_passed_on(&mut head);
}

/// What the next hop reads of a request is what was understood of it.
fn is_passed_on(head: &mut RequestHead) {
    forward::outbound_request(head, || [7; 16]);
    if normalize(head, Normalization::MergeSlashes).is_err() {
        return;
    }
    let mut written = Vec::new();
    let framing = encode::request(&mut written, head);
    let mut next = RequestHead::default();
    let again = parse::request(&written, Limits::PASSED_ON, &mut next);
    if matches!(again, Err(parse::Malformed::TooLarge)) {
        return;
    }
    let again = again.expect("what is written can be read").expect("a whole head");
    assert_eq!(again.size, written.len(), "nothing is left behind the head");
    assert_eq!(next.method(), head.method());
    assert_eq!(next.target(), head.target());
    assert_eq!(next.authority(), head.authority());
    assert_eq!(next.upgrade, head.upgrade);
    is_alike(framing, next.body);
}

/// A body ends for the next hop where it ends for us.
fn is_alike(framing: Framing, read: BodyLength) {
    let is_alike = match (framing, read) {
        (Framing::Exact(length), BodyLength::Exact(read)) => length == read,
        (Framing::Exact(0) | Framing::Ended, BodyLength::Empty) => true,
        (Framing::Chunked | Framing::UntilClose, BodyLength::Unknown) => true,
        _ => false,
    };
    assert!(is_alike, "written as {framing:?}, read as {read:?}");
}

/// The head of a response, with the same promises.
pub fn http1_response(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let to_head = choice & 1 == 1;
    let mut head = ResponseHead::default();
    let Ok(Some(parsed)) = parse::response(bytes, to_head, &mut head) else { return };
    let part = parse::response(&bytes[..parsed.size - 1], to_head, &mut ResponseHead::default());
    assert!(matches!(part, Ok(None)), "a part is no whole: {part:?}");
    let version = if choice & 2 == 2 { Version::Http10 } else { Version::Http11 };
    is_passed_back(&mut head, encode::Answering { version, to_head, keep_alive: choice & 4 == 4 });
}

/// What the caller reads of an answer is what was understood of it.
fn is_passed_back(head: &mut ResponseHead, to: encode::Answering) {
    forward::response(head);
    let mut written = Vec::new();
    let framing = encode::response(&mut written, head, to);
    let (to_head, mut next) = (to.to_head, ResponseHead::default());
    let again = parse::response(&written, to_head, &mut next);
    if matches!(again, Err(parse::Malformed::TooLarge)) {
        return;
    }
    let again = again.expect("what is written can be read").expect("a whole head");
    assert_eq!((again.size, next.status), (written.len(), head.status));
    // What follows a change of the protocol is no body.
    if !head.upgrade {
        is_alike(framing, next.body);
    }
}

/// What an authorizer outside answers by HTTP.
pub fn authorizer_response(bytes: &[u8]) {
    crate::inbound::external::fuzzing::response(bytes);
}

/// What a SPIFFE agent answers over the Workload API.
pub fn workload_api(bytes: &[u8]) {
    crate::start::fuzzing::workload_api(bytes);
}

/// An answer on its way to a program that holds its data path itself.
pub fn program_answer(bytes: &[u8]) {
    crate::in_process::fuzzing::answer(bytes);
}

/// What an application answers to a probe by gRPC's health checking.
pub fn health_answer(bytes: &[u8]) {
    crate::probe::fuzzing::health_answer(bytes);
}

/// What an authorizer outside answers by gRPC.
pub fn authorizer_answer(bytes: &[u8]) {
    crate::inbound::external::fuzzing::answer(bytes);
}

/// The chunked coding: the same body, however the bytes come in.
pub fn chunked(bytes: &[u8]) {
    let [size, bytes @ ..] = bytes else { return };
    let whole = body(bytes, usize::MAX);
    let parts = body(bytes, usize::from(*size).max(1));
    assert_eq!(whole, parts);
}

/// Bytes used and number of trailers, where a body came to its end.
type BodyEnd = Option<(usize, usize)>;

/// Data, bytes used and number of trailers of a chunked body that comes in parts of `size` bytes; `None` where it is
/// malformed. An end that does not come leaves the last two out.
fn body(bytes: &[u8], size: usize) -> Option<(Vec<u8>, BodyEnd)> {
    let (mut chunked, mut trailers) = (Chunked::default(), Fields::default());
    let (mut data, mut used, mut there) = (Vec::new(), 0, 0);
    loop {
        match chunked.step(&bytes[used..there], &mut trailers).ok()? {
            Step::Data { skip, data: length } => {
                used += skip;
                assert!(length > 0 && used + length <= there);
                data.extend_from_slice(&bytes[used..used + length]);
                chunked.took(length);
                used += length;
            }
            Step::End { skip } => return Some((data, Some((used + skip, trailers.len())))),
            Step::More { skip } => {
                used += skip;
                if there == bytes.len() {
                    return Some((data, None));
                }
                there = bytes.len().min(there.saturating_add(size));
            }
        }
    }
}

/// A ClientHello: its server name is the same, however the bytes come in.
pub fn client_hello(bytes: &[u8]) {
    let [size, bytes @ ..] = bytes else { return };
    let whole = server_name(bytes, usize::MAX);
    let parts = server_name(bytes, usize::from(*size).max(1));
    match (whole, parts) {
        (Poll::Ready(whole), Poll::Ready(parts)) => assert_eq!(whole, parts),
        (Poll::Pending, Poll::Ready(Some(name))) => panic!("{name:?} is told in parts alone"),
        _ => {}
    }
}

/// The server name of a ClientHello that comes in parts of `size` bytes.
fn server_name(bytes: &[u8], size: usize) -> Poll<Option<Option<String>>> {
    let mut hello = Hello::default();
    let mut there = 0;
    while there < bytes.len() {
        there = bytes.len().min(there.saturating_add(size));
        let looked = hello.look(&bytes[..there], |hello| hello.server_name().map(str::to_owned));
        if looked.is_ready() {
            return looked;
        }
    }
    Poll::Pending
}

/// What a caller's proxy says in plaintext, the PROXY protocol's version 2: the same, however the bytes come in.
pub fn announced(bytes: &[u8]) {
    let whole = announced::read(bytes);
    for end in 0..bytes.len().min(512) {
        let part = announced::read(&bytes[..end]);
        assert!(part.is_pending() || part == whole, "{end} bytes: {part:?}, all: {whole:?}");
    }
    if let Poll::Ready(Some((_, length))) = whole {
        assert!(length <= bytes.len());
    }
}

/// What an endpoint says of its load, in a field of its answer's head or of its trailers: it is read once, and no other
/// field is touched.
pub fn load_report(bytes: &[u8]) {
    let [kind, value @ ..] = bytes else { return };
    let name: &[u8] = match kind % 2 {
        0 => b"endpoint-load-metrics",
        _ => b"endpoint-load-metrics-bin",
    };
    let mut fields = Fields::default();
    fields.push(b"before", b"1");
    fields.push(name, value);
    fields.push(b"after", b"2");
    let _ = reporting::take(&mut fields);
    let left = fields.len();
    let _ = reporting::take(&mut fields);
    assert_eq!(fields.len(), left, "our own word is taken out at once");
    assert_eq!(fields.find_name(b"before"), Some(&b"1"[..]));
    assert_eq!(fields.find_name(b"after"), Some(&b"2"[..]));
}

/// What a caller's proxy says of itself: a server name and labels.
pub fn peer(bytes: &[u8]) {
    if let Ok(name) = std::str::from_utf8(bytes)
        && let Some((host, port)) = tls::parse_server_name(name)
    {
        assert!(name.ends_with(&host) && name.contains(&port.to_string()));
    }
    if let Ok(metadata) = PeerMetadata::decode(bytes) {
        drop(tls::party(&metadata));
    }
}

/// A description of the control plane: a service, an endpoint of it, or our own workload. One that is refused changes
/// nothing.
pub fn configuration(bytes: &[u8]) {
    let [kind, body @ ..] = bytes else { return };
    let kinds = [type_url::SERVICE, type_url::ENDPOINT, type_url::WORKLOAD];
    let (kind, name) = match kinds[usize::from(*kind) % kinds.len()] {
        type_url::SERVICE => (type_url::SERVICE, "hello"),
        type_url::ENDPOINT => (type_url::ENDPOINT, "hello.default.svc.cluster.local/a"),
        _ => (type_url::WORKLOAD, "default/a"),
    };
    let added = Added { name: name.into(), version: "2".into(), body: body.to_vec() };
    let update = Update { type_url: kind.into(), added: vec![added], removed: Vec::new() };
    let mut taker = Taker::new();
    let before = taker.seen();
    if !taker.take(update) {
        assert_eq!(taker.seen(), before, "what is refused changes nothing");
    }
}
