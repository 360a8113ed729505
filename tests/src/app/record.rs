//! What came to an application, kept for the test to look at.

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its path and query.
    pub target: String,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Recorded {
    /// Reads a request to its end; `None` if it breaks off.
    pub(super) async fn read(request: Request<Incoming>) -> Option<Self> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        let target = head.uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
        Some(Recorded { target, headers: head.headers, body })
    }

    /// The value of a field; empty if it did not come.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
