//! A connection to a workload that takes mutual TLS and plaintext, or plaintext alone: which of the two it is, by its first
//! bytes, as Istio's `PERMISSIVE` has it
//! (<https://istio.io/latest/docs/reference/config/security/peer_authentication/#PeerAuthentication-MutualTLS-Mode>).

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use rustls::server::ClientHello;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::alpn::Inner;
use super::announced::{self, Meant};
use super::hello::{HANDSHAKE, Hello, LONGEST};
use super::tls::parse_server_name;
use crate::http::h1::Reader;
use crate::io::{Io, Stream};

/// How long a caller may take over a ClientHello that it has begun.
const HELLO: Duration = Duration::from_secs(10);
/// How long other first bytes may leave open what they are. Who sends such a header sends it whole.
const HEADER: Duration = Duration::from_secs(1);

/// What a connection turned out to be.
pub(crate) enum First {
    /// Mutual TLS of the mesh, and what was read of it.
    MutualTls(TcpStream, Vec<u8>),
    /// Plaintext: its bytes, and what its first ones said to be meant.
    Plaintext(Io, Reader, Option<Meant>),
}

/// What it means that a caller says nothing for this long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    pub(crate) limit: Duration,
    /// It waits for the application to speak first; else the connection is closed.
    pub(crate) is_plaintext: bool,
}

/// Looks at the first bytes; `None` if the connection came to nothing.
pub(crate) async fn look(stream: TcpStream, takes_tls: bool, silence: Silence) -> Option<First> {
    let io = Io::new(Stream::Tcp(stream));
    let mut reader = Reader::new(io.clone());
    match timeout(silence.limit, poll_fn(|cx| reader.poll_fill(cx))).await {
        Ok(filled) => filled.ok()?,
        Err(_) if silence.is_plaintext => return Some(First::Plaintext(io, reader, None)),
        Err(_) => return None,
    }
    let mut bytes = Bytes { takes_tls, hello: Hello::default() };
    let is_hello = takes_tls && reader.filled().first() == Some(&HANDSHAKE);
    let limit = if is_hello { HELLO } else { HEADER };
    let looking = poll_fn(|cx| {
        loop {
            if let Poll::Ready(kind) = bytes.look(reader.filled()) {
                return Poll::Ready(kind);
            }
            if reader.is_ended() || reader.filled().len() >= LONGEST {
                return Poll::Ready(Kind::Plaintext(None));
            }
            if ready!(reader.poll_fill(cx)).is_err() {
                return Poll::Ready(Kind::Plaintext(None));
            }
        }
    });
    let kind = match timeout(limit, looking).await {
        Ok(kind) => kind,
        Err(_) if is_hello => return None,
        Err(_) => Kind::Plaintext(None),
    };
    match kind {
        Kind::MutualTls => {
            let bytes = reader.filled().to_vec();
            drop(reader);
            Some(First::MutualTls(io.into_tcp()?, bytes))
        }
        Kind::Plaintext(None) => Some(First::Plaintext(io, reader, None)),
        Kind::Plaintext(Some((meant, length))) => {
            reader.skip(length);
            Some(First::Plaintext(io, reader.behind_proxy(), Some(meant)))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    MutualTls,
    /// What is meant, and the length of the header that says it.
    Plaintext(Option<(Meant, usize)>),
}

/// First bytes that come in parts.
struct Bytes {
    takes_tls: bool,
    hello: Hello,
}

impl Bytes {
    fn look(&mut self, bytes: &[u8]) -> Poll<Kind> {
        if bytes.is_empty() {
            return Poll::Pending;
        }
        if let Some(said) = ready!(announced::read(bytes)) {
            return Poll::Ready(Kind::Plaintext(Some(said)));
        }
        let is_mesh = match self.takes_tls {
            true => ready!(self.hello.look(bytes, is_of_mesh)).unwrap_or_default(),
            false => false,
        };
        Poll::Ready(if is_mesh { Kind::MutualTls } else { Kind::Plaintext(None) })
    }
}

/// Whether a proxy of a mesh says hello. Another client's TLS is for the application.
fn is_of_mesh(hello: &ClientHello<'_>) -> bool {
    let is_named = hello.server_name().is_some_and(|name| parse_server_name(name).is_some());
    is_named || hello.alpn().is_some_and(|mut offered| offered.any(Inner::is_of_mesh))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &'static str, alpn: &[&str]) -> Vec<u8> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn look(bytes: &[u8], takes_tls: bool) -> Poll<Kind> {
        Bytes { takes_tls, hello: Hello::default() }.look(bytes)
    }

    #[test]
    fn first_bytes_tell_mutual_tls_from_plaintext() {
        let istio = "outbound_.80_._.hello.default.svc.cluster.local";
        for (name, alpn, is_mesh) in [
            ("a.example.com", &["meltemi-tcp"][..], true),
            ("a.example.com", &["istio-peer-exchange", "istio"], true),
            ("127.0.0.1", &["h2", "istio-http/1.1"], true),
            (istio, &[], true),
            (istio, &["h2"], true),
            ("a.example.com", &[], false),
            ("a.example.com", &["h2", "http/1.1"], false),
            ("127.0.0.1", &[], false),
        ] {
            let bytes = hello(name, alpn);
            let expected = if is_mesh { Kind::MutualTls } else { Kind::Plaintext(None) };
            assert_eq!(look(&bytes, true), Poll::Ready(expected), "{name} {alpn:?}");
            assert!(look(&bytes[..bytes.len() - 1], true).is_pending(), "{name} {alpn:?}");
            // Where no port takes it, TLS is the application's.
            assert_eq!(look(&bytes, false), Poll::Ready(Kind::Plaintext(None)), "{name} {alpn:?}");
        }
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"*1\r\n$4\r\nPING", b"\x15\x03\x03", b"\r\nx"] {
            assert_eq!(look(bytes, true), Poll::Ready(Kind::Plaintext(None)), "{bytes:?}");
        }
        assert!(look(b"\r\n\r\n", true).is_pending());
        let said = announced::header(istio);
        let meant = ("hello.default.svc.cluster.local".to_owned(), 80);
        for takes_tls in [true, false] {
            let expected = Kind::Plaintext(Some((meant.clone(), said.len())));
            assert_eq!(look(&said, takes_tls), Poll::Ready(expected));
        }
    }
}
