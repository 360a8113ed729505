//! HTTP/1.1 by hand: what is sent is said byte by byte, what comes is read strictly.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Response;
use super::response::read_response;
use crate::patience::within;

/// One connection.
#[derive(Debug)]
pub struct Http1 {
    stream: BufReader<TcpStream>,
}

impl Http1 {
    /// Opens a connection.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// Opens a connection, if it is taken.
    ///
    /// # Errors
    /// What the system says.
    pub async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Http1 { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// If the connection is broken.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.expect("the connection takes bytes");
    }

    /// Sends bytes, if they are taken.
    ///
    /// # Errors
    /// The connection's.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", self.stream.get_mut().write_all(bytes)).await
    }

    /// Sends bytes in pieces of a length, each in a segment of its own.
    ///
    /// # Panics
    /// If the connection is broken.
    pub async fn send_in_pieces(&mut self, bytes: &[u8], length: usize) {
        for piece in bytes.chunks(length) {
            self.send(piece).await;
            // Lets the other side read before the next one.
            tokio::task::yield_now().await;
        }
    }

    /// Reads a response to a request of any method but HEAD.
    ///
    /// # Panics
    /// If what comes is none.
    pub async fn response(&mut self) -> Response {
        self.try_response("GET").await.unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Reads the response to a request of this method; interim responses but 101 are noted in it.
    ///
    /// # Errors
    /// The connection's, `UnexpectedEof` where it ends early, `InvalidData` where it is no HTTP.
    pub async fn try_response(&mut self, method: &str) -> io::Result<Response> {
        within("a response", read_response(&mut self.stream, method)).await
    }

    /// Sends a request and reads its response. The target is in origin or absolute form; `host` is added where the
    /// headers have none, `content-length` where there is a body.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_call(method, target, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// The same, telling where it fails.
    ///
    /// # Errors
    /// As [`Http1::try_response`].
    pub async fn try_call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let own = self.stream.get_ref().peer_addr()?.to_string();
        let mut message = head(method, target, &own, headers, body.len()).into_bytes();
        message.extend_from_slice(body);
        self.try_send(&message).await?;
        self.try_response(method).await
    }

    /// Gets a target.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn get(&mut self, target: &str) -> Response {
        self.call("GET", target, &[], b"").await
    }

    /// Whether the other side ends the connection now without a further byte; a reset counts.
    pub async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match within("the end of the connection", self.stream.read(&mut byte)).await {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::TimedOut,
        }
    }

    /// The connection, for what follows a change of protocol.
    pub fn stream(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.stream
    }

    /// The connection itself.
    pub fn into_stream(self) -> BufReader<TcpStream> {
        self.stream
    }
}

/// The head of a request; `own` is the host of a target in origin form.
fn head(method: &str, target: &str, own: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let rest = target.strip_prefix("http://").unwrap_or(own);
        let host = rest.split('/').next().unwrap_or(rest);
        head.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    head
}
