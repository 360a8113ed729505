//! Answers of authorizers by gRPC, for a fuzz target.

use super::answer::Answer;
use super::by_grpc;
use crate::http::h1::encode;
use crate::http::h1::parse::{self, Limits, Malformed};
use crate::http::head::{BodyLength, RequestHead};

/// Whatever an authorizer answers, the request that the application gets ends where the caller's does, and is for the same host.
pub(crate) fn answer(bytes: &[u8]) {
    let Ok(Answer::Allow(allowed)) = by_grpc::read(bytes) else { return };
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
