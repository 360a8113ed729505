//! Between the `http` crate's messages, which h2 speaks, and our heads.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, request,
};

use crate::http::h1::parse::{MAX_FIELDS, is_authority};
use crate::http::head::{BodyLength, Fields, RequestHead, ResponseHead, Version};
use crate::http::known::Known;

/// Reads fields, without the white space around a value that HTTP/2 forbids and HTTP/1.1 does not count: what is judged here is
/// what a reader of HTTP/1.1 sees. What has no name there is left out.
pub(crate) fn fields(from: &HeaderMap, into: &mut Fields) {
    into.clear();
    for (name, value) in from.iter().filter(|(name, _)| is_token(name)) {
        into.push(name.as_str().as_bytes(), trimmed(value));
    }
}

/// Whether a name is one in HTTP/1.1 too (RFC 9110, section 5.6.2): of what is no token, `http` lets a quotation mark through.
fn is_token(name: &HeaderName) -> bool {
    !name.as_str().as_bytes().contains(&b'"')
}

/// RFC 9110, section 5.5: spaces and tabs.
fn trimmed(value: &HeaderValue) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = value.as_bytes();
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Writes fields; those that HTTP/2 forbids are left out (RFC 9113, section 8.2.2).
pub(crate) fn header_map(from: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(from.len());
    for (known, name, value) in from.iter() {
        let is_te_trailers = known == Known::Te && value.eq_ignore_ascii_case(b"trailers");
        if known.is_hop_by_hop() && !is_te_trailers {
            continue;
        }
        // The only value that HTTP/2 has, and only in small letters.
        let value = if is_te_trailers { b"trailers" } else { value };
        // Both were parsed as fields of HTTP already; what http refuses all the same is dropped.
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// Reads a request's head. `has_end`: it has no body. False if it cannot be served here: no path or no authority, or malformed (RFC
/// 9113, sections 8.1.1 and 8.2.1), or more fields than HTTP/1.1 may have.
pub(crate) fn read_request(parts: &request::Parts, has_end: bool, head: &mut RequestHead) -> bool {
    head.clear();
    let is_malformed = |value: &HeaderValue| trimmed(value).len() < value.len();
    let has_names = parts.headers.keys().all(is_token);
    if parts.headers.len() > MAX_FIELDS || !has_names || parts.headers.values().any(is_malformed) {
        return false;
    }
    fields(&parts.headers, &mut head.fields);
    head.version = Version::Http2;
    head.method = head.fields.store(parts.method.as_str().as_bytes());
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    head.target = head.fields.store(target.as_bytes());
    let mut hosts = head.fields.spans(Known::Host);
    let (host, more) = (hosts.next(), hosts.next());
    drop(hosts);
    head.authority = match (parts.uri.authority(), host) {
        (Some(authority), _) => head.fields.store(authority.as_str().as_bytes()),
        (None, Some(host)) => host,
        (None, None) => return false,
    };
    // RFC 9113, section 8.3.1: a host field must say what :authority says.
    let is_alike = |host| head.fields.text(host).eq_ignore_ascii_case(head.authority());
    let agrees = host.is_none_or(is_alike) && head.authority().iter().copied().all(is_authority);
    head.fields.remove(Known::Host);
    join_cookies(&mut head.fields);
    let is_clear = say_length_once(&mut head.fields);
    head.body = length(&head.fields, has_end);
    head.keep_alive = true;
    let has_path = target.starts_with('/') || (target == "*" && parts.method == Method::OPTIONS);
    is_clear && more.is_none() && agrees && has_path
}

/// Several lengths that say the same become one; false if they differ, or one is no length.
fn say_length_once(fields: &mut Fields) -> bool {
    let mut lengths = fields.find_all(Known::ContentLength).map(number);
    let Some(first) = lengths.next() else { return true };
    let (is_one, is_repeated) =
        lengths.fold((true, false), |(is_one, _), it| (is_one && it == first, true));
    let Some(length) = first.filter(|_| is_one) else { return false };
    if is_repeated {
        fields.set(Known::ContentLength, b"content-length", length.to_string().as_bytes());
    }
    true
}

/// HTTP/2 may split the cookies into several fields, which HTTP/1.1 must not (RFC 9113, section 8.2.3).
fn join_cookies(fields: &mut Fields) {
    if fields.find_all(Known::Cookie).count() > 1 {
        let cookies: Vec<&[u8]> = fields.find_all(Known::Cookie).collect();
        let joined = cookies.join(&b"; "[..]);
        fields.set(Known::Cookie, b"cookie", &joined);
    }
}

/// Makes the request that is sent. `None` if a part of it is nothing that HTTP/2 can carry.
pub(crate) fn request(head: &RequestHead) -> Option<Request<()>> {
    let uri = Uri::builder()
        .scheme("http")
        .authority(head.authority())
        .path_and_query(head.target())
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method()).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = header_map(&head.fields);
    Some(request)
}

/// Reads a response's head. False if a field has no name in HTTP/1.1, or if it says several lengths that differ, of which the next
/// hop could take another one (RFC 9110, section 8.6).
pub(crate) fn read_response<T>(from: &Response<T>, has_end: bool, head: &mut ResponseHead) -> bool {
    head.clear();
    fields(from.headers(), &mut head.fields);
    head.status = from.status().as_u16();
    head.version = Version::Http2;
    let is_clear = say_length_once(&mut head.fields);
    head.body = length(&head.fields, has_end);
    head.keep_alive = true;
    is_clear && from.headers().keys().all(is_token)
}

/// Makes the response that is sent.
pub(crate) fn response(head: &ResponseHead) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = header_map(&head.fields);
    response
}

/// A length: digits alone, as it goes on as it stands (RFC 9110, section 8.6).
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok());
    digits.flatten()?.parse().ok()
}

fn length(fields: &Fields, has_end: bool) -> BodyLength {
    if has_end {
        return BodyLength::Empty;
    }
    match fields.find(Known::ContentLength).and_then(number) {
        Some(length) => BodyLength::Exact(length),
        None => BodyLength::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_without_a_name_in_http1_is_malformed() {
        for (name, is_read) in [("x-a", true), ("x-\"a", false)] {
            // As `h2` reads it.
            let name = HeaderName::from_lowercase(name.as_bytes()).unwrap();
            let mut request = Request::get("http://web/").body(()).unwrap();
            request.headers_mut().insert(name.clone(), HeaderValue::from_static("1"));
            let parts = request.into_parts().0;
            assert_eq!(read_request(&parts, true, &mut RequestHead::default()), is_read);
            let mut answer = Response::new(());
            answer.headers_mut().insert(name, HeaderValue::from_static("1"));
            assert_eq!(read_response(&answer, true, &mut ResponseHead::default()), is_read);
            let mut trailers = Fields::default();
            fields(answer.headers(), &mut trailers);
            assert_eq!(trailers.is_empty(), !is_read);
        }
    }

    #[test]
    fn lengths_of_an_answer_that_differ_are_refused() {
        for (lengths, is_read, left) in [
            (&["5"][..], true, 1),
            (&["5", "5"], true, 1),
            (&["5", "7"], false, 2),
            (&["5", "+5"], false, 2),
            (&["5", "x"], false, 2),
        ] {
            let mut answer = Response::new(());
            for length in lengths {
                answer.headers_mut().append("content-length", length.parse().unwrap());
            }
            let mut head = ResponseHead::default();
            assert_eq!(read_response(&answer, false, &mut head), is_read, "{lengths:?}");
            assert_eq!(head.fields.len(), left, "{lengths:?}");
        }
    }
}
