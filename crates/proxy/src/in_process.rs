//! Calls and handlers in the proxy's own process: a program that holds its data path itself sends requests to a worker
//! without a connection, and serves what comes for its ports without a listener. From there on both go the very way of a
//! sidecar's.

mod answer;
mod body;
mod caller;
pub(crate) mod fuzzing;
mod given;
mod handlers;

use std::rc::Rc;

pub use body::Body;
pub use caller::{CallError, Caller, Ours};
pub use given::{Broken, RequestBody};
pub use handlers::{Handlers, Incoming};

use http::request;

use crate::exchange::{Call, Reply};
use crate::http::body::Source;
use crate::http::h2::convert;
use crate::http::head::{BodyLength, RequestHead, Version};
use crate::http::known::Known;
use crate::outbound;
use crate::outbound::http::Entry;
use crate::worker::Worker;
pub(crate) use answer::Answering;
pub(crate) use caller::Asked;
pub(crate) use given::Given;

/// Serves a call of the program from its head to the last byte of its answer.
pub(crate) async fn serve(worker: &Rc<Worker>, asked: Asked) {
    let Asked { parts, body, answer, cancel } = asked;
    let mut given = Given::new(body);
    let mut head = RequestHead::default();
    let mut answering = Answering::new(answer, cancel);
    if !read(&parts, &given, &mut head) {
        return answering.refuse("it names no host and path of a service");
    }
    let mut call = Call {
        head: &mut head,
        body: Source::InProcess(&mut given),
        reply: Reply::InProcess(&mut answering),
        cors: None,
    };
    outbound::http::serve(worker, Entry::Program, &mut call).await;
}

/// Reads what a program asks for; false if it cannot be carried.
fn read(parts: &request::Parts, given: &Given, head: &mut RequestHead) -> bool {
    let is_read = convert::read_request(parts, given.is_over(), head);
    // What is spoken from here on is what the program has asked for.
    head.version = match parts.version {
        http::Version::HTTP_2 | http::Version::HTTP_3 => Version::Http2,
        _ => Version::Http11,
    };
    measure(head, given, &parts.method);
    is_read && parts.method != http::Method::CONNECT
}

/// Says how long the body is by what it says of itself: a field of the program's could say something else, and then two
/// parsers could disagree about where the request ends (RFC 9112, section 11.2).
fn measure(head: &mut RequestHead, given: &Given, method: &http::Method) {
    head.fields.remove(Known::ContentLength);
    head.fields.remove(Known::TransferEncoding);
    head.body = match given.length() {
        _ if given.is_over() => BodyLength::Empty,
        Some(length) => BodyLength::Exact(length),
        None => BodyLength::Unknown,
    };
    // RFC 9110, section 8.6: a request without content says so where its method anticipates some.
    let expects = [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(method);
    let length = match head.body {
        BodyLength::Exact(length) => length,
        BodyLength::Empty if expects => 0,
        BodyLength::Empty | BodyLength::Unknown => return,
    };
    head.fields.push(b"content-length", length.to_string().as_bytes());
}
