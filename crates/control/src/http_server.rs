//! An HTTP/1.1 server for the API and for monitoring: bounded in connections, in time and at its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use meltemi_apiserver::ClientCertificate;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::door::Door;
use crate::stopping::Stopping;

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long the head of a request may take to arrive, and a connection may be idle between two.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// How long requests may take to end after the stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// How long to wait after the kernel refused to accept (no file descriptors left, for example).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the stop, then lets requests that have begun end.
pub(crate) async fn serve(listener: TcpListener, router: Router, door: Door, stopping: Stopping) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let stopped = stopping.wait();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (router, door, watcher) = (router.clone(), door.clone(), graceful.watcher());
        connections.spawn(async move {
            if let Err(error) = converse(stream, peer, router, &door, watcher).await {
                tracing::debug!(%peer, %error, "an HTTP connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in 5 s were cut off");
    }
    connections.shutdown().await;
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    door: &Door,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (io, certificate, right) = door.open(stream).await?;
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let service = TowerToHyperService::new(From { peer, certificate, router });
    let connection = server.serve_connection_with_upgrades(TokioIo::new(io), service).into_owned();
    tokio::select! {
        served = watcher.watch(connection) => served,
        // Watches too: they would go on for as long as the connection stands.
        why = right.outlived() => {
            tracing::info!(%peer, ?why, "a connection has ended with its peer's certificate");
            Ok(())
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// The routes as one connection sees them: each request knows from where it comes.
#[derive(Clone)]
struct From {
    peer: SocketAddr,
    certificate: Option<ClientCertificate>,
    router: Router,
}

impl Service<Request<Incoming>> for From {
    type Response = <Router as Service<Request<Incoming>>>::Response;
    type Error = <Router as Service<Request<Incoming>>>::Error;
    type Future = <Router as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <Router as Service<Request<Incoming>>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        self.router.call(request)
    }
}
