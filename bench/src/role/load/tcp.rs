//! Opaque bytes: bulk, asked for with one byte and read as fast as they come; or a few there and back on a connection of
//! their own.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Load;
use super::connection::connect;

/// What is sent, and comes back.
pub const SHORT: &[u8; 16] = b"sixteen bytes...";
/// Length of a read.
const CHUNK: usize = 256 * 1024;

/// Reads until the connection ends.
pub(super) async fn run(load: &Load, target: SocketAddr) -> io::Result<()> {
    let mut stream = connect(target).await?;
    stream.write_all(b"x").await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::Error::other("the connection was closed")),
            length => load.received(length),
        }
    }
}

/// Makes one exchange after the other, each over a new connection, to all targets in turn.
pub(super) async fn short(load: &Load, targets: &[SocketAddr]) -> io::Result<()> {
    loop {
        let due = load.pace.next().await;
        let turn = load.turn.replace(load.turn.get().wrapping_add(1));
        exchange(targets[turn % targets.len()]).await?;
        load.answered(due, SHORT.len());
    }
}

/// A connection, the few bytes there and back, and its end, which the other side makes first.
pub async fn exchange(target: SocketAddr) -> io::Result<()> {
    let mut stream = connect(target).await?;
    stream.write_all(SHORT).await?;
    let mut back = Vec::with_capacity(2 * SHORT.len());
    while stream.read_buf(&mut back).await? > 0 && back.len() <= SHORT.len() {}
    if back != SHORT {
        return Err(io::Error::other(format!("{} bytes of {} came back", back.len(), SHORT.len())));
    }
    Ok(())
}
