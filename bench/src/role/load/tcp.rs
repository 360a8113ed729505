//! Bulk bytes: asks for them with one byte, and reads as fast as they come.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Load;
use super::connection::connect;

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
