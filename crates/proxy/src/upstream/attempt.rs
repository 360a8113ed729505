//! One attempt: the request goes to one endpoint, and the head of its answer comes back.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use h2::client::ResponseFuture;
use meltemi_policy::retry::{Failed, is_idempotent};
use meltemi_telemetry::ResponseFlags;

use super::admit::{self, Entry, Overflow, Waited};
use super::connect::{ConnectError, connect};
use super::h1::Connection;
use super::h2::{OpenError, Shared, Stream, share};
use super::replay::Replay;
use super::route::Route;
use crate::exchange::{Call, expects_continue};
use crate::http::body::{BodyError, Broken, Sink, Source, pump};
use crate::http::h1::parse::Malformed;
use crate::http::h1::{ReadError, encode};
use crate::http::h2::{H2Error, Receiver, Sender, convert};
use crate::http::head::{BodyLength, ResponseHead};
use crate::http::known::Known;
use crate::listen::alpn::Inner;
use crate::worker::Worker;

/// An endpoint that has begun to answer.
pub(crate) enum Answer {
    /// Over HTTP/1.1.
    H1(Box<Connection>),
    /// Over HTTP/2.
    H2 {
        sender: Sender,
        receiver: Receiver,
        /// Counts the stream.
        _stream: Stream,
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Missed {
    /// The endpoint's side failed.
    Endpoint(Failure),
    /// This machine could make no connection, to whomever.
    Local(Failure),
    /// The caller went away, or broke its request off.
    CallerGone,
    /// The caller's body is not what HTTP allows.
    Malformed(Malformed),
    /// There are as many connections, and requests that wait for one, as there may be: nothing was tried.
    Overflow(String),
}

impl From<ConnectError> for Missed {
    fn from(error: ConnectError) -> Missed {
        let failure = Failure::not_connected(&error, error.is_tls());
        if error.is_local() { Missed::Local(failure) } else { Missed::Endpoint(failure) }
    }
}

impl From<Overflow> for Missed {
    fn from(overflow: Overflow) -> Missed {
        Missed::Overflow(overflow.to_string())
    }
}

impl Missed {
    /// What it means that no more of the request's body comes.
    pub(crate) fn of_caller(error: &BodyError) -> Missed {
        match error {
            BodyError::H1(ReadError::Malformed(why)) => Missed::Malformed(*why),
            _ => Missed::CallerGone,
        }
    }
}

/// What failed on the endpoint's side.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the retry policy has to know.
    pub(crate) failed: Failed,
    /// For metrics and log.
    pub(crate) flags: ResponseFlags,
    /// For people.
    pub(crate) detail: String,
    /// Whether the connection had served before: then the peer may just have closed it.
    pub(crate) was_reused: bool,
    /// Whether TLS was what failed.
    pub(crate) is_tls: bool,
}

impl Failure {
    fn not_connected(detail: impl ToString, is_tls: bool) -> Failure {
        let (failed, flags, detail) = (Failed::NotConnected, ResponseFlags::UF, detail.to_string());
        Failure { failed, flags, detail, was_reused: false, is_tls }
    }

