//! Answers of authorizers, for fuzz targets.

use std::sync::LazyLock;

use meltemi_policy::authz::provider::{Authorizer, Http, Protocol, Provider};

use super::answer::{Allowed, Answer, apply};
use super::{by_grpc, by_http};
use crate::http::h1::encode;
use crate::http::h1::parse::{self, Limits, Malformed};
use crate::http::head::{BodyLength, RequestHead, ResponseHead, Version};
use crate::http::kept::Kept;
use crate::outbound::own::Answered;

/// Whatever an authorizer answers, the request that the application gets ends where the caller's does, and is for the same host.
pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(Answer::Allow(allowed)) = by_grpc::read(bytes) {
        is_same_request(&allowed);
    }
}

/// An authorizer by HTTP of whose answers everything is passed on.
static ASKED_BY_HTTP: LazyLock<Authorizer> = LazyLock::new(|| {
    let all = || vec!["*".to_owned()];
    Authorizer::new(Provider {
        name: "a".into(),
        service: "a.example".into(),
        namespace: String::new(),
        port: 80,
        timeout_ms: 1000,
        fail_open: false,
        status_on_error: 403,
        body: None,
        protocol: Protocol::Http(Http {
            headers_to_upstream_on_allow: all(),
            headers_to_downstream_on_allow: all(),
            ..Http::default()
        }),
    })
});

/// The same of an answer by HTTP; and what the caller of a refused request gets ends where it says.
pub(crate) fn response(bytes: &[u8]) {
    let mut kept = Kept::new(bytes.len());
    let Ok(Some(parsed)) = parse::response(bytes, false, &mut kept.head) else { return };
    kept.body = bytes[parsed.size..].to_vec();
    let answered = Answered { answer: kept, grpc_status: None };
    match by_http::answer(&ASKED_BY_HTTP, &answered) {
        Ok(Answer::Allow(allowed)) => is_same_request(&allowed),
        Ok(Answer::Deny(denied)) => {
            let length = denied.body.len() as u64;
            let (status, body) = (denied.status.unwrap_or(403), BodyLength::Exact(length));
            let mut head = ResponseHead { status, body, ..ResponseHead::default() };
            head.fields.push(b"content-length", length.to_string().as_bytes());
            apply(&denied.headers, &mut head.fields);
            is_same_response(&head);
        }
        Ok(Answer::Error(_)) | Err(_) => {}
    }
}

fn is_same_response(head: &ResponseHead) {
    let (mut written, mut next) = (Vec::new(), ResponseHead::default());
    let to = encode::Answering { version: Version::Http11, to_head: false, keep_alive: true };
    encode::response(&mut written, head, to);
    match parse::response(&written, false, &mut next) {
        Err(Malformed::TooLarge) => {}
        Ok(Some(parsed)) => {
            assert_eq!((parsed.size, next.status), (written.len(), head.status));
            let is_bodiless = head.status < 200 || matches!(head.status, 204 | 304);
            let is_empty = is_bodiless || head.body == BodyLength::Exact(0);
            let expected = if is_empty { BodyLength::Empty } else { head.body };
            assert_eq!(next.body, expected);
        }
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&written)),
    }
}

fn is_same_request(allowed: &Allowed) {
    let before = b"PUT /a?b=c HTTP/1.1\r\nhost: web\r\ncontent-length: 3\r\nx-user: caller\r\n\r\n";
    let mut head = RequestHead::default();
    let parsed = parse::request(before, Limits::CALLER, &mut head);
    assert!(matches!(parsed, Ok(Some(_))), "{parsed:?}");
    allowed.change(&mut head);
    let mut written = Vec::new();
    encode::request(&mut written, &head);
    let mut next = RequestHead::default();
    let size = match parse::request(&written, Limits::PASSED_ON, &mut next) {
        Err(Malformed::TooLarge) => return,
        Ok(Some(parsed)) => parsed.size,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&written)),
    };
    assert_eq!((size, next.body), (written.len(), BodyLength::Exact(3)));
    assert_eq!((next.method(), next.authority()), (&b"PUT"[..], &b"web"[..]));
    assert!(next.target().starts_with(b"/a"), "{}", String::from_utf8_lossy(next.target()));
}
