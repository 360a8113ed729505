//! What a connection of the API has to be: TLS from anywhere, plaintext from this machine alone.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use meltemi_apiserver::ClientCertificate;
use meltemi_identity::{Identity, Outlived, tls};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;

/// How long a client may take to send its first byte and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a record of the handshake (RFC 8446, 5.1). No HTTP request begins so.
const HANDSHAKE: u8 = 22;
/// What a client hears that speaks plaintext where it may not.
const TLS_ONLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 64\r\nconnection: close\r\n\r\nthe API is served over TLS here: ask by https, as this mesh does";

/// Who may come in.
#[derive(Clone)]
pub(crate) enum Door {
    /// Anybody, in plaintext: what is served is no secret, or is for this machine.
    Plain,
    /// TLS by this identity, and plaintext over the loopback; over others where `plaintext` says so.
    Secure {
        /// The control plane's own.
        identity: Identity,
        /// Whether the network is trusted.
        plaintext: bool,
    },
}

/// The right of a connection that was let in to go on.
pub(crate) struct Right(Option<(Identity, CertificateDer<'static>)>);

impl Right {
    /// Comes when the certificate that was shown is good no longer; without one never.
    pub(crate) async fn outlived(&self) -> Outlived {
        match &self.0 {
            Some((judge, certificate)) => judge.outlived(certificate).await,
            None => std::future::pending().await,
        }
    }
}

/// Who came in: the connection, the certificate that was shown, and for how long that is good.
type Entered = (Io, Option<ClientCertificate>, Right);

/// A connection that was let in.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Door {
    /// Lets a connection in, with the certificate that it has shown.
    ///
    /// # Errors
    /// When the handshake fails or is not done in time, and for plaintext where it may not be.
    pub(crate) async fn open(&self, stream: TcpStream) -> io::Result<Entered> {
        match tokio::time::timeout(PATIENCE, self.let_in(stream)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake in 10 s")),
        }
    }

    async fn let_in(&self, mut stream: TcpStream) -> io::Result<Entered> {
        let Door::Secure { identity, plaintext } = self else {
            return Ok((Io::Plain(stream), None, Right(None)));
        };
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE {
            return shake_hands(identity, stream).await;
        }
        if *plaintext || is_local(stream.local_addr()?) {
            return Ok((Io::Plain(stream), None, Right(None)));
        }
        stream.write_all(TLS_ONLY).await?;
        stream.shutdown().await?;
        Err(io::Error::other("plaintext from another machine"))
    }
}

fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

async fn shake_hands(identity: &Identity, stream: TcpStream) -> io::Result<Entered> {
    let mut config = ServerConfig::clone(&identity.tls().server_optional);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let Some(leaf) = shown.first() else {
        return Ok((Io::Tls(Box::new(stream)), None, Right(None)));
    };
    let id = tls::authenticate(shown, SystemTime::now()).map_err(io::Error::other)?;
    let right = Right(Some((identity.clone(), leaf.clone().into_owned())));
    let certificate = ClientCertificate {
        namespace: id.namespace().to_owned(),
        service_account: id.service_account().to_owned(),
        id: id.to_string(),
    };
    Ok((Io::Tls(Box::new(stream)), Some(certificate), right))
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plaintext_is_as_long_as_it_says() {
        let text = std::str::from_utf8(TLS_ONLY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