    fn undelivered(failed: Failed, flags: ResponseFlags, detail: impl ToString) -> Missed {
        let detail = detail.to_string();
        Missed::Endpoint(Failure { failed, flags, detail, was_reused: false, is_tls: false })
    }
}

/// Makes the attempt. The head of the answer is in `response` then. `is_fresh`: not over a connection that has idled.
pub(crate) async fn attempt(
    worker: &Rc<Worker>,
    route: &Route,
    is_fresh: bool,
    call: &mut Call<'_>,
    replay: &mut Replay,
    response: &mut ResponseHead,
) -> Result<Answer, Missed> {
    let adapted = route.adapted(call.head);
    let route = adapted.as_ref().unwrap_or(route);
    match route.inner {
        Inner::Http2 => over_http2(worker, route, call, replay, response).await,
        Inner::Http1 | Inner::Tcp => {
            over_http1(worker, route, is_fresh, call, replay, response).await
        }
    }
}

async fn over_http1(
    worker: &Rc<Worker>,
    route: &Route,
    is_fresh: bool,
    call: &mut Call<'_>,
    replay: &mut Replay,
    response: &mut ResponseHead,
) -> Result<Answer, Missed> {
    let key = route.key().filter(|_| !is_fresh);
    let is_careful = !is_idempotent(call.head.method());
    let pooled = key.and_then(|key| worker.pool.take(key, Instant::now(), is_careful));
    let mut connection = match pooled {
        Some(connection) => connection,
        None => open(worker, route, call, replay).await?,
    };
    let before = connection.writer.total();
    let framing = encode::request(connection.writer.out(), call.head);
    connection.writer.begin(framing);
    match answer_http1(&mut connection, call, replay, response).await {
        Ok(()) => {
            connection.heed(response);
            Ok(Answer::H1(connection))
        }
        Err(Http1Failure::Caller(missed)) => Err(missed),
        Err(Http1Failure::Endpoint(detail)) => {
            let failed = match connection.writer.total() == before {
                true => Failed::NotDelivered,
                false => Failed::Broken,
            };
            let was_reused = connection.is_used;
            Err(Missed::Endpoint(Failure {
                failed,
                flags: ResponseFlags::UC,
                detail,
                was_reused,
                is_tls: false,
            }))
        }
    }
}

/// A new connection; where there may be no more, one that becomes free.
async fn open(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    replay: &mut Replay,
) -> Result<Box<Connection>, Missed> {
    let lease = match admit::enter(worker, route) {
        Entry::Open(lease) => lease,
        Entry::Full(full) => {
            // A retry leaves connections that idle alone as long as there may be others.
            let idle = route.key().and_then(|key| worker.pool.take(key, Instant::now(), true));
            if let Some(connection) = idle {
                return Ok(connection);
            }
            let waited = unless_gone(call, Box::pin(full.wait()).as_mut()).await;
            match waited.ok_or(Missed::CallerGone)?? {
                Waited::Connection(connection) => return Ok(connection),
                Waited::Lease(lease) => Some(lease),
            }
        }
    };
    let connected = receiving(call, replay, connect(worker, route)).await;
    let connected = connected?;
    let origination = route.origination();
    let mut connection =
        Box::new(Connection::new(connected.io, Instant::now(), origination, lease));
    connection.writer.out().extend_from_slice(connected.preface);
    Ok(connection)
}

enum Http1Failure {
    Endpoint(String),
    Caller(Missed),
}

impl From<ReadError> for Http1Failure {
    fn from(error: ReadError) -> Self {
        Http1Failure::Endpoint(error.to_string())
    }
}

impl From<std::io::Error> for Http1Failure {
    fn from(error: std::io::Error) -> Self {
        Http1Failure::Endpoint(format!("writing: {error}"))
    }
}

/// Sends the request and reads until the final response's head.
async fn answer_http1(
    connection: &mut Connection,
    call: &mut Call<'_>,
    replay: &mut Replay,
    response: &mut ResponseHead,
) -> Result<(), Http1Failure> {
    let to_head = call.head.method() == b"HEAD";
    let (kept, mut resent) = (replay.kept().unwrap_or_default().to_vec(), 0);
    let mut is_sending = call.head.body != BodyLength::Empty;
    if !is_sending {
        connection.writer.flush().await?;
    }
    loop {
        let has_head = if is_sending {
            let mut sink = Sink::H1(&mut connection.writer);
            tokio::select! {
                biased;
                sent = send(&kept, &mut resent, &mut call.body, &mut sink, replay) => {
                    match sent {
                        Err(Broken::Source(error)) => {
                            return Err(Http1Failure::Caller(Missed::of_caller(&error)));
                        }
                        // The endpoint may have answered before it stopped reading.
                        Ok(()) | Err(Broken::Sink) => is_sending = false,
                    }
                    continue;
                }
                head = connection.reader.response(to_head, response) => head?,
            }
        } else {
            let reading = pin!(connection.reader.response(to_head, response));
            unless_gone(call, reading).await.ok_or(Http1Failure::Caller(Missed::CallerGone))??
        };
        if !has_head {
            return Err(Http1Failure::Endpoint("the endpoint closed the connection".into()));
        }
        if response.status == 101 && !(response.upgrade && call.head.upgrade) {
            return Err(Http1Failure::Endpoint(
                "the endpoint left HTTP without being asked".into(),
            ));
        }
        if response.status >= 200 || response.status == 101 {
            return Ok(());
        }
        crate::http::forward::response(response);
        let told = call.reply.interim(response).await;
        told.map_err(|_| Http1Failure::Caller(Missed::CallerGone))?;
    }
}

/// Sends the body: first what an earlier attempt has sent already, of which `resent` bytes are, then the rest of it.
async fn send(
    kept: &[u8],
    resent: &mut usize,
    body: &mut Source<'_>,
    sink: &mut Sink<'_>,
    replay: &mut Replay,
) -> Result<(), Broken> {
    while *resent < kept.len() {
        *resent += sink.write(&kept[*resent..]).await.map_err(|_| Broken::Sink)?;
    }
    pump(body, sink, replay).await
}

/// Waits for the endpoint while the caller is there; `None` when the caller went away first.
pub(crate) async fn unless_gone<T>(
    call: &mut Call<'_>,
    mut waiting: std::pin::Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if let std::task::Poll::Ready(done) = waiting.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(done));
        }
        call.poll_gone(cx).map(|()| None)
    })
    .await
}

/// Waits for a connection, while what comes of the request is taken in where its end has to be known.
async fn receiving<T>(
    call: &mut Call<'_>,
    replay: &mut Replay,
    waiting: impl Future<Output = T>,
) -> T {
    let mut waiting = pin!(waiting);
    poll_fn(|cx| {
        if let std::task::Poll::Ready(done) = waiting.as_mut().poll(cx) {
            return std::task::Poll::Ready(done);
        }
        replay.look(&mut call.body, cx);
        std::task::Poll::Pending
    })
    .await
}

