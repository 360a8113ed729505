//! What a proxy tells about itself over HTTP: metrics, health, and the admin interface.

mod dump;
mod figures;
mod pages;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use meltemi_telemetry::Metrics;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::shared::Shared;
use crate::start::Ready;

/// How many connections one listener serves at a time; further ones wait.
const MAX_CONNECTIONS: usize = 128;
/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(10);
/// How long to wait after the kernel refused to accept (no file descriptors left, for example).
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// The metrics alone.
    Metrics,
    /// The health alone.
    Health,
}

/// What the pages are made of.
#[derive(Debug)]
pub struct Panel {
    metrics: Arc<Metrics>,
    ready: watch::Receiver<Ready>,
    draining: AtomicBool,
    quit: Arc<Notify>,
    /// Not there until the proxy has its certificate.
    shared: OnceLock<Arc<Shared>>,
}

impl Panel {
    /// A panel of a proxy that is starting.
    pub fn new(metrics: Arc<Metrics>, ready: watch::Receiver<Ready>) -> Self {
        Panel {
            metrics,
            ready,
            draining: AtomicBool::new(false),
            quit: Arc::default(),
            shared: OnceLock::new(),
        }
    }

    /// The proxy has its certificate: what it knows can be shown.
    pub fn show(&self, shared: Arc<Shared>) {
        drop(self.shared.set(shared));
    }

    /// From now on the proxy is not ready, whatever else is said.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Told when somebody asks the proxy to quit.
    pub fn quit(&self) -> Arc<Notify> {
        self.quit.clone()
    }

    fn ready(&self) -> Ready {
        match self.draining.load(Ordering::Acquire) {
            true => Err("draining".into()),
            false => self.ready.borrow().clone(),
        }
    }
}

/// Serves the pages of a role until the future is dropped, and with it every connection.
///
/// # Errors
/// When the listener cannot be registered with the runtime.
pub fn serve(
    listener: std::net::TcpListener,
    role: Role,
    panel: Arc<Panel>,
) -> io::Result<impl Future<Output = ()> + Send> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    Ok(async move {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let panel = panel.clone();
                    connections.spawn(async move {
                        converse(stream, role, panel).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, ?role, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    })
}

async fn converse(stream: TcpStream, role: Role, panel: Arc<Panel>) {
    let service = service_fn(move |request| {
        let response = pages::answer(&panel, role, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, ?role, "a connection ended badly");
    }
}

#[cfg(test)]
mod tests;
