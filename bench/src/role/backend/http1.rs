//! HTTP/1.1 of an endpoint: requests in, the same bytes out.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Answer;
use crate::role::http1::head;

/// A head that is longer is no request.
const MAX_HEAD: usize = 64 * 1024;

/// Answers until the connection ends. `buffer` holds what was read already.
pub(super) async fn serve(
    mut stream: TcpStream,
    mut buffer: Vec<u8>,
    answer: &Answer,
) -> io::Result<()> {
    // Bytes of a request's body that are still to come.
    let mut skip = 0;
    loop {
        let taken = skip.min(buffer.len());
        buffer.drain(..taken);
        skip -= taken;
        if skip == 0
            && let Some(head) = head(&buffer)
        {
            buffer.drain(..head.length);
            skip = head.body.unwrap_or(0);
            stream.write_all(if head.close { &answer.last } else { &answer.kept }).await?;
            if head.close {
                return stream.shutdown().await;
            }
            continue;
        }
        if buffer.len() > MAX_HEAD || stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}
