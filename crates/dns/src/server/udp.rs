//! Questions over UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::handle::{Handler, Step};
use super::{Limits, stopped};
use crate::message::{PLAIN_UDP, SAFE_UDP};

/// After an error that is not about one datagram the socket is left alone for so long.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is stopped, then finishes what waits for other servers.
pub(super) async fn serve(
    socket: UdpSocket,
    handler: Arc<Handler>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; limits.question];
    loop {
        let received = tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = waiting.join_next() => continue,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        if !may_be_answered(client) {
            continue;
        }
        let limit = |payload: Option<u16>| udp_limit(payload, client, &limits);
        match handler.begin(&buffer[..length], limit) {
            Step::Reply(reply) => send(&socket, &reply, client).await,
            Step::Ask(ask) => {
                let (socket, handler) = (socket.clone(), handler.clone());
                waiting.spawn(async move {
                    let reply = handler.finish(*ask).await;
                    send(&socket, &reply, client).await;
                });
            }
            Step::Nothing => {}
        }
    }
    while waiting.join_next().await.is_some() {}
}

/// What a client takes and the way to it carries.
fn udp_limit(payload: Option<u16>, client: SocketAddr, limits: &Limits) -> usize {
    let way =
        if client.ip().to_canonical().is_loopback() { limits.local_udp_reply } else { SAFE_UDP };
    payload.unwrap_or(PLAIN_UDP).min(way).max(PLAIN_UDP).into()
}

/// Forged senders whose replies would go nowhere, or to many.
fn may_be_answered(client: SocketAddr) -> bool {
    let ip = client.ip();
    client.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(reply, client).await {
        tracing::debug!(%client, %error, "a reply could not be sent");
    }
}

async fn pause(error: &io::Error) {
    // The echo of a reply that its client did not wait for.
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return;
    }
    tracing::warn!(%error, "cannot receive questions over UDP");
    tokio::time::sleep(PAUSE).await;
}
