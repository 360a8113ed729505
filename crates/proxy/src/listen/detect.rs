//! What a caller speaks, by its first bytes.

use std::future::poll_fn;
use std::time::Duration;

use crate::http::h1::Reader;
use crate::listen::alpn::Inner;

/// How HTTP/2 begins with prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest method that is looked for.
const MAX_METHOD: usize = 20;
/// How long a caller may say nothing before it is taken for one whose server speaks first (Istio's
/// `protocolDetectionTimeout` was as long while it had one).
const SERVER_FIRST: Duration = Duration::from_millis(100);

/// How long a caller may take over bytes that may still become either version's.
const PREFACE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may wait for its first byte, as for its next request.
pub(crate) const IDLE: Duration = Duration::from_secs(3600);

/// Looks at the first bytes; they stay in the reader. A caller that says nothing waits for its server to speak: bytes.
pub(crate) async fn detect(reader: &mut Reader) -> Inner {
    let looking = async {
        loop {
            if let Some(found) = judge(reader.filled()) {
                return found;
            }
            let filled = poll_fn(|cx| reader.poll_fill(cx)).await;
            if filled.is_err() || reader.is_ended() {
                return judge(reader.filled()).unwrap_or(Inner::Tcp);
            }
        }
    };
    let found = tokio::time::timeout(SERVER_FIRST, looking).await;
    found.unwrap_or(Inner::Tcp)
}

/// Whether the bytes begin HTTP/2 with prior knowledge, else HTTP/1.1; `None` while they may begin both.
pub(crate) async fn http_version(reader: &mut Reader) -> Inner {
    loop {
        match judge(reader.filled()) {
            Some(Inner::Http2) => return Inner::Http2,
            Some(_) => return Inner::Http1,
            None => {}
        }
        let limit = if reader.has_bytes() { PREFACE_TIME } else { IDLE };
        let filled = tokio::time::timeout(limit, poll_fn(|cx| reader.poll_fill(cx))).await;
        if !matches!(filled, Ok(Ok(()))) || reader.is_ended() {
            return Inner::Http1;
        }
    }
}

/// What the bytes begin; `None` while it cannot be told.
pub(crate) fn judge(bytes: &[u8]) -> Option<Inner> {
    if bytes.is_empty() || (bytes.len() < PREFACE.len() && PREFACE.starts_with(bytes)) {
        return None;
    }
    if bytes.starts_with(PREFACE) {
        return Some(Inner::Http2);
    }
    let method = bytes.iter().take(MAX_METHOD).position(|byte| !is_method(*byte));
    match method {
        Some(0) => Some(Inner::Tcp),
        Some(end) => match (bytes[end], bytes.get(end + 1)) {
            (b' ', Some(b'/' | b'*' | b'h' | b'H')) => Some(Inner::Http1),
            (b' ', Some(_)) if bytes.starts_with(b"CONNECT ") => Some(Inner::Http1),
            (b' ', None) => None,
            _ => Some(Inner::Tcp),
        },
        None if bytes.len() < MAX_METHOD => None,
        None => Some(Inner::Tcp),
    }
}

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", Some(Inner::Http2)),
            (b"PRI /x HTTP/1.1\r\n", Some(Inner::Http1)),
            (b"GET", None),
            (b"GET ", None),
            (b"GET /", Some(Inner::Http1)),
            (b"GET http://a/", Some(Inner::Http1)),
            (b"OPTIONS * H", Some(Inner::Http1)),
            (b"CONNECT a:1", Some(Inner::Http1)),
            (b"\x16\x03\x01", Some(Inner::Tcp)),
            (b"*1\r\n$4\r\nPING", Some(Inner::Tcp)),
            (b"EHLO example.com\r\n", Some(Inner::Tcp)),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA", Some(Inner::Tcp)),
        ] {
            assert_eq!(judge(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
