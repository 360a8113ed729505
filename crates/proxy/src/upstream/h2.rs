//! HTTP/2 connections to an endpoint, shared by many requests.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;

use super::connect::{ConnectError, connect};
use super::route::Route;
use crate::http::h1::Writer;
use crate::io::{Cork, Io};
use crate::worker::Worker;

/// What a peer may send of one stream before we have passed it on, bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of a whole connection.
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Streams on one connection before another is opened.
const MAX_STREAMS: usize = 100;
/// The longest list of fields that is read, bytes.
const MAX_FIELDS: u32 = 60 * 1024;

/// A handle to a connection; clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) send: SendRequest<Bytes>,
    streams: Rc<Cell<usize>>,
    alive: Rc<Cell<bool>>,
    /// Requests so far.
    served: Rc<Cell<u64>>,
}

impl Shared {
    /// Whether it has carried a request before.
    pub(crate) fn is_used(&self) -> bool {
        self.served.get() > 1
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.get()
    }

    /// Whether it takes another stream without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.streams.get() < MAX_STREAMS.min(self.send.current_max_send_streams())
    }

    /// Counts a stream while the guard lives.
    pub(crate) fn stream(&self) -> Stream {
        self.streams.set(self.streams.get() + 1);
        self.served.set(self.served.get() + 1);
        Stream(self.streams.clone())
    }

    /// It must not be used for further requests.
    pub(crate) fn retire(&self) {
        self.alive.set(false);
    }
}

/// A stream that is counted.
pub(crate) struct Stream(Rc<Cell<usize>>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// No transport.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer does not speak HTTP/2.
    #[error("HTTP/2: {0}")]
    Http2(#[from] h2::Error),
    /// Another request's attempt to open it failed while this one waited.
    #[error("the connection could not be opened")]
    Together,
    /// The first bytes could not be sent.
    #[error("writing: {0}")]
    Write(#[from] std::io::Error),
}

/// A connection of the route's pool with room, or a new one.
pub(crate) async fn share(worker: &Rc<Worker>, route: &Route) -> Result<Shared, OpenError> {
    let Some(key) = route.key() else { return open(worker, route).await };
    if let Some(shared) = worker.pool.share(key) {
        return Ok(shared);
    }
    let opening = worker.pool.opening(key, route.endpoint());
    let failures = opening.failures.get();
    let _guard = opening.lock.lock().await;
    if let Some(shared) = worker.pool.share(key) {
        return Ok(shared);
    }
    if opening.failures.get() != failures {
        return Err(OpenError::Together);
    }
    let opened = open(worker, route).await;
    match &opened {
        Ok(shared) => worker.pool.keep(key, route.endpoint(), shared),
        Err(_) => opening.failures.set(opening.failures.get() + 1),
    }
    opened
}

async fn open(worker: &Rc<Worker>, route: &Route) -> Result<Shared, OpenError> {
    let connected = connect(worker, route).await?;
    let io: Io = connected.io;
    if !connected.preface.is_empty() {
        let mut writer = Writer::new(io.clone());
        writer.out().extend_from_slice(connected.preface);
        writer.flush().await?;
    }
    let cork = Cork::new(io);
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_FIELDS)
        .enable_push(false)
        .handshake(cork.clone())
        .await?;
    let alive = Rc::new(Cell::new(true));
    let flag = alive.clone();
    tokio::task::spawn_local(async move {
        let ended: Result<(), OpenError> = poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            // What it wrote last, the reason of its end say, goes out as far as the peer takes it.
            let sent = cork.poll_turn(cx);
            match (ended, sent) {
                (Poll::Ready(ended), _) => Poll::Ready(ended.map_err(OpenError::from)),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
                (Poll::Pending, _) => Poll::Pending,
            }
        })
        .await;
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP/2 connection to an endpoint ended");
        }
        flag.set(false);
    });
    Ok(Shared { send, streams: Rc::default(), alive, served: Rc::default() })
}
