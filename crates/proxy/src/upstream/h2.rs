//! HTTP/2 connections to an endpoint, shared by many requests.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;

use super::admit::{self, Entry, Lease, Overflow, Queue};
use super::connect::{ConnectError, connect};
use super::route::Route;
use crate::config::Tls;
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
    life: Rc<Life>,
}

/// How long a connection serves.
#[derive(Debug)]
struct Life {
    streams: usize,
    requests: u64,
    /// When it has lived long enough.
    until: Option<Instant>,
    /// How long it may be without requests.
    idle: Option<Duration>,
    /// Since when it was seen without requests, and how many it had served then.
    rested: Cell<Option<(Instant, u64)>>,
    /// Who waits for room on it.
    queue: Option<Rc<Queue>>,
    /// Whether the peer is a server of `https`.
    is_https: bool,
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
        let most = self.life.streams.min(self.send.current_max_send_streams());
        let is_over = self.life.until.is_some_and(|until| Instant::now() >= until);
        self.streams.get() < most && !is_over
    }

    /// Counts a stream while the guard lives.
    pub(crate) fn stream(&self) -> Stream {
        self.streams.set(self.streams.get() + 1);
        self.served.set(self.served.get() + 1);
        if self.served.get() >= self.life.requests {
            self.retire();
        }
        Stream { streams: self.streams.clone(), queue: self.life.queue.clone() }
    }

    /// Whether it has served as long as it may, or was without requests for too long. To be asked from time to time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        if self.life.until.is_some_and(|until| now >= until) {
            return true;
        }
        let Some(limit) = self.life.idle else { return false };
        if self.streams.get() > 0 {
            self.life.rested.set(None);
            return false;
        }
        let served = self.served.get();
        let since = match self.life.rested.get() {
            Some((since, before)) if before == served => since,
            _ => now,
        };
        self.life.rested.set(Some((since, served)));
        now.saturating_duration_since(since) >= limit
    }

    /// Whether both are handles to one connection.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Shared) -> bool {
        Rc::ptr_eq(&self.alive, &other.alive)
    }

    /// Whether the peer is a server of `https`.
    pub(crate) fn is_https(&self) -> bool {
        self.life.is_https
    }

    /// It must not be used for further requests.
    pub(crate) fn retire(&self) {
        self.alive.set(false);
    }
}

/// A stream that is counted.
pub(crate) struct Stream {
    streams: Rc<Cell<usize>>,
    queue: Option<Rc<Queue>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        if let Some(queue) = &self.queue {
            queue.room.notify_one();
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// No transport.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There may be no more connections.
    #[error(transparent)]
    Overflow(#[from] Overflow),
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
    let Some(key) = route.key() else { return open(worker, route, None).await };
    let mut pending = None;
    loop {
        if let Some(shared) = worker.pool.share(key) {
            return Ok(shared);
        }
        let opening = worker.pool.opening(key, route);
        let failures = opening.failures.get();
        let guard = opening.lock.lock().await;
        if let Some(shared) = worker.pool.share(key) {
            return Ok(shared);
        }
        if opening.failures.get() != failures {
            return Err(OpenError::Together);
        }
        let full = match admit::enter(worker, route) {
            Entry::Full(full) => full,
            Entry::Open(lease) => {
                let opened = open(worker, route, lease).await;
                match &opened {
                    Ok(shared) => worker.pool.keep(key, route, shared),
                    // Who waited may have a descriptor now.
                    Err(OpenError::Connect(error)) if error.is_local() => {}
                    Err(_) => opening.failures.set(opening.failures.get() + 1),
                }
                return opened;
            }
        };
        drop(guard);
        if pending.is_none() {
            pending = Some(full.pend()?);
        }
        full.changed().await;
    }
}

impl Life {
    fn of(worker: &Worker, route: &Route, has_lease: bool) -> Life {
        let key = route.key().filter(|_| has_lease);
        let mut life = Life {
            streams: MAX_STREAMS,
            requests: u64::MAX,
            until: None,
            idle: None,
            rested: Cell::default(),
            queue: key.map(|key| worker.pool.queue(key, route)),
            is_https: false,
        };
        if let Some(origination) = route.origination() {
            let limits = &origination.limits;
            life.streams = MAX_STREAMS.min(limits.streams);
            life.requests = limits.requests;
            life.until = limits.duration.map(|duration| Instant::now() + duration);
            life.idle = limits.idle;
            life.is_https = matches!(origination.tls, Tls::Outside(_));
        }
        life
    }
}

async fn open(
    worker: &Rc<Worker>,
    route: &Route,
    lease: Option<Lease>,
) -> Result<Shared, OpenError> {
    let connected = connect(worker, route).await?;
    let life = Rc::new(Life::of(worker, route, lease.is_some()));
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
        drop(lease);
    });
    Ok(Shared { send, streams: Rc::default(), alive, served: Rc::default(), life })
}
