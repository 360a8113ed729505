//! The body of a request that a program gives: whole, or as a stream that the worker polls.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::Body as _;

use crate::http::body::Piece;
use crate::http::h2::convert;
use crate::http::head::Fields;

/// A body of which the program gives piece after piece.
pub type Stream =
    Pin<Box<dyn http_body::Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Send>>;

/// The body of a request.
pub enum RequestBody {
    /// All of it; empty if there is none.
    Whole(Bytes),
    /// It is polled on the worker's thread.
    Stream(Stream),
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestBody::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            RequestBody::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Why no more of a body comes.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The program's stream failed.
    #[error("the request's body failed: {0}")]
    Failed(Box<dyn Error + Send + Sync>),
    /// It is not as long as it had said.
    #[error("the request's body is not as long as it had said")]
    Length,
}

/// The source of such a body's pieces.
pub(crate) struct Given {
    stream: Option<Stream>,
    piece: Bytes,
    trailers: Fields,
    /// What is still to come, where that was said.
    left: Option<u64>,
}

impl Given {
    pub(super) fn new(body: RequestBody) -> Given {
        let (stream, piece) = match body {
            RequestBody::Whole(bytes) => (None, bytes),
            RequestBody::Stream(stream) if stream.is_end_stream() => (None, Bytes::new()),
            RequestBody::Stream(stream) => (Some(stream), Bytes::new()),
        };
        let left = stream.as_ref().and_then(|stream| stream.size_hint().exact());
        Given { stream, piece, trailers: Fields::default(), left }
    }

    /// How many bytes there are, at the beginning.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.stream {
            Some(_) => self.left,
            None => Some(self.piece.len() as u64),
        }
    }

    pub(crate) fn piece(&mut self) -> Piece<'_> {
        match (&self.stream, self.piece.is_empty()) {
            (_, false) => Piece::Data(&self.piece),
            (None, true) => Piece::End(&self.trailers),
            (Some(_), true) => Piece::Nothing,
        }
    }

    /// Whether it was taken to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.stream.is_none() && self.piece.is_empty()
    }

    /// Whether all of it is here, what waits included.
    pub(crate) fn is_here(&self) -> bool {
        self.stream.is_none()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.piece.advance(count.min(self.piece.len()));
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        (!self.piece.is_empty()).then(|| std::mem::take(&mut self.piece))
    }

    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while let Some(stream) = &mut self.stream {
            let frame = match ready!(stream.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Err(Broken::Failed(error))),
                None => return Poll::Ready(self.end()),
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(self.grow(data)),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        convert::fields(&trailers, &mut self.trailers);
                        return Poll::Ready(self.end());
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn grow(&mut self, data: Bytes) -> Result<(), Broken> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or(Broken::Length)?;
        }
        self.piece = data;
        if self.stream.as_ref().is_some_and(|stream| stream.is_end_stream()) {
            return self.end();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.stream = None;
        match self.left {
            Some(left) if left > 0 => Err(Broken::Length),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body::{Frame, SizeHint};

    use super::*;

    /// Says that it has so many bytes, and gives others.
    struct Lying(Vec<&'static [u8]>, u64);

    impl http_body::Body for Lying {
        type Data = Bytes;
        type Error = Box<dyn Error + Send + Sync>;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop().map(|it| Ok(Frame::data(Bytes::from_static(it)))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.1)
        }
    }

    fn read(body: Lying) -> Result<usize, Broken> {
        let mut given = Given::new(RequestBody::Stream(Box::pin(body)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut count = 0;
        loop {
            match given.piece() {
                Piece::End(_) => return Ok(count),
                Piece::Data(data) => {
                    let taken = data.len();
                    count += taken;
                    given.consume(taken);
                }
                Piece::Nothing => match given.poll_more(&mut cx) {
                    Poll::Ready(more) => more?,
                    Poll::Pending => unreachable!("it is always ready"),
                },
            }
        }
    }

    #[test]
    fn a_body_that_is_longer_or_shorter_than_it_says_is_none() {
        assert_eq!(read(Lying(vec![b"cd", b"ab"], 4)).ok(), Some(4));
        assert!(matches!(read(Lying(vec![b"cd", b"ab"], 3)), Err(Broken::Length)));
        assert!(matches!(read(Lying(vec![b"cd", b"ab"], 5)), Err(Broken::Length)));
        assert!(Given::new(RequestBody::Whole(Bytes::new())).is_over());
    }
}
