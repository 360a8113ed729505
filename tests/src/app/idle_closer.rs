//! An HTTP/1.1 application that closes a connection that was idle for a while, as most servers do: the other half of
//! the keep-alive race.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Server;

/// The application.
#[derive(Debug)]
pub struct IdleCloser {
    server: Server,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    closed: AtomicU64,
}

impl IdleCloser {
    /// Starts it; `idle` is how long it keeps a connection without a request.
    pub async fn start(idle: Duration) -> Self {
        let counts = Arc::<Counts>::default();
        let shared = counts.clone();
        let server = Server::start(move |stream| serve(shared.clone(), idle, stream)).await;
        IdleCloser { server, counts }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// How many requests it answered.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many connections it closed because they were idle.
    pub fn closed(&self) -> u64 {
        self.counts.closed.load(Ordering::SeqCst)
    }
}

async fn serve(counts: Arc<Counts>, idle: Duration, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    loop {
        match timeout(idle, read_head(&mut stream)).await {
            Ok(true) => {}
            Ok(false) => return,
            // Dropping the stream closes it, even with a request on its way.
            Err(_) => {
                counts.closed.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Reads a head without a body; `false` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> bool {
    let mut line = String::new();
    loop {
        line.clear();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return false,
            Ok(_) if line == "\r\n" => return true,
            Ok(_) => {}
        }
    }
}
