//! Requests for a service of this program, handed to Python and answered by it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Frame, Incoming};
use meltemi_sdk::{BoxError, Service};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::completion::Completions;
use crate::errors::{CallerGoneError, RequestError};
use crate::gone::{OnGone, Present};
use crate::request::ServerRequest;

/// So many pieces of an answer may wait for the caller.
const WAITING: usize = 4;
/// Requests up to this length, bytes, are read before an application is asked: that is cheaper than piece by piece.
const SMALL: u64 = 64 * 1024;
/// So many handlers of a service run at the same time: each holds a thread. Each service has its own, so that those that
/// wait for another service of the program do not take that one's.
const HANDLERS: usize = 64;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Headers = Vec<(PyBackedBytes, PyBackedBytes)>;

/// How a service's requests come to Python: `dispatch(request, responder)`.
#[derive(FromPyObject)]
pub(crate) struct Dispatch {
    /// What is called.
    call: Py<PyAny>,
    /// Whether it comes back at once; else it has a thread of its own.
    is_quick: bool,
    /// Whether it reads long requests piece by piece.
    streams: bool,
    /// The longest request that it is given, bytes.
    max_request: usize,
}

/// Has a service's requests served by Python.
pub(crate) fn serve(service: Service, dispatch: Dispatch) -> Service {
    let dispatch = Arc::new((dispatch, Arc::new(Semaphore::new(HANDLERS))));
    service.handler_fn(move |request| {
        let dispatch = dispatch.clone();
        async move { handle(&dispatch, request).await }
    })
}

