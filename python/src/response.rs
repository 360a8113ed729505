//! An answer, as Python sees it.

use bytes::Bytes;
use http::HeaderMap;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// An answer that is whole.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Response {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    /// Where the data path has answered itself: why, in Envoy's short words.
    flags: Option<String>,
}

impl From<http::Response<Bytes>> for Response {
    fn from(response: http::Response<Bytes>) -> Response {
        let ours = response.extensions().get::<meltemi_sdk::Ours>();
        let flags = ours.map(|ours| ours.0.to_string());
        let (parts, body) = response.into_parts();
        Response { status: parts.status.as_u16(), headers: parts.headers, body, flags }
    }
}

#[pymethods]
impl Response {
    /// The status code.
    #[getter]
    fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// The fields, as pairs of name and value.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        PyList::new(py, self.headers.iter().map(|(name, value)| (name.as_str(), text(value))))
    }

    /// The first field of a name.
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
    }

    /// Why the data path has answered itself, in Envoy's short words; `None` where the service has answered.
    #[getter]
    fn flags(&self) -> Option<&str> {
        self.flags.as_deref()
    }
}
