//! HTTP/1.1 of the load generator: one request made beforehand, answers read no further than they must.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::role::http1::{find, head, status};

/// Length of a read of a long body.
const CHUNK: usize = 256 * 1024;

/// An answer that was good.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Length of its body.
    pub body: usize,
    /// Whether the connection ends behind it.
    pub close: bool,
}

/// The request, as clients send it.
pub fn request(host: &str, close: bool) -> Vec<u8> {
    let more = if close { "connection: close\r\n" } else { "" };
    format!(
        "GET /items/42 HTTP/1.1\r\nhost: {host}\r\nuser-agent: meltemi-bench\r\naccept: */*\r\n{more}\r\n"
    )
    .into_bytes()
}

/// The same as a proxy is asked for it: with the whole URL.
pub fn request_through(host: &str) -> Vec<u8> {
    format!(
        "GET http://{host}/items/42 HTTP/1.1\r\nhost: {host}\r\nuser-agent: meltemi-bench\r\naccept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// A connection.
#[derive(Debug)]
pub struct Http1 {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where bodies go that are longer than the buffer.
    chunk: Vec<u8>,
}

impl Http1 {
    /// Over a stream that nothing was sent on.
    pub fn new(stream: TcpStream) -> Self {
        Http1 { stream, buffer: Vec::with_capacity(16 * 1024), chunk: Vec::new() }
    }

    /// The stream, behind the last answer.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Reads so many bytes of a body, and keeps none.
    async fn skip(&mut self, length: usize) -> io::Result<()> {
        let mut left = length;
        if left > 0 && self.chunk.is_empty() {
            self.chunk.resize(CHUNK, 0);
        }
        while left > 0 {
            let most = left.min(CHUNK);
            match self.stream.read(&mut self.chunk[..most]).await? {
                0 => return Err(io::Error::other("the connection was closed within a body")),
                read => left -= read,
            }
        }
        Ok(())
    }

    /// Which endpoint gave the last answer.
    pub fn endpoint(&self) -> Option<usize> {
        let head = &self.buffer[..head(&self.buffer)?.length];
        std::str::from_utf8(find(head, b"x-endpoint")?).ok()?.parse().ok()
    }

    /// Sends the request and reads the answer, which must be a 200 with its length.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the connection was closed without a whole answer"));
            }
            let Some(head) = head(&self.buffer) else { continue };
            if status(&self.buffer) != Some(200) {
                let line = self.buffer.split(|byte| *byte == b'\r').next().unwrap_or_default();
                return Err(io::Error::other(String::from_utf8_lossy(line).into_owned()));
            }
            let length = head.body.ok_or_else(|| io::Error::other("no content-length"))?;
            let read = self.buffer.len() - head.length;
            self.skip(length.saturating_sub(read)).await?;
            return Ok(Answer { body: length, close: head.close });
        }
    }
}
