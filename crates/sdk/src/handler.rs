//! Serves in this process what comes for a service: the other end of the data path's connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use meltemi_proxy::in_process;
use tokio::net::UnixStream;
use tower_service::Service;

use crate::BoxError;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Serving = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;
type Serve = dyn Fn(Request<Incoming>) -> Serving + Send + Sync;

/// What serves the requests for a service.
#[derive(Clone)]
pub struct Handler(Arc<Serve>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler(..)")
    }
}

impl Handler {
    /// A `tower::Service` as a handler. What it fails with is answered as status 500.
    pub fn new<S, B>(service: S) -> Handler
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Handler(Arc::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
            })
        }))
    }

    /// Serves connections until the data path is gone.
    pub(crate) async fn run(self, mut incoming: in_process::Incoming) {
        while let Some(stream) = incoming.recv().await {
            match UnixStream::from_std(stream) {
                Ok(stream) => drop(tokio::spawn(self.clone().connection(stream))),
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
        }
    }

    async fn connection(self, stream: UnixStream) {
        let server = auto::Builder::new(TokioExecutor::new());
        let serving = server.serve_connection(TokioIo::new(stream), self);
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection of the data path ended");
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Handler {
    type Response = Answer;
    type Error = BoxError;
    type Future = Serving;

    fn call(&self, request: Request<Incoming>) -> Serving {
        let serving = (self.0)(request);
        Box::pin(async move {
            match serving.await {
                Ok(answer) => Ok(answer),
                Err(error) => {
                    tracing::warn!(%error, "a handler failed");
                    Ok(failed())
                }
            }
        })
    }
}

/// What callers are told of a handler that failed: not why, which is the service's own matter.
fn failed() -> Answer {
    let body = Full::new(Bytes::from_static(b"the handler failed"));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

/// A function as a `tower::Service`.
#[derive(Clone)]
pub(crate) struct HandlerFn<F>(pub(crate) F);

impl<F, O, B> Service<Request<Incoming>> for HandlerFn<F>
where
    F: Fn(Request<Incoming>) -> O,
    O: Future<Output = Response<B>> + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let serving = (self.0)(request);
        Box::pin(async move { Ok(serving.await) })
    }
}
