//! Questions over TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handle::{Handler, Step};
use super::{Limits, stopped};

/// When no connection can be accepted, for want of file descriptors say, the next attempt is made after this.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is stopped, then lets each connection finish the question that it is at.
pub(super) async fn serve(
    listener: TcpListener,
    handler: Arc<Handler>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.tcp_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept DNS connections");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            tracing::debug!(%client, limit = limits.tcp_connections, "too many DNS connections");
            continue;
        };
        let connection = Connection { stream, client, limits, handler: handler.clone() };
        let stopping = stopping.clone();
        connections.spawn(async move {
            let _permit = permit;
            connection.run(stopping).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    limits: Limits,
    handler: Arc<Handler>,
}

impl Connection {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let idle = self.limits.tcp_idle;
            let question = tokio::select! {
                () = stopped(&mut stopping) => return,
                question = timeout(idle, read(&mut self.stream, self.limits.question)) => question,
            };
            let Ok(Ok(question)) = question else {
                tracing::trace!(client = %self.client, "a DNS connection ends");
                return;
            };
            let reply = match self.handler.begin(&question, |_| usize::from(u16::MAX)) {
                Step::Reply(reply) => reply,
                Step::Ask(ask) => self.handler.finish(*ask).await,
                Step::Nothing => return,
            };
            if !matches!(timeout(idle, write(&mut self.stream, &reply)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

async fn read(stream: &mut TcpStream, limit: usize) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the question is too long"));
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

/// The length and the message go in one segment, as clients that read only once expect (RFC 7766).
async fn write(stream: &mut TcpStream, reply: &[u8]) -> io::Result<()> {
    let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
    let mut framed = Vec::with_capacity(2 + reply.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(reply);
    stream.write_all(&framed).await
}
