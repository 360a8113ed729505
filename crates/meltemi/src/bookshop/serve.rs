//! How the bookshop's services listen, say where, and end: after the last request, when they are told to.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::BookshopError;

/// Listens on loopback, and prints the address: port 0 takes a free one.
pub(super) async fn listen(service: &'static str, port: u16) -> Result<TcpListener, BookshopError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let refused = |reason| BookshopError::Listen { service, address, reason };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    println!("{service} listens on {}", listener.local_addr().map_err(refused)?);
    Ok(listener)
}

/// Serves over HTTP until told to end.
pub(super) async fn http(
    service: &'static str,
    port: u16,
    routes: Router,
) -> Result<(), BookshopError> {
    let stop = Stop::on_signals()?;
    let listener = listen(service, port).await?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.wait())
        .await
        .map_err(|error| BookshopError::Serve { service, reason: error.to_string() })
}

/// The word to end: SIGTERM or SIGINT.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes the signals from here on.
    pub(super) fn on_signals() -> Result<Stop, BookshopError> {
        let refused = |reason| BookshopError::System { what: "receive signals", reason };
        Ok(Stop {
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
        })
    }

    /// Waits for either.
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
