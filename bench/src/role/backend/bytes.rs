//! An endpoint that knows nothing but bytes: as many as are taken, or a few back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::role::load::tcp::SHORT;

/// Length of one write of the source.
const CHUNK: usize = 64 * 1024;

/// Writes what is taken, from the first byte that is read on: a proxy that waits for the client to speak first is not
/// put at a disadvantage.
pub(super) async fn source(mut stream: TcpStream) -> io::Result<()> {
    if stream.read_u8().await.is_err() {
        return Ok(());
    }
    let chunk = vec![b'x'; CHUNK];
    loop {
        stream.write_all(&chunk).await?;
    }
}

/// Sends the few bytes back, and is the first to close.
pub(super) async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = [0; SHORT.len()];
    stream.read_exact(&mut bytes).await?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await?;
    // Until the caller closes too: else what it still sends would be answered with a reset.
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}
