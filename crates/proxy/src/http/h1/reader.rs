//! The reading half of an HTTP/1.1 connection: heads, and bodies piece by piece.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::chunked::{Chunked, Step};
use super::parse::{self, Delimiter, Limits, Malformed, Parsed};
use crate::http::body::Piece;
use crate::http::head::{Fields, RequestHead, ResponseHead};
use crate::io::{Buffer, Io};

/// Why no more can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer broke HTTP.
    #[error("malformed HTTP/1.1: {0}")]
    Malformed(#[from] Malformed),
    /// The connection ended in the middle of a message.
    #[error("the connection ended in the middle of a message")]
    Cut,
    /// The transport failed.
    #[error("reading: {0}")]
    Io(#[from] io::Error),
}

/// What of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Exact(u64),
    Chunked(Chunked),
    UntilClose,
    Ended,
}

/// Reads messages, one after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    io: Io,
    buffer: Buffer,
    body: Body,
    trailers: Fields,
    /// How much of the waiting bytes was in vain looked at for a head.
    searched: usize,
    ended: bool,
    limits: Limits,
    /// Whether the peer was told already that the first part of the current message has come.
    hurried: bool,
}

impl Reader {
    pub(crate) fn new(io: Io) -> Reader {
        Reader {
            io,
            buffer: Buffer::default(),
            body: Body::Ended,
            trailers: Fields::default(),
            searched: 0,
            ended: false,
            limits: Limits::CALLER,
            hurried: false,
        }
    }

    /// Its messages come from a proxy, which may have added to them.
    pub(crate) fn behind_proxy(mut self) -> Reader {
        self.limits = Limits::PASSED_ON;
        self
    }

    /// Whether bytes wait that no message has claimed.
    pub(crate) fn has_bytes(&self) -> bool {
        !self.buffer.filled().is_empty()
    }

    /// The bytes that wait.
    pub(crate) fn filled(&self) -> &[u8] {
        self.buffer.filled()
    }

    /// Takes bytes that are no message's.
    pub(crate) fn skip(&mut self, count: usize) {
        self.searched = 0;
        self.buffer.consume(count);
    }

    /// Whether the peer has ended its direction.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Parses the head of a request if it is there.
    pub(crate) fn take_request(&mut self, head: &mut RequestHead) -> Result<bool, ReadError> {
        // RFC 9112, section 2.2: empty lines before a request are passed over.
        while let [b'\r' | b'\n', ..] = self.buffer.filled() {
            self.skip(1);
        }
        if self.has_no_end_yet() {
            return Ok(false);
        }
        let parsed = parse::request(self.buffer.filled(), self.limits, head)?;
        Ok(self.take_head(parsed))
    }

    /// Parses the head of a response if it is there.
    fn take_response(&mut self, to_head: bool, head: &mut ResponseHead) -> Result<bool, ReadError> {
        if self.has_no_end_yet() {
            return Ok(false);
        }
        let parsed = parse::response(self.buffer.filled(), to_head, head)?;
        Ok(self.take_head(parsed))
    }

    /// A head that comes byte by byte is not parsed anew with each of them: only when a line ends.
    fn has_no_end_yet(&mut self) -> bool {
        let bytes = self.buffer.filled();
        let searched = std::mem::replace(&mut self.searched, bytes.len()).min(bytes.len());
        bytes.len() < parse::MAX_HEAD && memchr::memchr(b'\n', &bytes[searched..]).is_none()
    }

    fn take_head(&mut self, parsed: Option<Parsed>) -> bool {
        let Some(parsed) = parsed else { return false };
        self.buffer.consume(parsed.size);
        self.searched = 0;
        self.hurried = false;
        self.trailers.clear();
        self.trailers.rest();
        self.body = match parsed.body {
            Delimiter::Length(0) => Body::Ended,
            Delimiter::Length(length) => Body::Exact(length),
            Delimiter::Chunked => Body::Chunked(Chunked::default()),
            Delimiter::Close => Body::UntilClose,
        };
        true
    }

    /// Reads the head of a response. False: the peer ended the connection before the first byte of it.
    pub(crate) async fn response(
        &mut self,
        to_head: bool,
        head: &mut ResponseHead,
    ) -> Result<bool, ReadError> {
        loop {
            if self.take_response(to_head, head)? {
                return Ok(true);
            }
            poll_fn(|cx| self.poll_fill(cx)).await?;
            if self.ended {
                return if self.has_bytes() { Err(ReadError::Cut) } else { Ok(false) };
            }
        }
    }

