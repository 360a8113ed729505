//! The way of an answer back to the program. Its head goes together with what has come of its body, so that a short answer
//! wakes the program once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use http::Response;
use meltemi_telemetry::ResponseFlags;
use tokio::sync::{mpsc, oneshot};

use super::body::{Body, Part};
use super::caller::{CallError, Ours};
use crate::http::body::BodyError;
use crate::http::h2::convert;
use crate::http::head::{Fields, ResponseHead, Version};

/// Bytes that are gathered before they go.
const GATHERED: usize = 64 * 1024;
/// So many pieces may wait for the program.
const WAITING: usize = 4;

/// An answer on its way.
pub(crate) struct Answering {
    head: Option<oneshot::Sender<Result<Response<Body>, CallError>>>,
    response: Option<Response<()>>,
    gathered: BytesMut,
    parts: Option<mpsc::Sender<Part>>,
    cancel: Option<oneshot::Receiver<Infallible>>,
    /// Set where the answer is the proxy's own.
    ours: Option<ResponseFlags>,
    is_over: bool,
}

impl Answering {
    pub(super) fn new(
        head: oneshot::Sender<Result<Response<Body>, CallError>>,
        cancel: oneshot::Receiver<Infallible>,
    ) -> Answering {
        Answering {
            head: Some(head),
            response: None,
            gathered: BytesMut::new(),
            parts: None,
            cancel: Some(cancel),
            ours: None,
            is_over: false,
        }
    }

    /// What was asked cannot be asked.
    pub(super) fn refuse(mut self, why: &'static str) {
        if let Some(head) = self.head.take() {
            // A program that is gone need not hear it.
            drop(head.send(Err(CallError::Malformed(why))));
        }
    }

    /// The answer that follows is the proxy's own.
    pub(crate) fn is_ours(&mut self, flags: ResponseFlags) {
        self.ours = Some(flags);
    }

    pub(crate) fn begin(&mut self, head: &ResponseHead) {
        let mut response = convert::response(head);
        *response.version_mut() = match head.version {
            Version::Http10 => http::Version::HTTP_10,
            Version::Http11 => http::Version::HTTP_11,
            Version::Http2 => http::Version::HTTP_2,
        };
        if let Some(flags) = self.ours {
            response.extensions_mut().insert(Ours(flags));
        }
        self.response = Some(response);
    }

    /// Takes all of the bytes, once there is room.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        if self.gathered.len() >= GATHERED {
            self.flush().await?;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Gives the program what is here. May be dropped while it waits: nothing is lost.
    pub(crate) async fn flush(&mut self) -> Result<(), BodyError> {
        if let Some(response) = self.response.take() {
            let (parts, coming) = mpsc::channel(WAITING);
            self.parts = Some(parts);
            return self.deliver(response, |first| Body::coming(first, coming));
        }
        if self.gathered.is_empty() {
            return Ok(());
        }
        let parts = self.parts.as_ref().ok_or(BodyError::Gone)?;
        let room = parts.reserve().await.map_err(|_| BodyError::Gone)?;
        room.send(Part::Data(self.gathered.split().freeze()));
        Ok(())
    }

    /// The answer is whole. May be dropped while it waits, and called again.
    pub(crate) async fn finish(&mut self, trailers: &Fields) -> Result<(), BodyError> {
        let trailers = (!trailers.is_empty()).then(|| convert::header_map(trailers));
        if let Some(response) = self.response.take() {
            self.is_over = true;
            return self.deliver(response, |all| Body::whole(all, trailers));
        }
        self.flush().await?;
        if let Some(parts) = &self.parts {
            parts.send(Part::End(trailers)).await.map_err(|_| BodyError::Gone)?;
        }
        self.parts = None;
        self.is_over = true;
        Ok(())
    }

    fn deliver(
        &mut self,
        response: Response<()>,
        body: impl FnOnce(bytes::Bytes) -> Body,
    ) -> Result<(), BodyError> {
        let head = self.head.take().ok_or(BodyError::Gone)?;
        let first = self.gathered.split().freeze();
        head.send(Ok(response.map(|()| body(first)))).map_err(|_| BodyError::Gone)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The program must not take it for whole: an answer that ends without its end was broken off.
    pub(crate) fn break_off(&mut self) {
        self.parts = None;
        self.response = None;
        if let Some(head) = self.head.take() {
            drop(head.send(Err(CallError::BrokenOff)));
        }
    }

    /// Ready when the program waits no longer.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(cancel) = &mut self.cancel
            && Pin::new(cancel).poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        self.cancel = None;
        Poll::Ready(())
    }
}
