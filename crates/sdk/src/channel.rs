//! The mesh for clients that are built on `tower::Service`: reqwest's and tonic's middlewares, and tonic's own clients.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use meltemi_proxy::in_process::Body;
use tower_service::Service;

use crate::BoxError;
use crate::call;
use crate::error::Error;
use crate::member::Member;
use crate::mesh::Mesh;
use crate::service::Registered;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

/// Whose identity calls are made with.
#[derive(Debug, Clone)]
pub(crate) enum Whose {
    Mesh(Mesh),
    Registered(Registered),
}

impl Whose {
    fn member(&self) -> &Member {
        match self {
            Whose::Mesh(mesh) => mesh.member(),
            Whose::Registered(registered) => registered.member(),
        }
    }
}

/// A way to one service of the mesh.
#[derive(Debug, Clone)]
pub struct Channel {
    whose: Whose,
    origin: Authority,
}

impl Channel {
    pub(crate) fn new(whose: Whose, origin: &str) -> Result<Channel, Error> {
        let uri: Result<Uri, _> = origin.parse();
        let authority = uri.ok().and_then(|uri| uri.authority().cloned());
        match authority {
            Some(origin) => Ok(Channel { whose, origin }),
            None => Err(Error::Settings(format!("`{origin}` is no http://HOST[:PORT]"))),
        }
    }

    fn member(&self) -> &Member {
        self.whose.member()
    }

    /// Where a request goes that names no host.
    fn complete(&self, uri: Uri) -> Result<Uri, Error> {
        if uri.authority().is_some() {
            return Ok(uri);
        }
        let mut parts = uri.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.origin.clone());
        Uri::from_parts(parts).map_err(|error| Error::Request(error.to_string()))
    }
}

/// A request as it is.
fn unchanged<C>(_: &C, uri: Uri) -> Result<Uri, Error> {
    Ok(uri)
}

/// `tower::Service` is another crate's: each of our types has it by itself.
macro_rules! calls {
    ($($caller:ty: $complete:path),*) => {$(
        impl<B> Service<Request<B>> for $caller
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
                let caller = self.clone();
                Box::pin(async move {
                    let uri = std::mem::take(request.uri_mut());
                    *request.uri_mut() = $complete(&caller, uri)?;
                    call::call(caller.member(), request).await
                })
            }
        }
    )*};
}

calls!(Channel: Channel::complete, Mesh: unchanged, Registered: unchanged);
