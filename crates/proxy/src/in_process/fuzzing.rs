//! What a program asks for and is answered, for fuzz targets.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::request;
use http_body::Body as _;
use tokio::sync::oneshot;

use super::{Answering, Body, CallError, Given, RequestBody};
use crate::http::forward;
use crate::http::h1::parse;
use crate::http::head::{Fields, RequestHead, ResponseHead};

/// Reads a request of a program; false where it is refused.
pub(crate) fn read(parts: &request::Parts, has_end: bool, head: &mut RequestHead) -> bool {
    let body = if has_end { Bytes::new() } else { Bytes::from_static(b"body") };
    super::read(parts, &Given::new(RequestBody::Whole(body)), head)
}

/// An answer over HTTP/1.1 and its body: the program gets the status, every field but those of one hop, and the bytes; and it
/// takes an answer that was broken off for no whole one.
pub(crate) fn answer(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let (is_whole, size) = (choice & 1 == 1, usize::from(choice >> 1).max(1));
    let mut head = ResponseHead::default();
    let Ok(Some(parsed)) = parse::response(bytes, false, &mut head) else { return };
    forward::response(&mut head);
    let data = &bytes[parsed.size..];
    let (send, mut answered) = oneshot::channel();
    let (_held, cancel) = oneshot::channel();
    let mut answering = Answering::new(send, cancel);
    answering.begin(&head);
    let (mut response, mut read) = (None, Vec::new());
    for piece in data.chunks(size) {
        assert!(matches!(now(answering.write(piece)), Ok(count) if count == piece.len()));
        assert!(now(answering.flush()).is_ok());
        response = response.or_else(|| answered.try_recv().ok());
        let end = drain(&mut response, &mut read);
        assert!(end.is_none(), "an end before the end: {end:?}");
    }
    let mut trailers = Fields::default();
    trailers.push(b"grpc-status", b"0");
    match is_whole {
        true => assert!(now(answering.finish(&trailers)).is_ok() && answering.is_over()),
        false => answering.break_off(),
    }
    response = response.or_else(|| answered.try_recv().ok());
    let end = drain(&mut response, &mut read);
    match (response, is_whole) {
        (Some(Err(CallError::BrokenOff)), false) => assert!(data.is_empty()),
        (Some(Ok(response)), _) => {
            assert_eq!((end, &read[..]), (Some(is_whole), data));
            is_told(&head, &response);
        }
        (other, _) => panic!("{other:?}"),
    }
}

/// Takes what is there of a body; says how it ended, if it has: whole or not.
fn drain(
    response: &mut Option<Result<http::Response<Body>, CallError>>,
    read: &mut Vec<u8>,
) -> Option<bool> {
    let Some(Ok(response)) = response else { return None };
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(response.body_mut()).poll_frame(&mut cx) {
            Poll::Pending => return None,
            Poll::Ready(None) => return Some(true),
            Poll::Ready(Some(Err(_))) => return Some(false),
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
        }
    }
}

fn is_told(head: &ResponseHead, response: &http::Response<Body>) {
    assert_eq!(response.status().as_u16(), head.status);
    let told = |name: &[u8]| {
        let name = http::HeaderName::from_bytes(name).expect("a field's name");
        response.headers().get_all(name).iter().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    for (known, name, _) in head.fields.iter().filter(|(known, _, _)| !known.is_hop_by_hop()) {
        let same = |(_, other, _): &(_, &[u8], &[u8])| other.eq_ignore_ascii_case(name);
        let said = head.fields.iter().filter(same).map(|(_, _, value)| value.to_vec());
        assert_eq!(told(name), said.collect::<Vec<_>>(), "{known:?}");
    }
}

/// What waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("there is room, as all is read at once"),
    }
}
