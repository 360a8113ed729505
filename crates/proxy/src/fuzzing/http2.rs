//! HTTP/2, as far as it is read here: where its frames stand, and what the messages that `h2` makes of them mean.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};

use super::{is_passed_back, is_passed_on};
use crate::http::h1::encode;
use crate::http::h2::convert;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::in_process;
use crate::listen::http2::Frames;

/// Frames: what is owed is the same, however the bytes come in.
pub fn http2_frames(bytes: &[u8]) {
    let [size, bytes @ ..] = bytes else { return };
    let (mut whole, mut parts) = (Frames::new(), Frames::new());
    let was_whole = whole.take(bytes);
    let mut was_part = false;
    for part in bytes.chunks(usize::from(*size).max(1)) {
        was_part |= parts.take(part);
    }
    assert_eq!((was_whole, whole.is_owing()), (was_part, parts.is_owing()));
}

/// A request as `h2` gives it, or as a program asks for it: a line with method, authority and path, then a line for each field.
/// What is understood is what the next hop reads over HTTP/1.1.
pub fn http2_request(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let (is_program, has_end) = (choice & 1 == 1, choice & 2 == 2);
    let Some((line, headers)) = message(bytes) else { return };
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, authority, path] = words[..] else { return };
    let Some(mut parts) = parts(method, authority, path) else { return };
    parts.headers = headers;
    if !is_program && !is_of_h2(&parts.headers, has_end) {
        return;
    }
    let mut head = RequestHead::default();
    let is_read = match is_program {
        true => in_process::fuzzing::read(&parts, has_end, &mut head),
        false => convert::read_request(&parts, has_end, &mut head),
    };
    if is_read {
        is_passed_on(&mut head);
    }
}

/// An answer as `h2` gives it: a line with the status, then a line for each field; with the promises of one of HTTP/1.1.
pub fn http2_response(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let Some((line, headers)) = message(bytes) else { return };
    let status = std::str::from_utf8(line).ok().and_then(|it| it.parse().ok());
    let (to_head, has_end) = (choice & 1 == 1, choice & 8 == 8);
    let has_body = !to_head && !matches!(status, Some(204 | 304));
    if !status.is_some_and(|it| (200..=999).contains(&it))
        || !is_of_h2(&headers, has_end && has_body)
    {
        return;
    }
    let mut response = Response::new(());
    let Ok(status) = http::StatusCode::from_u16(status.unwrap_or_default()) else { return };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let mut head = ResponseHead::default();
    if !convert::read_response(&response, has_end, &mut head) {
        return;
    }
    let version = if choice & 2 == 2 { Version::Http10 } else { Version::Http11 };
    let to = encode::Answering { version, to_head, keep_alive: choice & 4 == 4 };
    is_passed_back(&mut head, to);
}

/// The first line, and the fields of the others; `None` where one is none.
fn message(bytes: &[u8]) -> Option<(&[u8], HeaderMap)> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_lowercase(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some((first, headers))
}

fn parts(method: &[u8], authority: &[u8], path: &[u8]) -> Option<http::request::Parts> {
    let uri = match authority {
        [] => Uri::try_from(path).ok()?,
        _ => {
            let uri = Uri::builder().scheme("http").authority(authority);
            uri.path_and_query(path).build().ok()?
        }
    };
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    Some(request.into_parts().0)
}

/// Whether `h2` lets these through: none of one connection, and a first length of digits, which is zero where the body is `empty`
/// (RFC 9113, sections 8.1.1 and 8.2.2).
fn is_of_h2(headers: &HeaderMap, empty: bool) -> bool {
    let of_connection =
        ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
    let length = headers.get("content-length").map(HeaderValue::as_bytes);
    let is_length = |it: &[u8]| {
        !it.is_empty()
            && it.len() <= 19
            && it.iter().all(u8::is_ascii_digit)
            && !(empty && it.iter().any(|digit| *digit != b'0'))
    };
    !of_connection.iter().any(|name| headers.contains_key(*name))
        && headers.get("te").is_none_or(|it| it == "trailers")
        && length.is_none_or(is_length)
}