    /// Reads once, whatever it is; at the end [`Reader::is_ended`] is true.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if ready!(self.buffer.poll_fill(&self.io, cx))? == 0 {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the peer is gone. Reads ahead what a client sends before its answer is there, as far as the usual
    /// buffer goes.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        const AHEAD: usize = 16 * 1024;
        while !self.ended {
            if self.buffer.filled().len() >= AHEAD {
                return Poll::Pending;
            }
            if ready!(self.poll_fill(cx)).is_err() {
                self.ended = true;
            }
        }
        Poll::Ready(())
    }

    /// What waits of the body.
    pub(crate) fn piece(&mut self) -> Result<Piece<'_>, ReadError> {
        let waiting = self.buffer.filled().len();
        match &mut self.body {
            Body::Ended => return Ok(Piece::End(&self.trailers)),
            Body::Exact(left) if waiting > 0 => {
                let length = waiting.min(usize::try_from(*left).unwrap_or(usize::MAX));
                return Ok(Piece::Data(&self.buffer.filled()[..length]));
            }
            Body::UntilClose if waiting > 0 => return Ok(Piece::Data(self.buffer.filled())),
            Body::UntilClose if self.ended => {
                self.body = Body::Ended;
                return Ok(Piece::End(&self.trailers));
            }
            Body::Chunked(_) => return self.chunk(),
            Body::Exact(_) | Body::UntilClose => {}
        }
        if self.ended { Err(ReadError::Cut) } else { Ok(Piece::Nothing) }
    }

    fn chunk(&mut self) -> Result<Piece<'_>, ReadError> {
        let Body::Chunked(chunked) = &mut self.body else { return Ok(Piece::Nothing) };
        match chunked.step(self.buffer.filled(), &mut self.trailers)? {
            Step::Data { skip, data } => {
                self.buffer.consume(skip);
                Ok(Piece::Data(&self.buffer.filled()[..data]))
            }
            Step::End { skip } => {
                self.buffer.consume(skip);
                self.body = Body::Ended;
                Ok(Piece::End(&self.trailers))
            }
            Step::More { .. } if self.ended => Err(ReadError::Cut),
            Step::More { skip } => {
                self.buffer.consume(skip);
                Ok(Piece::Nothing)
            }
        }
    }

    /// So many bytes of the piece were taken.
    pub(crate) fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
        match &mut self.body {
            Body::Exact(left) => {
                *left = left.saturating_sub(count as u64);
                if *left == 0 {
                    self.body = Body::Ended;
                }
            }
            Body::Chunked(chunked) => chunked.took(count),
            Body::UntilClose | Body::Ended => {}
        }
    }

    /// To be called before the rest of a body is waited for: has what has come acknowledged, once a message.
    pub(crate) fn hurry(&mut self) {
        if !std::mem::replace(&mut self.hurried, true) {
            self.io.acknowledge();
        }
    }

    /// Waits until more of the body is there.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        ready!(self.poll_fill(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Whether the current message is read to its end.
    pub(crate) fn is_body_over(&mut self) -> bool {
        matches!(self.piece(), Ok(Piece::End(_)))
    }

    /// Whether all of the current message's body has come. Of one in chunks that is known only where they are read.
    pub(crate) fn is_body_here(&mut self) -> bool {
        match self.body {
            Body::Exact(left) => self.buffer.filled().len() as u64 >= left,
            _ => self.is_body_over(),
        }
    }

    /// Takes what waits of a body that nobody wants; whether it is over then.
    pub(crate) fn discard(&mut self) -> bool {
        loop {
            let length = match self.piece() {
                Ok(Piece::Data(bytes)) => bytes.len(),
                Ok(Piece::End(_)) => return true,
                Ok(Piece::Nothing) | Err(_) => return false,
            };
            self.consume(length);
        }
    }

    /// From now on all that comes is one body that ends with the connection: the connection has left HTTP.
    pub(crate) fn leave_http(&mut self) {
        self.body = Body::UntilClose;
    }

    /// Gives memory back while nothing waits.
    pub(crate) fn rest(&mut self) {
        self.buffer.rest();
        self.searched = 0;
    }
}
