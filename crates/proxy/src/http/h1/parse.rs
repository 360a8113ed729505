//! Heads of HTTP/1.1 messages: what is well-formed, and where the body ends (RFC 9112, sections 2 to 6).
//!
//! Strict where leniency lets two parsers disagree about where a message ends: a message with both lengths, with
//! several different ones, or with a transfer coding other than `chunked` is refused.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use crate::http::head::{BodyLength, RequestHead, ResponseHead, Version};
use crate::http::known::Known;

/// The longest head that is looked at, bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The most fields that are looked at.
pub(crate) const MAX_FIELDS: usize = 128;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) bytes: usize,
    /// Fields.
    pub(crate) fields: usize,
}

impl Limits {
    /// Of a request as an application makes it (Envoy's defaults).
    pub(crate) const CALLER: Limits = Limits { bytes: 60 * 1024, fields: 100 };
    /// Of a message that a proxy may have added to already.
    pub(crate) const PASSED_ON: Limits = Limits { bytes: MAX_HEAD, fields: MAX_FIELDS };
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// It breaks the syntax, or its length cannot be told for certain.
    #[error("{0}")]
    Syntax(&'static str),
    /// Too long, or too many fields.
    #[error("the head is larger than 60 KiB or has more than 100 fields")]
    TooLarge,
    /// Not a version that is spoken here.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// A transfer coding that is not known here.
    #[error("the only transfer coding here is chunked")]
    Coding,
}

impl Malformed {
    /// The status to answer a request with (RFC 9110, RFC 6585).
    pub(crate) fn status(self) -> u16 {
        match self {
            Malformed::Syntax(_) => 400,
            Malformed::TooLarge => 431,
            Malformed::Version => 505,
            Malformed::Coding => 501,
        }
    }

    fn of(error: httparse::Error) -> Malformed {
        match error {
            httparse::Error::TooManyHeaders => Malformed::TooLarge,
            httparse::Error::Version => Malformed::Version,
            httparse::Error::HeaderName => Malformed::Syntax("a field name is no token"),
            httparse::Error::HeaderValue => {
                Malformed::Syntax("a field value holds control characters")
            }
            httparse::Error::NewLine => Malformed::Syntax("a line does not end in CR LF"),
            httparse::Error::Token => {
                Malformed::Syntax("the request line is not METHOD TARGET VERSION")
            }
            httparse::Error::Status => Malformed::Syntax("the status is not three digits"),
        }
    }
}

/// Where the body of a message that was just parsed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection ends.
    Close,
}

/// A head that was complete: its size on the wire, and how its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) size: usize,
    pub(crate) body: Delimiter,
}

/// Parses the head of a request. `None`: more bytes are needed.
pub(crate) fn request(
    bytes: &[u8],
    limits: Limits,
    head: &mut RequestHead,
) -> Result<Option<Parsed>, Malformed> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(bytes, &mut fields).map_err(Malformed::of)?;
    let Status::Complete(size) = status else { return incomplete(bytes, limits) };
    if size > limits.bytes || parsed.headers.len() > limits.fields {
        return Err(Malformed::TooLarge);
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Malformed::Syntax("the request line is not METHOD TARGET VERSION"));
    };
    head.clear();
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let raw = &bytes[..size];
    head.fields.load(raw, parsed.headers.iter().map(|field| (field.name.as_bytes(), field.value)));
    head.method = head.fields.span_of(raw, method.as_bytes());
    let target = target_of(method, target, head, raw)?;
    set_authority(head, raw, target)?;
    let framing = framing(&head.fields, head.version)?;
    say_length_once(&mut head.fields, framing);
    let connection = Connection::of(&head.fields);
    head.keep_alive = connection.is_kept(head.version);
    head.upgrade = connection.upgrade && is_websocket(&head.fields);
    let body = framing.unwrap_or(Delimiter::Length(0));
    head.body = length(body);
    Ok(Some(Parsed { size, body }))
}

/// Parses the head of a response to a request of the given method. `None`: more bytes are needed.
pub(crate) fn response(
    bytes: &[u8],
    to_head: bool,
    head: &mut ResponseHead,
) -> Result<Option<Parsed>, Malformed> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields)
        .map_err(Malformed::of)?;
    let Status::Complete(size) = status else { return incomplete(bytes, Limits::PASSED_ON) };
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Malformed::Syntax("the status line is not VERSION STATUS REASON"));
    };
    if size > MAX_HEAD {
        return Err(Malformed::TooLarge);
    }
    if code < 100 {
        return Err(Malformed::Syntax("the status is below 100"));
    }
    head.clear();
    head.status = code;
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let raw = &bytes[..size];
    head.fields.load(raw, parsed.headers.iter().map(|field| (field.name.as_bytes(), field.value)));
    let framing = framing(&head.fields, head.version)?;
    if code < 200 || code == 204 {
        // RFC 9110, section 8.6: these have none.
        head.fields.remove(Known::ContentLength);
    }
    say_length_once(&mut head.fields, framing);
    let connection = Connection::of(&head.fields);
    let body = match framing {
        // RFC 9112, section 6.3: these never have a body, whatever their fields say.
        _ if to_head || code < 200 || code == 204 || code == 304 => Delimiter::Length(0),
        Some(framing) => framing,
        None => Delimiter::Close,
    };
    head.keep_alive = connection.is_kept(head.version) && body != Delimiter::Close;
    head.upgrade = code == 101 && connection.upgrade;
    head.body = length(body);
    Ok(Some(Parsed { size, body }))
}

