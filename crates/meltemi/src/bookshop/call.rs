//! How the bookshop's programs call each other over HTTP: through the proxy that `HTTP_PROXY` names, directly without.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::uri::Authority;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::TcpStream;
use tower_service::Service;

use super::BookshopError;

/// The longest answer that is read, bytes.
const LONGEST: usize = 1 << 20;
/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Makes requests.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client<Connector, Empty<Bytes>>,
}

/// Why a call brought no answer that can be used.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// No answer.
    #[error("{url}: {reason}")]
    Failed {
        /// What was called.
        url: Uri,
        /// Why.
        reason: String,
    },
    /// An answer that tells of a failure.
    #[error("{url} answered {status}")]
    Status {
        /// What was called.
        url: Uri,
        /// The answer's status.
        status: StatusCode,
    },
}

impl Caller {
    /// Calls as the environment says.
    pub(super) fn from_environment() -> Result<Caller, BookshopError> {
        let proxy = ["HTTP_PROXY", "http_proxy"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
        Ok(Caller::through(proxy.map(|text| proxy_address(&text)).transpose()?))
    }

    fn through(proxy: Option<Authority>) -> Caller {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector { proxy });
        Caller { client }
    }

    /// Fetches what is at a URL, whatever the status of the answer.
    pub(super) async fn fetch(
        &self,
        url: &Uri,
        headers: HeaderMap,
    ) -> Result<Response<Bytes>, CallError> {
        let failed = |error: &dyn Error| CallError::Failed { url: url.clone(), reason: all(error) };
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        let response = self.client.request(request).await.map_err(|error| failed(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(|error| failed(&*error))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// Fetches a JSON document.
    pub(super) async fn fetch_json<T: DeserializeOwned>(
        &self,
        url: &Uri,
        headers: HeaderMap,
    ) -> Result<T, CallError> {
        let response = self.fetch(url, headers).await?;
        if !response.status().is_success() {
            return Err(CallError::Status { url: url.clone(), status: response.status() });
        }
        serde_json::from_slice(response.body()).map_err(|error| CallError::Failed {
            url: url.clone(),
            reason: format!("the answer is not what was asked for: {error}"),
        })
    }
}

/// The URL of a path at a service.
pub(super) fn at(base: &Uri, path: &str) -> Uri {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| base.clone())
}

/// An error with its causes, which often say more.
fn all(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn proxy_address(text: &str) -> Result<Authority, BookshopError> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| uri.scheme_str().is_none_or(|scheme| scheme == "http"))
        .and_then(|uri| uri.authority().cloned())
        .filter(|authority| authority.port().is_some())
        .ok_or_else(|| BookshopError::Proxy(text.to_owned()))
}

/// Opens connections: to the proxy, to which requests then go in absolute form, or to the host of the URL.
#[derive(Debug, Clone)]
struct Connector {
    proxy: Option<Authority>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Stream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let is_proxy = self.proxy.is_some();
        let target = self.proxy.clone().or_else(|| url.authority().cloned());
        Box::pin(async move {
            let target = target.ok_or_else(|| io::Error::other("the URL has no host"))?;
            let address = (target.host().trim_matches(['[', ']']), target.port_u16().unwrap_or(80));
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream { io: TokioIo::new(stream), is_proxy })
        })
    }
}

/// A connection that knows whether a proxy is at its other end.
struct Stream {
    io: TokioIo<TcpStream>,
    is_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
