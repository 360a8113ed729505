//! The two directions of an HTTP/2 stream's body.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use super::convert;
use crate::http::body::Piece;
use crate::http::head::Fields;

/// The most that is asked for at a time, bytes: a few frames.
const WANTED: usize = 64 * 1024;

/// Why a stream of HTTP/2 failed.
#[derive(Debug, thiserror::Error)]
#[error("HTTP/2: {0}")]
pub(crate) struct H2Error(#[from] pub(crate) h2::Error);

impl H2Error {
    /// Why the peer reset the stream, or we did.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.0.reason()
    }

    /// Whether the request provably was not looked at (RFC 9113, sections 6.8 and 8.7).
    pub(crate) fn is_not_delivered(&self) -> bool {
        let refused = self.0.reason() == Some(Reason::REFUSED_STREAM);
        refused
            || (self.0.is_go_away()
                && self.0.is_remote()
                && self.0.reason() == Some(Reason::NO_ERROR))
    }
}

/// The receiving direction.
pub(crate) struct Receiver {
    stream: RecvStream,
    piece: Bytes,
    trailers: Fields,
    data_over: bool,
    over: bool,
}

impl Receiver {
    pub(crate) fn new(stream: RecvStream) -> Receiver {
        let over = stream.is_end_stream();
        Receiver { stream, piece: Bytes::new(), trailers: Fields::default(), data_over: over, over }
    }

    pub(crate) fn piece(&mut self) -> Piece<'_> {
        if !self.piece.is_empty() {
            return Piece::Data(&self.piece);
        }
        if self.over { Piece::End(&self.trailers) } else { Piece::Nothing }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        drop(self.piece.split_to(count.min(self.piece.len())));
        self.release(count);
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        if self.piece.is_empty() {
            return None;
        }
        let piece = std::mem::take(&mut self.piece);
        self.release(piece.len());
        Some(piece)
    }

    /// The peer may send so many bytes more.
    fn release(&mut self, count: usize) {
        // It fails only for more than was received, which cannot be here.
        let _ = self.stream.flow_control().release_capacity(count);
    }

    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), H2Error>> {
        let stream = &mut self.stream;
        while !self.data_over {
            match ready!(stream.poll_data(cx)) {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    self.piece = piece;
                    self.over = stream.is_end_stream();
                    self.data_over = self.over;
                    return Poll::Ready(Ok(()));
                }
                // A peer that has answered may say that it needs no more of the request: NO_ERROR is no failure.
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => self.data_over = true,
            }
        }
        if !self.over {
            let trailers = ready!(stream.poll_trailers(cx))?;
            if let Some(trailers) = trailers {
                convert::fields(&trailers, &mut self.trailers);
                self.trailers.keep_trailers();
            }
            self.over = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether all of it has come, what waits included.
    pub(crate) fn is_here(&self) -> bool {
        self.over
    }

    /// Whether it was received to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.over && self.piece.is_empty()
    }
}

/// The sending direction.
pub(crate) struct Sender {
    stream: Option<SendStream<Bytes>>,
}

impl Sender {
    pub(crate) fn new(stream: SendStream<Bytes>) -> Sender {
        Sender { stream: Some(stream) }
    }

    /// A direction that is over: its head was all.
    pub(crate) fn ended() -> Sender {
        Sender { stream: None }
    }

    /// Waits until the peer takes at least one byte of so many. What is asked for is kept from the connection's other streams,
    /// so it is never more than there is to send.
    pub(crate) async fn room(&mut self, wanted: usize) -> Result<(), H2Error> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if stream.capacity() > 0 {
            return Ok(());
        }
        stream.reserve_capacity(wanted.min(WANTED));
        poll_fn(|cx| {
            loop {
                if stream.capacity() > 0 {
                    return Poll::Ready(Ok(()));
                }
                match ready!(stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(error.into())),
                    None => return Poll::Ready(Err(closed())),
                }
            }
        })
        .await
    }

    /// Takes some of the bytes, as many as the peer takes now.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<usize, H2Error> {
        self.room(bytes.len()).await?;
        let Some(stream) = &mut self.stream else { return Err(closed()) };
        let taken = bytes.len().min(stream.capacity());
        stream.send_data(Bytes::copy_from_slice(&bytes[..taken]), false)?;
        Ok(taken)
    }

    /// Leaves what was asked for and not used to other streams, while there is nothing to send.
    pub(crate) fn give_back(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.reserve_capacity(0);
        }
    }

    /// Takes all of the bytes; they wait in the connection as far as the peer does not take them yet.
    pub(crate) fn queue(&mut self, bytes: Bytes) -> Result<(), H2Error> {
        let Some(stream) = &mut self.stream else { return Err(closed()) };
        Ok(stream.send_data(bytes, false)?)
    }

    /// Ends the body.
    pub(crate) fn finish(&mut self, trailers: &Fields) -> Result<(), H2Error> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        if trailers.is_empty() {
            return Ok(stream.send_data(Bytes::new(), true)?);
        }
        Ok(stream.send_trailers(convert::header_map(trailers))?)
    }

    /// Whether it was sent to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// Gives the stream up, telling the peer why.
    pub(crate) fn reset(&mut self, reason: Reason) {
        if let Some(mut stream) = self.stream.take() {
            stream.send_reset(reason);
        }
    }
}

impl Sender {
    /// Ready when the peer has reset the stream.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => stream.poll_reset(cx).map(drop),
            None => Poll::Pending,
        }
    }
}

fn closed() -> H2Error {
    H2Error(h2::Error::from(Reason::STREAM_CLOSED))
}
