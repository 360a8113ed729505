//! Writes HTTP/1.1 heads and chunks.

use std::io::Write;

use super::writer::{Framing, decimal};
use crate::http::head::{BodyLength, Fields, RequestHead, ResponseHead, Version};
use crate::http::known::Known;

/// Writes the head of a request, and tells how its body has to be framed. Hop-by-hop fields are made anew.
pub(crate) fn request(out: &mut Vec<u8>, head: &RequestHead) -> Framing {
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.target());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(head.authority());
    out.extend_from_slice(b"\r\n");
    fields(out, &head.fields);
    if head.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\n");
    }
    let framing = framing(out, &head.fields, head.body);
    out.extend_from_slice(b"\r\n");
    framing
}

/// How a response to one caller has to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answering {
    /// Version in which the caller spoke.
    pub(crate) version: Version,
    /// Whether the request was HEAD, whose answers have no body.
    pub(crate) to_head: bool,
    /// Whether the caller's connection goes on afterwards.
    pub(crate) keep_alive: bool,
}

/// Writes the head of a response, and tells how its body has to be framed.
pub(crate) fn response(out: &mut Vec<u8>, head: &ResponseHead, to: Answering) -> Framing {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, head.status.into());
    out.push(b' ');
    out.extend_from_slice(reason(head.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    fields(out, &head.fields);
    if head.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\n\r\n");
        return Framing::UntilClose;
    }
    let is_bodiless = to.to_head || head.status < 200 || matches!(head.status, 204 | 304);
    let framing = match head.body {
        _ if is_bodiless => Framing::Ended,
        BodyLength::Unknown if to.version == Version::Http10 => Framing::UntilClose,
        BodyLength::Empty => {
            // A response without a length would last until the connection ends.
            if head.fields.find(Known::ContentLength).is_none() {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            Framing::Ended
        }
        body => framing(out, &head.fields, body),
    };
    if head.status >= 200 && (!to.keep_alive || framing == Framing::UntilClose) {
        out.extend_from_slice(b"connection: close\r\n");
    } else if to.version == Version::Http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}

fn fields(out: &mut Vec<u8>, fields: &Fields) {
    for (_, name, value) in fields.iter() {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

/// The length's field stands among the fields already if the length is known.
fn framing(out: &mut Vec<u8>, fields: &Fields, body: BodyLength) -> Framing {
    match body {
        BodyLength::Empty => Framing::Ended,
        BodyLength::Exact(length) => {
            if fields.find(Known::ContentLength).is_none() {
                out.extend_from_slice(b"content-length: ");
                decimal(out, length);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Exact(length)
        }
        BodyLength::Unknown => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    }
}

/// Writes one chunk; no bytes write nothing, as that would be the end.
pub(crate) fn chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    // Writing to a vector cannot fail.
    let _ = write!(out, "{:x}\r\n", bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the trailers, which were cleared of what has no place there when they were read.
pub(crate) fn last_chunk(out: &mut Vec<u8>, trailers: &Fields) {
    out.extend_from_slice(b"0\r\n");
    for (_, name, value) in trailers.iter() {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}
