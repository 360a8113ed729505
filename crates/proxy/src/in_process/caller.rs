//! The program's end of a call: it goes to the worker that has the least to do, and its answer comes back.

use std::convert::Infallible;

use http::{Request, Response, request};
use meltemi_telemetry::ResponseFlags;
use tokio::sync::oneshot;

use super::body::Body;
use super::given::RequestBody;
use crate::listen::accept::{Door, Incoming, Purpose, hand_over};

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The request cannot be carried.
    #[error("the request cannot be sent: {0}")]
    Malformed(&'static str),
    /// The answer was not whole.
    #[error("the answer broke off before its end")]
    BrokenOff,
    /// The data path has ended.
    #[error("the data path has ended")]
    Ended,
}

/// On an answer that no endpoint gave, but the data path itself: why, as access logs say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ours(pub ResponseFlags);

/// A call on its way to a worker.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) parts: request::Parts,
    pub(super) body: RequestBody,
    pub(super) answer: oneshot::Sender<Result<Response<Body>, CallError>>,
    pub(super) cancel: oneshot::Receiver<Infallible>,
}

/// Makes calls over the data path of this process.
#[derive(Debug, Clone)]
pub struct Caller {
    doors: std::sync::Arc<[Door]>,
}

impl Caller {
    pub(crate) fn new(doors: Vec<Door>) -> Caller {
        Caller { doors: doors.into() }
    }

    /// Makes a call. Dropping the future, or the answer's body before its end, ends it.
    ///
    /// # Errors
    /// When there is no answer at all. What the data path answers itself is marked by [`Ours`].
    pub async fn call(&self, request: Request<RequestBody>) -> Result<Response<Body>, CallError> {
        let (parts, body) = request.into_parts();
        let (answer, answered) = oneshot::channel();
        let (guard, cancel) = oneshot::channel();
        let asked = Asked { parts, body, answer, cancel };
        hand_over(&self.doors, Incoming::Call(Box::new(asked)), &Purpose::Call);
        let mut response = answered.await.map_err(|_| CallError::Ended)??;
        response.body_mut().guard = Some(guard);
        Ok(response)
    }
}
