//! What HTTP/2 writes on a connection leaves once a turn of the worker, not once a frame: streams that are ready in the
//! same turn share a system call and a TLS record.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Io, lend, take_back};

/// So much may wait; who writes more writes to the socket.
const FULL: usize = 64 * 1024;

/// A transport that collects what is written. Flushing it answers at once: who drives the connection calls
/// [`Cork::poll_turn`] after each poll of it, and what was collected leaves there.
#[derive(Debug, Clone)]
pub(crate) struct Cork(Rc<Corked>);

#[derive(Debug)]
struct Corked {
    io: Io,
    /// Collected; empty without memory while nothing waits.
    out: RefCell<Vec<u8>>,
    /// So many of it are written.
    written: Cell<usize>,
    /// Whether the driver has let the other tasks of this turn go first.
    has_yielded: Cell<bool>,
}

impl Cork {
    pub(crate) fn new(io: Io) -> Cork {
        let (out, written, has_yielded) = Default::default();
        Cork(Rc::new(Corked { io, out, written, has_yielded }))
    }

    /// Sends what was collected, once the tasks that are ready now have had their turn. The task of `cx` is woken for that,
    /// and when the socket takes more.
    pub(crate) fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.out.borrow().is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !self.0.has_yielded.replace(true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_drain(cx)
    }

    /// Sends what was collected.
    fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.0.out.borrow_mut();
        if out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.0.written.get() < out.len() {
            let count = ready!(self.0.io.poll_write(cx, &out[self.0.written.get()..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.0.written.set(self.0.written.get() + count);
        }
        ready!(self.0.io.poll_flush(cx))?;
        take_back(std::mem::take(&mut *out));
        self.0.written.set(0);
        self.0.has_yielded.set(false);
        Poll::Ready(Ok(()))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.out.borrow().len() >= FULL {
            return self.poll_drain(cx);
        }
        let mut out = self.0.out.borrow_mut();
        if out.capacity() == 0 {
            *out = lend();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Cork {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut io = self.0.io.clone();
        Pin::new(&mut io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cork {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        self.0.out.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        let mut out = self.0.out.borrow_mut();
        slices.iter().for_each(|slice| out.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let mut io = self.0.io.clone();
        Pin::new(&mut io).poll_shutdown(cx)
    }
}

impl Drop for Corked {
    fn drop(&mut self) {
        take_back(self.out.take());
    }
}