/// How many connections that have just been closed by the peer are passed over.
const STALE: usize = 3;

async fn over_http2(
    worker: &Rc<Worker>,
    route: &Route,
    call: &mut Call<'_>,
    replay: &mut Replay,
    response: &mut ResponseHead,
) -> Result<Answer, Missed> {
    let Some(mut request) = convert::request(call.head) else {
        return Err(Missed::Malformed(Malformed::Syntax("the request cannot be said in HTTP/2")));
    };
    let (shared, mut send) = match admit::is_limited(route) {
        false => receiving(call, replay, ready(worker, route)).await?,
        // It may have to wait for room.
        true => {
            let waiting = Box::pin(ready(worker, route));
            unless_gone(call, pin!(waiting)).await.ok_or(Missed::CallerGone)??
        }
    };
    if shared.is_https() {
        use_https(&mut request);
    }
    if expects_continue(call.head) {
        // HTTP/2 has no way to ask the endpoint first here, so the caller is told to go on.
        response.clear();
        response.status = 100;
        call.reply.interim(response).await.map_err(|_| Missed::CallerGone)?;
        call.head.fields.remove(Known::Expect);
    }
    let stream = shared.stream();
    let was_reused = shared.is_used();
    let is_all = call.head.body == BodyLength::Empty;
    let (answer, sending) = send
        .send_request(request, is_all)
        .map_err(|error| Failure::undelivered(Failed::NotDelivered, ResponseFlags::UR, error))?;
    let mut sender = if is_all { Sender::ended() } else { Sender::new(sending) };
    match answer_http2(answer, &mut sender, call, replay).await {
        Ok(answered) => {
            let has_end = answered.body().is_end_stream();
            if !convert::read_response(&answered, has_end, response) {
                let detail =
                    "the answer says several lengths, or has a field without a name".into();
                let (failed, flags) = (Failed::Broken, ResponseFlags::UPE);
                let failure = Failure { failed, flags, detail, was_reused, is_tls: false };
                return Err(Missed::Endpoint(failure));
            }
            let receiver = Receiver::new(answered.into_body());
            Ok(Answer::H2 { sender, receiver, _stream: stream })
        }
        Err(Http2Failure::Caller(missed)) => Err(missed),
        Err(Http2Failure::Endpoint(error)) => {
            let failed = match error.is_not_delivered() {
                true => Failed::RefusedStream,
                false => Failed::Broken,
            };
            let (flags, detail) = (ResponseFlags::UR, error.to_string());
            Err(Missed::Endpoint(Failure { failed, flags, detail, was_reused, is_tls: false }))
        }
    }
}

/// Servers of `https` may refuse requests that name another scheme.
fn use_https(request: &mut http::Request<()>) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    // Only the scheme has changed, so it is well formed as before.
    *request.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
}

/// A connection that takes a request now. One that the peer is closing is passed over.
async fn ready(
    worker: &Rc<Worker>,
    route: &Route,
) -> Result<(Shared, h2::client::SendRequest<bytes::Bytes>), Missed> {
    let mut last = String::new();
    for _ in 0..STALE {
        let shared = share(worker, route).await.map_err(|error| match error {
            OpenError::Overflow(overflow) => overflow.into(),
            OpenError::Connect(error) => error.into(),
            error => Missed::Endpoint(Failure::not_connected(error, false)),
        })?;
        match shared.send.clone().ready().await {
            Ok(send) => return Ok((shared, send)),
            Err(error) => {
                shared.retire();
                last = error.to_string();
            }
        }
    }
    Err(Missed::Endpoint(Failure::not_connected(last, false)))
}

enum Http2Failure {
    Endpoint(H2Error),
    Caller(Missed),
}

impl From<H2Error> for Http2Failure {
    fn from(error: H2Error) -> Self {
        Http2Failure::Endpoint(error)
    }
}

/// Sends the request's body and waits for the response's head.
async fn answer_http2(
    mut answer: ResponseFuture,
    sender: &mut Sender,
    call: &mut Call<'_>,
    replay: &mut Replay,
) -> Result<http::Response<h2::RecvStream>, Http2Failure> {
    let (kept, mut resent) = (replay.kept().unwrap_or_default().to_vec(), 0);
    if !sender.is_over() {
        let mut sink = Sink::H2(sender);
        tokio::select! {
            biased;
            sent = send(&kept, &mut resent, &mut call.body, &mut sink, replay) => {
                // The endpoint may have answered before it stopped reading.
                if let Err(Broken::Source(error)) = sent {
                    return Err(Http2Failure::Caller(Missed::of_caller(&error)));
                }
            }
            answered = &mut answer => return Ok(answered.map_err(H2Error)?),
        }
    }
    let answered = unless_gone(call, pin!(answer)).await;
    Ok(answered.ok_or(Http2Failure::Caller(Missed::CallerGone))?.map_err(H2Error)?)
}
