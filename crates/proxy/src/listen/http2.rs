//! The serving end of an HTTP/2 connection: a task for each stream.

mod frames;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

pub(crate) use self::frames::Frames;
use crate::exchange::{Call, Reply};
use crate::http::body::Source;
use crate::http::h1::Reader;
use crate::http::h2::{Receiver, Sender, convert};
use crate::http::head::RequestHead;
use crate::io::{Cork, Io};
use crate::listen::Role;
use crate::listen::clock::Clock;
use crate::listen::http1::{HEAD, LINGER};
use crate::worker::Worker;

/// What a caller may send of one stream before we have passed it on, bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of a whole connection.
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Requests that a caller may have open on one connection.
const MAX_STREAMS: u32 = 1000;
/// The longest list of fields that is read, bytes (as for HTTP/1.1).
const MAX_FIELDS: u32 = 60 * 1024;

/// Serves requests until the connection ends. `reader` may hold the first bytes already.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, reader: Reader, role: &Rc<Role>) {
    let cork = Cork::new(io);
    let owing = Rc::new(Owing::new());
    let io = Begun {
        first: reader.filled().to_vec(),
        at: 0,
        io: cork.clone(),
        frames: Frames::new(),
        owing: owing.clone(),
    };
    drop(reader);
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_FIELDS)
        .handshake(io);
    let Ok(Ok(mut connection)) = timeout(HEAD, handshake).await else { return };
    let mut clock = Clock::new();
    let mut drained = pin!(worker.drained());
    let mut is_leaving = false;
    if role.is_inbound() && worker.is_draining() {
        connection.graceful_shutdown();
        is_leaving = true;
    }
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut connection, &cork, Some((&*owing, &mut clock))) => accepted,
            () = drained.as_mut(), if role.is_inbound() && !is_leaving => {
                connection.graceful_shutdown();
                is_leaving = true;
                continue;
            }
        };
        match accepted {
            Err(Late) => {
                tracing::debug!(limit = ?HEAD, "a caller's head or frame was not whole in time");
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let ending = async {
                    while let Ok(Some(Ok(_))) = accept(&mut connection, &cork, None).await {}
                };
                let _ = timeout(LINGER, ending).await;
                return;
            }
            Ok(Some(Ok((request, respond)))) => {
                let (worker, role) = (worker.clone(), role.clone());
                // Boxed, as the runtime moves what it is given several times, and this is many kilobytes.
                let served = Box::pin(async move { one(&worker, &role, request, respond).await });
                tokio::task::spawn_local(served);
            }
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "an HTTP/2 connection of a caller ended");
                return;
            }
            Ok(None) => return,
        }
    }
}

type Connection = h2::server::Connection<Begun, Bytes>;
type Accepted = Result<(Request<RecvStream>, SendResponse<Bytes>), h2::Error>;

/// What the caller owes of that which it has begun.
struct Owing {
    /// Since when.
    since: Cell<Option<Instant>>,
    /// Whether all that has come was read: else it is not the caller that lets us wait.
    is_waited_for: Cell<bool>,
}

impl Owing {
    fn new() -> Owing {
        Owing { since: Cell::new(Some(Instant::now())), is_waited_for: Cell::new(true) }
    }

    /// When what has begun has to be whole.
    fn deadline(&self) -> Option<Instant> {
        self.since.get().filter(|_| self.is_waited_for.get()).map(|since| since + HEAD)
    }
}

/// What the caller has begun is not whole in time.
struct Late;

/// The next request; meanwhile the connection does its work, and what it writes leaves turn by turn.
async fn accept(
    connection: &mut Connection,
    cork: &Cork,
    mut limit: Option<(&Owing, &mut Clock)>,
) -> Result<Option<Accepted>, Late> {
    poll_fn(|cx| {
        if let Poll::Ready(accepted) = connection.poll_accept(cx) {
            return Poll::Ready(Ok(accepted));
        }
        if let Poll::Ready(Err(error)) = cork.poll_turn(cx) {
            tracing::debug!(%error, "a caller's connection takes no more");
            return Poll::Ready(Ok(None));
        }
        if let Some((owing, clock)) = &mut limit
            && let Some(deadline) = owing.deadline()
            && clock.poll(cx, deadline).is_ready()
        {
            return Poll::Ready(Err(Late));
        }
        Poll::Pending
    })
    .await
}

async fn one(
    worker: &Rc<Worker>,
    role: &Role,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let mut head = RequestHead::default();
    if !convert::read_request(&parts, body.is_end_stream(), &mut head) {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return;
    }
    let mut receiver = Receiver::new(body);
    let mut call = Call {
        head: &mut head,
        body: Source::H2(&mut receiver),
        reply: Reply::H2 { respond, sender: Sender::ended() },
        cors: None,
    };
    role.serve(worker, &mut call).await;
}

/// A transport of which some bytes were read already, and whose frames are followed.
struct Begun {
    first: Vec<u8>,
    at: usize,
    io: Cork,
    frames: Frames,
    owing: Rc<Owing>,
}

impl Begun {
    /// Looks at bytes that are being read.
    fn follow(&mut self, bytes: &[u8]) {
        let was_whole = self.frames.take(bytes);
        let since = &self.owing.since;
        match (self.frames.is_owing(), since.get()) {
            (false, _) => since.set(None),
            (true, Some(_)) if !was_whole => {}
            (true, _) => since.set(Some(Instant::now())),
        }
    }
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at < self.first.len() {
            let count = (self.first.len() - self.at).min(buffer.remaining());
            let before = buffer.filled().len();
            buffer.put_slice(&self.first[self.at..self.at + count]);
            self.follow(&buffer.filled()[before..]);
            self.at += count;
            if self.at == self.first.len() {
                (self.first, self.at) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.follow(&buffer.filled()[before..]);
        self.owing.is_waited_for.set(read.is_pending());
        read
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
