//! The body of an answer, as the program reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::caller::CallError;

/// What a worker sends of a body.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    /// The end, with the trailers if there are some.
    End(Option<HeaderMap>),
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    /// Nothing but these trailers.
    Here(Option<HeaderMap>),
    /// What the worker sends.
    Coming(mpsc::Receiver<Part>),
    Over,
}

/// The body of an answer. Dropped before its end, it ends the exchange.
#[derive(Debug)]
pub struct Body {
    first: Bytes,
    rest: Rest,
    /// Tells the worker that nobody reads any longer, by being dropped.
    pub(super) guard: Option<oneshot::Sender<Infallible>>,
}

impl Body {
    pub(super) fn whole(first: Bytes, trailers: Option<HeaderMap>) -> Body {
        Body { first, rest: Rest::Here(trailers), guard: None }
    }

    pub(super) fn coming(first: Bytes, parts: mpsc::Receiver<Part>) -> Body {
        Body { first, rest: Rest::Coming(parts), guard: None }
    }

    /// All of it where it is here already and without trailers, as most short answers are; `None` where it has to be read.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match self.rest {
            Rest::Here(None) | Rest::Over => Some(std::mem::take(&mut self.first)),
            Rest::Here(Some(_)) | Rest::Coming(_) => None,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let next = match &mut self.rest {
            Rest::Here(trailers) => Some(Part::End(trailers.take())),
            Rest::Coming(parts) => ready!(parts.poll_recv(cx)),
            Rest::Over => return Poll::Ready(None),
        };
        if let Some(Part::Data(data)) = next {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        self.rest = Rest::Over;
        Poll::Ready(match next {
            Some(Part::End(trailers)) => trailers.map(|it| Ok(Frame::trailers(it))),
            Some(Part::Data(_)) | None => Some(Err(CallError::BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && matches!(self.rest, Rest::Here(None) | Rest::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Here(_) | Rest::Over => SizeHint::with_exact(self.first.len() as u64),
            Rest::Coming(_) => SizeHint::default(),
        }
    }
}
