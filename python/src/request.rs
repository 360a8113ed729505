//! A request for a service of this program, as Python sees it: whole, or with a body that is read piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::completion::Completions;
use crate::errors::{CallerGoneError, RequestError};

/// A request for the program's service.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct ServerRequest {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    /// What is still to be read.
    rest: Option<Rest>,
}

#[derive(Clone)]
struct Rest {
    body: Arc<Mutex<Limited<Incoming>>>,
    runtime: Handle,
}

impl ServerRequest {
    /// One that was read.
    pub(crate) fn whole(parts: Parts, body: Bytes) -> ServerRequest {
        ServerRequest {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            rest: None,
        }
    }

    /// One whose body is read by who serves it; on the current runtime.
    pub(crate) fn of_pieces(parts: Parts, body: Limited<Incoming>) -> ServerRequest {
        let rest = Rest { body: Arc::new(Mutex::new(body)), runtime: Handle::current() };
        ServerRequest { rest: Some(rest), ..ServerRequest::whole(parts, Bytes::new()) }
    }

    fn rest(&self) -> PyResult<Rest> {
        self.rest.clone().ok_or_else(|| RequestError::new_err("the request was read whole"))
    }
}

impl Rest {
    /// The next piece; `None` at the end.
    async fn next(&self) -> PyResult<Option<Bytes>> {
        loop {
            match self.body.lock().await.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                    // Trailers, which neither ASGI nor WSGI has.
                    _ => {}
                },
                Some(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err(RequestError::new_err("the request is longer than max_request"));
                }
                Some(Err(_)) => return Err(CallerGoneError::new_err("the request broke off")),
            }
        }
    }
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

    /// The body; empty where it is still to be read.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// Whether the body was read.
    #[getter]
    fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Reads the next piece, and waits for it; `None` at the end.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let rest = self.rest()?;
        let piece = py.detach(|| rest.runtime.block_on(rest.next()))?;
        Ok(piece.map(|piece| PyBytes::new(py, &piece)))
    }

    /// The same; the future is told by the completions of its loop.
    fn read_soon(&self, future: Py<PyAny>, completions: Py<Completions>) -> PyResult<()> {
        let rest = self.rest()?;
        self.rest()?.runtime.spawn(async move {
            let piece = rest.next().await;
            Python::try_attach(|py| {
                let object = |piece: Option<Bytes>| match piece {
                    Some(piece) => PyBytes::new(py, &piece).into_any().unbind(),
                    None => py.None(),
                };
                Completions::tell(&completions, py, future, piece.map(object));
            });
        });
        Ok(())
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
