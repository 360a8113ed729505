//! The mesh for clients that are built on `tower::Service`: reqwest's and tonic's middlewares, and tonic's own clients.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use meltemi_proxy::in_process::Body;
use tower_service::Service;

use crate::BoxError;
use crate::error::Error;
use crate::mesh::Mesh;
use crate::service::Registered;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

/// A way to one service of the mesh.
#[derive(Debug, Clone)]
pub struct Channel {
    mesh: Mesh,
    origin: Authority,
}

impl Channel {
    pub(crate) fn new(mesh: Mesh, origin: &str) -> Result<Channel, Error> {
        let uri: Result<Uri, _> = origin.parse();
        let authority = uri.ok().and_then(|uri| uri.authority().cloned());
        match authority {
            Some(origin) => Ok(Channel { mesh, origin }),
            None => Err(Error::Settings(format!("`{origin}` is no http://HOST[:PORT]"))),
        }
    }
}

impl<B> Service<Request<B>> for Channel
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Answer {
        let mesh = self.mesh.clone();
        if request.uri().authority().is_none() {
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.scheme = Some(Scheme::HTTP);
            parts.authority = Some(self.origin.clone());
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(error) => {
                    return Box::pin(async move { Err(Error::Request(error.to_string())) });
                }
            }
        }
        Box::pin(async move { mesh.call(request).await })
    }
}

impl<B> Service<Request<B>> for Mesh
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let mesh = self.clone();
        Box::pin(async move { Mesh::call(&mesh, request).await })
    }
}

impl<B> Service<Request<B>> for Registered
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let registered = self.clone();
        Box::pin(async move { Registered::call(&registered, request).await })
    }
}