fn incomplete(bytes: &[u8], limits: Limits) -> Result<Option<Parsed>, Malformed> {
    if bytes.len() >= limits.bytes { Err(Malformed::TooLarge) } else { Ok(None) }
}

fn length(body: Delimiter) -> BodyLength {
    match body {
        Delimiter::Length(0) => BodyLength::Empty,
        Delimiter::Length(length) => BodyLength::Exact(length),
        Delimiter::Chunked | Delimiter::Close => BodyLength::Unknown,
    }
}

/// Whether WebSocket is the one protocol that is offered instead. Others are not offered on, as with Istio's sidecars: behind an
/// upgrade to HTTP/2 (`h2c`) requests would pass that no policy has seen.
fn is_websocket(fields: &crate::http::head::Fields) -> bool {
    let mut offered = fields.find_all(Known::Upgrade);
    let first = offered.next().is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"websocket"));
    first && offered.next().is_none()
}

/// Splits the target by its form (RFC 9112, section 3.2), notes path and query, and gives the authority where the
/// target holds one.
fn target_of<'a>(
    method: &str,
    target: &'a str,
    head: &mut RequestHead,
    raw: &[u8],
) -> Result<Option<&'a str>, Malformed> {
    if target.as_bytes().contains(&b'#') {
        return Err(Malformed::Syntax("the target holds a fragment"));
    }
    if method == "CONNECT" {
        head.target = head.fields.span_of(raw, b"");
        return Ok(Some(target));
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        head.target = head.fields.span_of(raw, target.as_bytes());
        return Ok(None);
    }
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some(scheme) = scheme else {
        return Err(Malformed::Syntax("the target is neither a path nor an http:// URL"));
    };
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    head.target = match path.as_bytes() {
        [] => head.fields.store(b"/"),
        [b'/', ..] => head.fields.span_of(raw, path.as_bytes()),
        query => {
            let path = [b"/", query].concat();
            head.fields.store(&path)
        }
    };
    Ok(Some(authority))
}

/// One authority: the target's goes before `host` (RFC 9112, section 3.2.2), and `host` must be there once.
fn set_authority(
    head: &mut RequestHead,
    raw: &[u8],
    of_target: Option<&str>,
) -> Result<(), Malformed> {
    let mut hosts = head.fields.spans(Known::Host);
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Malformed::Syntax("there is more than one host field"));
    }
    drop(hosts);
    head.authority = match (of_target, host) {
        (Some(authority), _) => head.fields.span_of(raw, authority.as_bytes()),
        (None, Some(host)) => host,
        (None, None) if head.version == Version::Http10 => head.fields.span_of(raw, b""),
        (None, None) => return Err(Malformed::Syntax("there is no host field")),
    };
    if !head.authority().iter().all(|byte| is_authority(*byte)) {
        return Err(Malformed::Syntax("the host holds characters that no host has"));
    }
    head.fields.remove(Known::Host);
    Ok(())
}

/// Whether a byte may stand in a host with its port; user names may not.
pub(crate) fn is_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']' | b'~' | b'%' | b'*')
}

/// How the fields say that the body ends; `None` where they say nothing.
fn framing(
    fields: &crate::http::head::Fields,
    version: Version,
) -> Result<Option<Delimiter>, Malformed> {
    let mut codings = fields.find_all(Known::TransferEncoding);
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::Coding);
        }
        if version == Version::Http10 {
            return Err(Malformed::Syntax("HTTP/1.0 has no transfer-encoding"));
        }
        if fields.find(Known::ContentLength).is_some() {
            return Err(Malformed::Syntax(
                "there is both a content-length and a transfer-encoding",
            ));
        }
        return Ok(Some(Delimiter::Chunked));
    }
    let mut length = None;
    for text in fields.find_all(Known::ContentLength) {
        let read = decimal(text).ok_or(Malformed::Syntax("the content-length is no number"))?;
        if length.is_some_and(|before| before != read) {
            return Err(Malformed::Syntax("there are content-lengths that differ"));
        }
        length = Some(read);
    }
    Ok(length.map(Delimiter::Length))
}

/// Lengths that were said several times and alike go on once (RFC 9110, section 8.6).
fn say_length_once(fields: &mut crate::http::head::Fields, framing: Option<Delimiter>) {
    if let Some(Delimiter::Length(length)) = framing
        && fields.find_all(Known::ContentLength).count() > 1
    {
        let text = length.to_string();
        fields.set(Known::ContentLength, b"content-length", text.as_bytes());
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The options of the `connection` fields that mean something here.
#[derive(Debug, Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Connection {
    fn of(fields: &crate::http::head::Fields) -> Connection {
        let mut found = Connection::default();
        for value in fields.find_all(Known::Connection) {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                found.close |= option.eq_ignore_ascii_case(b"close");
                found.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                found.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }
        }
        found
    }

    fn is_kept(&self, version: Version) -> bool {
        match version {
            Version::Http10 => self.keep_alive && !self.close,
            _ => !self.close,
        }
    }
}

#[cfg(test)]
mod tests;