async fn handle(dispatch: &Arc<(Dispatch, Arc<Semaphore>)>, request: Request<Incoming>) -> Answer {
    let Dispatch { is_quick, streams, max_request, .. } = dispatch.0;
    let (parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let size = body.size_hint();
    if size.lower() > max_request as u64 {
        return too_long();
    }
    let is_long = size.upper().is_none_or(|it| it > SMALL);
    let body = Limited::new(body, max_request);
    let request = if streams && is_long {
        ServerRequest::of_pieces(parts, body)
    } else {
        match body.collect().await {
            Ok(body) => ServerRequest::whole(parts, body.to_bytes()),
            Err(_) => return too_long(),
        }
    };
    let (head, answered) = oneshot::channel();
    let state = State { head: Some(head), pieces: None };
    let (on_gone, present) = OnGone::new();
    let responder =
        Responder { state: Mutex::new(state), on_gone, runtime: Handle::current(), is_head };
    let serving = dispatch.clone();
    // An interpreter that has ended serves nothing: the caller is told by the responder that is dropped.
    let serve = move || {
        Python::try_attach(|py| {
            if let Err(error) = serving.0.call.call1(py, (request, responder)) {
                // Not printed: that would end the process where it is `SystemExit`.
                error.write_unraisable(py, None);
            }
        });
    };
    if is_quick {
        serve();
    } else if let Ok(turn) = dispatch.1.clone().acquire_owned().await {
        tokio::task::spawn_blocking(move || {
            serve();
            drop(turn);
        });
    }
    match answered.await {
        Ok(begun) => begun.answer(present),
        Err(_) => {
            present.is_over();
            said(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed")
        }
    }
}

fn too_long() -> Answer {
    said(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long")
}

fn said(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(whole(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// An answer whose head is there.
enum Begun {
    Whole(Response<Bytes>),
    Pieces(Response<mpsc::Receiver<Bytes>>),
}

impl Begun {
    fn answer(self, present: Present) -> Answer {
        match self {
            Begun::Whole(answer) => {
                present.is_over();
                answer.map(whole)
            }
            Begun::Pieces(answer) => answer.map(|pieces| Pieces { pieces, present }.boxed_unsync()),
        }
    }
}

/// The way of one answer back. Dropped before it was begun, it has the caller told that the handler failed.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Responder {
    state: Mutex<State>,
    on_gone: OnGone,
    runtime: Handle,
    /// Whether the head alone is asked for: its length is that of the body which is left out.
    is_head: bool,
}

struct State {
    head: Option<oneshot::Sender<Begun>>,
    pieces: Option<mpsc::Sender<Bytes>>,
}

#[pymethods]
impl Responder {
    /// Answers, whole.
    fn send(&self, status: u16, headers: Headers, body: PyBackedBytes) -> PyResult<()> {
        self.on_gone.is_over();
        let body = if body.is_empty() { Bytes::new() } else { Bytes::from_owner(body) };
        let has_body = !body.is_empty();
        let mut answer = answer(status, &headers, body)?;
        if has_body || !self.is_head {
            // The body says it; a length that was told of another one must not go on the wire.
            answer.headers_mut().remove(CONTENT_LENGTH);
        }
        self.begin(Begun::Whole(answer))
    }

    /// Begins an answer of several pieces.
    fn start(&self, status: u16, headers: Headers) -> PyResult<()> {
        let (send, pieces) = mpsc::channel(WAITING);
        self.begin(Begun::Pieces(answer(status, &headers, pieces)?))?;
        self.state.lock().pieces = Some(send);
        Ok(())
    }

    /// Sends a piece if there is room for it; whether there was.
    fn try_write(&self, piece: &[u8]) -> PyResult<bool> {
        match self.pieces()?.try_send(Bytes::copy_from_slice(piece)) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }

    /// Sends a piece, and waits until there is room for it.
    fn write(&self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        let (pieces, piece) = (self.pieces()?, Bytes::copy_from_slice(piece));
        py.detach(|| pieces.blocking_send(piece)).map_err(|_| gone())
    }

    /// The same; the future is told by the completions of its loop when there was room.
    fn write_soon(
        &self,
        piece: &[u8],
        future: Py<PyAny>,
        completions: Py<Completions>,
    ) -> PyResult<()> {
        let (pieces, piece) = (self.pieces()?, Bytes::copy_from_slice(piece));
        self.runtime.spawn(async move {
            let sent = pieces.send(piece).await;
            Python::try_attach(|py| {
                let outcome = sent.map(|()| py.None()).map_err(|_| gone());
                Completions::tell(&completions, py, future, outcome);
            });
        });
        Ok(())
    }

    /// Has `callback` called, on any thread, when the caller goes before the answer is whole; at once if it is gone.
    fn when_gone(&self, py: Python<'_>, callback: Py<PyAny>) -> PyResult<()> {
        match self.on_gone.call(callback) {
            Some(callback) => callback.call0(py).map(drop),
            None => Ok(()),
        }
    }

    /// Whether the caller has gone before the answer was whole.
    #[getter]
    fn is_gone(&self) -> bool {
        self.on_gone.is_gone()
    }

    /// There is no answer, or no more of it: the caller is told that the handler failed, or does not take it for whole.
    fn give_up(&self) {
        let mut state = self.state.lock();
        (state.head, state.pieces) = (None, None);
    }

    /// The answer is whole.
    fn end(&self) {
        self.on_gone.is_over();
        self.state.lock().pieces = None;
    }
}

impl Responder {
    /// Tells what is done for this answer when nobody waits for it any longer.
    pub(crate) fn on_gone(&self) -> OnGone {
        self.on_gone.clone()
    }

    fn begin(&self, begun: Begun) -> PyResult<()> {
        let head = self.state.lock().head.take();
        let head = head.ok_or_else(|| RequestError::new_err("it was answered already"))?;
        head.send(begun).map_err(|_| gone())
    }

    fn pieces(&self) -> PyResult<mpsc::Sender<Bytes>> {
        let pieces = self.state.lock().pieces.clone();
        pieces.ok_or_else(|| RequestError::new_err("the answer is not begun, or over"))
    }
}

fn answer<B>(status: u16, headers: &Headers, body: B) -> PyResult<Response<B>> {
    let wrong = |what: &str| RequestError::new_err(format!("the answer's {what}"));
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).map_err(|_| wrong("status is none"))?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name).map_err(|_| wrong("field has no name"))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong("field has no value"))?;
        answer.headers_mut().append(name, value);
    }
    Ok(answer)
}

fn gone() -> PyErr {
    CallerGoneError::new_err("the caller is gone")
}

/// The pieces of an answer as a body. An answer that is dropped before its end must not be taken for whole.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    present: Present,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match ready!(self.pieces.poll_recv(cx)) {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.present.was_whole() => None,
            None => Some(Err("the handler broke its answer off".into())),
        })
    }
}
