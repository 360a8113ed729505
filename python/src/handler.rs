//! Requests for a service of this program, handed to Python and answered by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Frame, Incoming};
use meltemi_sdk::{BoxError, Service};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};
use tokio::sync::{mpsc, oneshot};

use crate::errors::{BrokenOffError, RequestError};

/// So many pieces of an answer may wait for the caller.
const WAITING: usize = 4;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Headers = Vec<(PyBackedBytes, PyBackedBytes)>;

/// Has a service's requests served by Python: `dispatch(request, responder)` on a thread of its own.
pub(crate) fn serve(service: Service, dispatch: Py<PyAny>, max_request: usize) -> Service {
    let dispatch = Arc::new(dispatch);
    service.handler_fn(move |request| answer(dispatch.clone(), request, max_request))
}

async fn answer(dispatch: Arc<Py<PyAny>>, request: Request<Incoming>, max: usize) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return said(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"),
    };
    let (head, answered) = oneshot::channel();
    let request = ServerRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let responder = Responder {
        state: Mutex::new(State { head: Some(head), pieces: None, is_whole: Arc::default() }),
    };
    tokio::task::spawn_blocking(move || {
        // An interpreter that has ended serves nothing: the caller is told by the responder that is dropped.
        Python::try_attach(|py| {
            if let Err(error) = dispatch.call1(py, (request, responder)) {
                error.print(py);
            }
        });
    });
    match answered.await {
        Ok(answer) => answer,
        Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed"),
    }
}

fn said(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(whole(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A request for the program's service.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct ServerRequest {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

#[pymethods]
impl ServerRequest {
    /// The method.
    #[getter]
    fn method(&self) -> &str {
        &self.method
    }

    /// The path, as it was sent.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind the question mark.
    #[getter]
    fn query(&self) -> &str {
        &self.query
    }

    /// The body.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// The fields: pairs of name, in lower case, and value, as bytes.
    #[getter]
    fn raw_headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes()))
        };
        PyList::new(py, self.headers.iter().map(pair).collect::<Vec<_>>())
    }

    /// The first field of a name.
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
    }
}

/// The way of one answer back. Dropped before it was begun, it has the caller told that the handler failed.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Responder {
    state: Mutex<State>,
}

struct State {
    head: Option<oneshot::Sender<Answer>>,
    pieces: Option<mpsc::Sender<Bytes>>,
    /// Whether the answer has come to its end.
    is_whole: Arc<AtomicBool>,
}

#[pymethods]
impl Responder {
    /// Answers, whole.
    fn send(&self, status: u16, headers: Headers, body: &[u8]) -> PyResult<()> {
        self.answer(status, &headers, whole(Bytes::copy_from_slice(body)))
    }

    /// Begins an answer of several pieces.
    fn start(&self, status: u16, headers: Headers) -> PyResult<()> {
        let (send, pieces) = mpsc::channel(WAITING);
        let is_whole = self.state.lock().is_whole.clone();
        self.answer(status, &headers, Pieces { pieces, is_whole }.boxed_unsync())?;
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

    /// There is no answer, or no more of it: the caller is told that the handler failed, or does not take it for whole.
    fn give_up(&self) {
        let mut state = self.state.lock();
        (state.head, state.pieces) = (None, None);
    }

    /// The answer is whole.
    fn end(&self) {
        let mut state = self.state.lock();
        state.is_whole.store(true, Ordering::Release);
        state.pieces = None;
    }
}

impl Responder {
    fn answer(
        &self,
        status: u16,
        headers: &Headers,
        body: UnsyncBoxBody<Bytes, BoxError>,
    ) -> PyResult<()> {
        let wrong = |what: &str| RequestError::new_err(format!("the answer's {what}"));
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(status).map_err(|_| wrong("status is none"))?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name).map_err(|_| wrong("field has no name"))?;
            let value = HeaderValue::from_bytes(value).map_err(|_| wrong("field has no value"))?;
            answer.headers_mut().append(name, value);
        }
        let head = self.state.lock().head.take();
        let head = head.ok_or_else(|| RequestError::new_err("it was answered already"))?;
        head.send(answer).map_err(|_| gone())
    }

    fn pieces(&self) -> PyResult<mpsc::Sender<Bytes>> {
        let pieces = self.state.lock().pieces.clone();
        pieces.ok_or_else(|| RequestError::new_err("the answer is not begun, or over"))
    }
}

fn gone() -> PyErr {
    BrokenOffError::new_err("the caller is gone")
}

/// The pieces of an answer as a body. An answer that is dropped before its end must not be taken for whole.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
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
            None if self.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err("the handler broke its answer off".into())),
        })
    }
}
