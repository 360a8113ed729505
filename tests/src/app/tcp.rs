//! Applications that speak no protocol that the mesh knows.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Server;

/// A TCP application.
#[derive(Debug)]
pub struct TcpApp {
    server: Server,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl TcpApp {
    /// Sends back what comes, and ends its side after the client's.
    pub async fn echo() -> Self {
        Self::start(b"", b"").await
    }

    /// Speaks first, as a mail server does, then sends back what comes.
    pub async fn banner(banner: &'static [u8]) -> Self {
        Self::start(banner, b"").await
    }

    /// Answers the first bytes of a connection with a text, and ends it: whatever a broken server may say.
    pub async fn answers(text: &'static [u8]) -> Self {
        Self::start(b"", text).await
    }

    async fn start(banner: &'static [u8], answer: &'static [u8]) -> Self {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let shared = seen.clone();
        let serve = move |stream| serve(shared.clone(), banner, answer, stream);
        TcpApp { server: Server::start(serve).await, seen }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// All bytes that came, over all connections.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().clone()
    }
}

async fn serve(
    seen: Arc<Mutex<Vec<u8>>>,
    banner: &'static [u8],
    answer: &'static [u8],
    mut stream: TcpStream,
) {
    if stream.write_all(banner).await.is_err() {
        return;
    }
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        seen.lock().extend_from_slice(&buffer[..count]);
        let back = if answer.is_empty() { &buffer[..count] } else { answer };
        if stream.write_all(back).await.is_err() {
            return;
        }
        if !answer.is_empty() {
            break;
        }
    }
    drop(stream.shutdown().await);
}
