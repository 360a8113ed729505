//! Read and write buffers, lent by the worker while there is something in them, so that an idle connection holds none.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use super::Io;

/// The usual size: a request of a few kilobytes fits with its head.
const USUAL: usize = 16 * 1024;
/// The size for connections that stream.
const LARGE: usize = 64 * 1024;
/// How many buffers a worker keeps for the next who needs one.
const KEPT: usize = 64;

thread_local! {
    /// Empty buffers to write into.
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// Buffers to read into; their whole length is set, so that lending one clears nothing.
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer to write into, of at least the usual size.
pub(crate) fn lend() -> Vec<u8> {
    WRITE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(USUAL))
}

/// Takes a buffer of [`lend`] back; its content is forgotten.
pub(crate) fn take_back(mut buffer: Vec<u8>) {
    buffer.clear();
    WRITE.with_borrow_mut(|free| keep(free, buffer));
}

fn keep(free: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if free.len() < KEPT && (USUAL..=LARGE).contains(&buffer.capacity()) {
        free.push(buffer);
    }
}

fn lend_read() -> Vec<u8> {
    READ.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; USUAL])
}

/// What was read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last read filled all the room that there was.
    was_full: bool,
}

impl Buffer {
    /// The bytes that wait.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// So many bytes are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back if nothing waits.
    pub(crate) fn rest(&mut self) {
        if self.start == self.end && self.bytes.capacity() > 0 {
            (self.start, self.end, self.was_full) = (0, 0, false);
            let bytes = std::mem::take(&mut self.bytes);
            READ.with_borrow_mut(|free| keep(free, bytes));
        }
    }

    /// Reads once more behind what waits; 0 at the end of the stream. Grows when the room is used up: the caller bounds
    /// how much it lets wait.
    pub(crate) fn poll_fill(&mut self, io: &Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let end = self.end;
        let read = io.poll_read(cx, &mut self.bytes[end..]);
        if read.is_pending() {
            self.rest();
        }
        let count = ready!(read)?;
        self.was_full = self.end + count == self.bytes.len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    fn make_room(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = lend_read();
            return;
        }
        if self.start > 0 && (self.end == self.bytes.len() || self.start >= self.bytes.len() / 2) {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() || (self.was_full && self.bytes.len() < LARGE) {
            let size = (self.bytes.len() * 2).max(LARGE);
            self.bytes.resize(size, 0);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        (self.start, self.end) = (0, 0);
        self.rest();
    }
}
