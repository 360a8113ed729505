//! The called side: accepts connections, makes the TLS handshakes side by side, and hands the ready ones on.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::Stream;
use meltemi_identity::tls;
use meltemi_names::SpiffeId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes may run at a time; further connections wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 256;
/// How long to wait after the kernel refused to accept (no file descriptors left, for example).
const PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection; found in the extensions of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The remote address.
    pub address: SocketAddr,
    /// Whom the client's certificate names; `None` without TLS and for clients that have no certificate yet.
    pub identity: Option<Arc<SpiffeId>>,
    /// The certificate that says so.
    pub certificate: Option<CertificateDer<'static>>,
}

/// A connection that is ready for gRPC.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    io: Io,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The ready connections of a listener, for tonic's `serve_with_incoming`. The listener is closed when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<io::Result<Connection>>,
}

impl Incoming {
    /// Connections in plaintext.
    pub fn plaintext(listener: TcpListener) -> Self {
        Self::start(listener, None)
    }

    /// Connections over TLS, with the configuration that `config` gives at the moment of each. It must accept `h2` by
    /// ALPN.
    pub fn tls(
        listener: TcpListener,
        config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static,
    ) -> Self {
        Self::start(listener, Some(Arc::new(config)))
    }

    fn start(listener: TcpListener, tls: Option<ConfigSource>) -> Self {
        let (sender, ready) = mpsc::channel(64);
        tokio::spawn(accept_all(listener, tls, sender));
        Incoming { ready }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx)
    }
}

type ConfigSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

async fn accept_all(
    listener: TcpListener,
    tls: Option<ConfigSource>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (tls, ready) = (tls.clone(), ready.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, shake_hands(stream, address, tls)).await {
                // The server is gone if nobody takes the connection.
                Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%address, "TLS handshake not finished in 10 s"),
            }
            drop(permit);
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<ConfigSource>,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        let peer = Peer { address, identity: None, certificate: None };
        return Ok(Connection { peer, io: Io::Plain(stream) });
    };
    let stream = TlsAcceptor::from(tls()).accept(stream).await?;
    let (identity, certificate) = match stream.get_ref().1.peer_certificates() {
        None | Some([]) => (None, None),
        Some(certificates) => {
            let id =
                tls::authenticate(certificates, SystemTime::now()).map_err(io::Error::other)?;
            (Some(Arc::new(id)), certificates.first().map(|leaf| leaf.clone().into_owned()))
        }
    };
    let peer = Peer { address, identity, certificate };
    Ok(Connection { peer, io: Io::Tls(Box::new(stream)) })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
