//! One HTTP/1.1 connection to an endpoint, and what is known of it while it idles.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::admit::Lease;
use crate::config::Origination;
use crate::http::h1::{Reader, Writer};
use crate::http::head::ResponseHead;
use crate::http::known::Known;
use crate::io::Io;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    io: Io,
    /// Whether it has carried a request before.
    pub(crate) is_used: bool,
    idle_since: Instant,
    /// What the peer said of how long it waits.
    told: Option<Duration>,
    mark: Arc<Mark>,
    waker: Waker,
    /// How often it serves.
    most: u64,
    /// Until when it serves.
    until: Option<Instant>,
    /// Requests so far.
    served: u64,
    _lease: Option<Lease>,
}

/// Notes the moment at which an idle connection became readable: the peer closed it. Woken by the reactor, so that no
/// task has to wait for it.
#[derive(Debug)]
struct Mark {
    born: Instant,
    /// Microseconds since `born`, plus one; 0 for never.
    readable: AtomicU64,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let micros = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.readable.store(micros + 1, Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(
        io: Io,
        now: Instant,
        origination: Option<&Arc<Origination>>,
        lease: Option<Lease>,
    ) -> Connection {
        let mark = Arc::new(Mark { born: now, readable: AtomicU64::new(0) });
        Connection {
            reader: Reader::new(io.clone()),
            writer: Writer::new(io.clone()),
            io,
            is_used: false,
            idle_since: now,
            told: None,
            waker: Waker::from(mark.clone()),
            mark,
            most: origination.map_or(u64::MAX, |it| it.limits.requests),
            until: origination.and_then(|it| it.limits.duration).map(|it| now + it),
            served: 0,
            _lease: lease,
        }
    }

    /// Notes what a response says of the peer's patience (`keep-alive: timeout=5`), less a fifth for the way.
    pub(crate) fn heed(&mut self, head: &ResponseHead) {
        let Some(value) = head.fields.find(Known::KeepAlive) else { return };
        let timeout = value.split(|byte| *byte == b',').find_map(|part| {
            let text = std::str::from_utf8(part).ok()?.trim();
            text.strip_prefix("timeout=")?.parse::<u32>().ok()
        });
        self.told = timeout.map(|seconds| Duration::from_millis(u64::from(seconds) * 800));
    }

    /// How long the peer said that it waits.
    pub(crate) fn told_limit(&self) -> Option<Duration> {
        self.told
    }

    /// Begins to idle. False if the connection is of no more use.
    pub(crate) fn rest(&mut self, now: Instant) -> bool {
        self.served += 1;
        if self.reader.has_bytes() || self.reader.is_ended() || self.is_over(now) {
            return false;
        }
        self.reader.rest();
        self.is_used = true;
        self.idle_since = now;
        self.mark.readable.store(0, Relaxed);
        let mut cx = Context::from_waker(&self.waker);
        // What is readable already may be TLS's own (a session ticket): a look decides.
        self.io.poll_readable(&mut cx).is_pending() || self.is_quiet()
    }

    /// If the peer has closed the connection: how long it was idle then, at most until `now`.
    pub(crate) fn closed_after(&mut self, now: Instant) -> Option<Duration> {
        let readable = self.mark.readable.load(Relaxed);
        if readable == 0 {
            return None;
        }
        if self.is_quiet() {
            self.mark.readable.store(0, Relaxed);
            return None;
        }
        let at = self.mark.born + Duration::from_micros(readable - 1);
        Some(at.min(now).saturating_duration_since(self.idle_since))
    }

    /// Whether it has served as long, or as often, as it may.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.served >= self.most || self.until.is_some_and(|until| now >= until)
    }

    /// Whether the peer has sent nothing at all, by the kernel's word.
    pub(crate) fn is_silent(&self) -> bool {
        self.io.is_silent()
    }

    /// Whether there is nothing to read but what TLS keeps to itself.
    fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(&self.waker);
        let read = self.reader.poll_fill(&mut cx);
        matches!(read, Poll::Pending)
    }

    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }
}
