//! A watcher's end: a cursor over the shared history, so that a slow watcher costs no memory but its place.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::error::{Result, StoreError};
use crate::key::Selector;
use crate::store::Event;
use crate::table::Table;

/// Changes looked at in one go, so that a watcher far behind does not hold the table's lock for long.
const BATCH: usize = 512;

/// A stream of events without end. It ends after an error, or when the store is closed.
pub struct Watch {
    events: Pin<Box<dyn Stream<Item = Result<Event>> + Send>>,
    progress: Arc<AtomicU64>,
}

impl Watch {
    /// A watch over a backend's own stream. `progress` is the version up to which the stream has yielded
    /// everything that matches; the stream raises it as it goes.
    pub fn new(
        events: impl Stream<Item = Result<Event>> + Send + 'static,
        progress: Arc<AtomicU64>,
    ) -> Self {
        Self { events: Box::pin(events), progress }
    }

    pub(crate) fn of_table(
        table: Arc<RwLock<Table>>,
        head: watch::Receiver<u64>,
        selector: Selector,
        from: u64,
    ) -> Self {
        let progress = Arc::new(AtomicU64::new(from));
        let cursor = Cursor {
            table,
            head,
            selector,
            seen: from,
            ready: VecDeque::new(),
            progress: Arc::clone(&progress),
            ended: false,
        };
        Self::new(stream::unfold(cursor, Cursor::step), progress)
    }

    /// The next event.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when this watcher fell too far behind, [`StoreError::Closed`] when the store
    /// is gone. The watch is over after that.
    pub async fn next(&mut self) -> Result<Event> {
        self.events.next().await.unwrap_or(Err(StoreError::Closed))
    }

    /// The version up to which this watch has told everything: where a watcher may resume, even when nothing
    /// that it watches changed for long.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Acquire)
    }
}

impl Stream for Watch {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

/// A watcher's place in the history.
struct Cursor {
    table: Arc<RwLock<Table>>,
    head: watch::Receiver<u64>,
    selector: Selector,
    /// The version up to which the history was looked at.
    seen: u64,
    ready: VecDeque<Event>,
    progress: Arc<AtomicU64>,
    ended: bool,
}

impl Cursor {
    async fn step(mut self) -> Option<(Result<Event>, Self)> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                let told = if self.ready.is_empty() { self.seen } else { event.version() };
                self.progress.store(told, Ordering::Release);
                return Some((Ok(event), self));
            }
            // Seen before the table is read: a change in between wakes this watcher once more.
            self.head.borrow_and_update();
            let next = self.table.read().since(self.seen, &self.selector, BATCH);
            let (events, seen) = match next {
                Ok(next) => next,
                Err(error) => {
                    self.ended = true;
                    return Some((Err(error), self));
                }
            };
            let moved = seen > self.seen;
            self.ready = events;
            self.seen = seen;
            if self.ready.is_empty() {
                self.progress.store(seen, Ordering::Release);
                if !moved && self.head.changed().await.is_err() {
                    return None;
                }
            }
        }
    }
}
