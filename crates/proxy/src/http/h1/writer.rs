//! The writing half of an HTTP/1.1 connection: what is written together goes out together.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::task::{Context, Poll, ready};

use crate::http::h1::encode;
use crate::http::head::Fields;
use crate::io::{Io, lend, take_back};

/// How much may wait before it is sent.
const BUFFERED: usize = 32 * 1024;
/// From this size on a piece is sent from where it lies, without a copy.
const DIRECT: usize = 16 * 1024;

/// How the end of a body is told to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, or it is over.
    Ended,
    /// So many bytes are to come.
    Exact(u64),
    /// In chunks.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// Writes messages, one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    io: Io,
    out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    framing: Framing,
    /// Bytes that the transport took over the whole life of the connection.
    total: u64,
    needs_flush: bool,
}

impl Writer {
    pub(crate) fn new(io: Io) -> Writer {
        Writer {
            io,
            out: Vec::new(),
            sent: 0,
            framing: Framing::Ended,
            total: 0,
            needs_flush: false,
        }
    }

    /// Where the next bytes are to be written; they go out with the next flush.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = lend();
        }
        &mut self.out
    }

    /// A head was written: how its body will end.
    pub(crate) fn begin(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// Whether nothing of the body is missing.
    pub(crate) fn is_over(&self) -> bool {
        self.framing == Framing::Ended
    }

    /// Whether the message is over and nothing of it waits.
    pub(crate) fn is_done(&self) -> bool {
        self.is_over() && self.out.is_empty() && !self.needs_flush
    }

    /// Bytes sent so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes bytes of the body, as many as fit; waits before it takes any.
    pub(crate) async fn body(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() - self.sent >= BUFFERED {
            self.flush().await?;
        }
        let taken = match self.framing {
            Framing::Ended => return Err(too_long()),
            Framing::Exact(left) if bytes.len() as u64 > left => return Err(too_long()),
            Framing::Chunked => {
                let taken = bytes.len().min(BUFFERED);
                encode::chunk(self.out(), &bytes[..taken]);
                taken
            }
            _ if bytes.len() >= DIRECT && self.out.is_empty() => {
                let written = poll_fn(|cx| self.io.poll_write(cx, bytes)).await?;
                self.needs_flush = true;
                self.total += written as u64;
                written
            }
            _ => {
                let taken = bytes.len().min(BUFFERED);
                self.out().extend_from_slice(&bytes[..taken]);
                taken
            }
        };
        if let Framing::Exact(left) = &mut self.framing {
            *left -= taken as u64;
        }
        Ok(taken)
    }

    /// Writes the end of the body. A body that is shorter than was said cannot be ended: the connection has to be closed,
    /// which [`Writer::is_over`] tells.
    pub(crate) fn end(&mut self, trailers: &Fields) {
        match self.framing {
            Framing::Chunked => {
                encode::last_chunk(self.out(), trailers);
                self.framing = Framing::Ended;
            }
            Framing::Exact(0) => self.framing = Framing::Ended,
            _ => {}
        }
    }

    /// Sends all that waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends all that waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let written = ready!(self.io.poll_write(cx, &self.out[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.sent += written;
            self.total += written as u64;
            self.needs_flush = true;
        }
        if self.out.capacity() > 0 {
            self.sent = 0;
            take_back(std::mem::take(&mut self.out));
        }
        if self.needs_flush {
            ready!(self.io.poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a last message as far as the peer takes it, and ends our direction.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.io.shutdown().await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.out.capacity() > 0 {
            take_back(std::mem::take(&mut self.out));
        }
    }
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the body is longer than its content-length")
}

/// Writes a number in decimal.
pub(crate) fn decimal(out: &mut Vec<u8>, number: u64) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
}
