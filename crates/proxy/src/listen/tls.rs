//! The called end of a connection between proxies: who calls, what they mean, and what they speak, as its TLS tells it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::tls;
use meltemi_names::SpiffeId;
use meltemi_telemetry::{Party, Word};
use meltemi_wire::proto::meltemi::v1::PeerMetadata;
use prost::Message;
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::alpn::Inner;
use super::announced::Meant;
use crate::io::{Io, Stream, keep_alive};
use crate::shared::{Local, Shared};

/// How long handshake and metadata may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest metadata, bytes.
const MAX_METADATA: usize = 4096;

/// Everything that is known of an inbound connection once it stands.
pub(crate) struct Opened {
    pub(crate) io: Io,
    /// Who calls; `None` in plaintext, where nobody proves anything.
    pub(crate) proof: Option<Proof>,
    /// The caller's labels for metrics.
    pub(crate) source: Party,
    /// What was negotiated; `None` if nothing was.
    pub(crate) inner: Option<Inner>,
    /// Host and port of the service that is meant, where the server name says so (Istio's
    /// `outbound_.PORT_.SUBSET_.HOST`).
    pub(crate) meant: Option<Meant>,
    /// The server name of the caller's hello.
    pub(crate) sni: Option<Box<str>>,
}

/// Who calls, proved by certificate.
pub(crate) struct Proof {
    pub(crate) identity: SpiffeId,
    /// The caller's certificate, DER.
    pub(crate) certificate: Vec<u8>,
}

impl Opened {
    /// A connection without TLS.
    pub(crate) fn plaintext(io: Io, meant: Option<Meant>) -> Opened {
        Opened { io, proof: None, source: Party::default(), inner: None, meant, sni: None }
    }
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The handshake failed: plaintext, a foreign certificate, none, or no TLS 1.3.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] io::Error),
    /// The certificate is not acceptable.
    #[error(transparent)]
    Peer(#[from] tls::PeerError),
    /// The caller did not say who it is as it had announced.
    #[error("the caller's metadata cannot be read")]
    Metadata,
    /// Not done in time.
    #[error("the TLS handshake was not finished within 10 s")]
    TimedOut,
}

/// Makes the handshake. `first` are bytes of it that were read already.
pub(crate) async fn open(
    shared: &Shared,
    stream: TcpStream,
    remote: SocketAddr,
    first: &[u8],
) -> Result<Opened, OpenError> {
    let opening = async {
        keep_alive(&stream);
        let config = shared.identity.tls().server.clone();
        let begin = |session: &mut ServerConnection| feed(session, first);
        let stream = TlsAcceptor::from(config).accept_with(stream, begin).await?;
        greet(stream).await
    };
    let opened = tokio::time::timeout(LIMIT, opening).await.unwrap_or(Err(OpenError::TimedOut));
    if let Err(error) = &opened {
        tracing::debug!(%remote, %error, "an inbound connection was refused");
    }
    opened
}

/// Makes the handshake with a caller outside of the mesh, by certificates of the user's own: it proves nothing to policies.
pub(crate) async fn terminate(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    remote: SocketAddr,
    first: &[u8],
    meant: Option<Meant>,
) -> Option<Opened> {
    keep_alive(&stream);
    let begin = |session: &mut ServerConnection| feed(session, first);
    let accepting = TlsAcceptor::from(config).accept_with(stream, begin);
    let stream = match tokio::time::timeout(LIMIT, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%remote, %error, "a caller by an ingress listener's TLS was refused");
            return None;
        }
        Err(_) => return None,
    };
    let session = stream.get_ref().1;
    let inner = session.alpn_protocol().and_then(Inner::of);
    let sni = session.server_name().map(Into::into);
    let io = Io::new(Stream::Tls(Box::new(TlsStream::Server(stream))));
    Some(Opened { inner, sni, ..Opened::plaintext(io, meant) })
}

/// Gives a session what its peer has sent.
fn feed(session: &mut ServerConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // What is wrong with them the session says again when the handshake goes on.
        if session.read_tls(&mut bytes).is_err() || session.process_new_packets().is_err() {
            return;
        }
    }
}

async fn greet(stream: tokio_rustls::server::TlsStream<TcpStream>) -> Result<Opened, OpenError> {
    let session = stream.get_ref().1;
    let certificates = session.peer_certificates().unwrap_or_default();
    let identity = tls::authenticate(certificates, SystemTime::now())?;
    let certificate = certificates.first().map(|der| der.to_vec()).unwrap_or_default();
    let sni: Option<Box<str>> = session.server_name().map(Into::into);
    let meant = sni.as_deref().and_then(parse_server_name);
    let alpn = session.alpn_protocol();
    let inner = alpn.and_then(Inner::of);
    let has_metadata = alpn.is_some_and(Inner::has_metadata);
    let io = Io::new(Stream::Tls(Box::new(TlsStream::Server(stream))));
    let mut source = Party::default();
    if has_metadata {
        source = party(&read_metadata(&io).await?);
    }
    source.principal = Word::new(&identity.to_string());
    Ok(Opened { io, proof: Some(Proof { identity, certificate }), source, inner, meant, sni })
}

/// Reads `outbound_.PORT_.SUBSET_.HOST`.
pub(crate) fn parse_server_name(name: &str) -> Option<Meant> {
    let rest = name.strip_prefix("outbound_.")?;
    let (port, rest) = rest.split_once("_.")?;
    let (_subset, host) = rest.split_once("_.")?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// What a proxy says of its workload before anything else: a length in two bytes and the message.
pub(crate) fn preface(local: &Local) -> Box<[u8]> {
    let party = &local.party;
    let metadata = PeerMetadata {
        workload_name: party.workload.to_string(),
        namespace: party.namespace.to_string(),
        canonical_service: party.canonical_service.to_string(),
        canonical_revision: party.canonical_revision.to_string(),
        app: party.app.to_string(),
        version: party.version.to_string(),
        cluster: party.cluster.to_string(),
    };
    // Nine words of at most 256 bytes each stay below the limit.
    let length = u16::try_from(metadata.encoded_len()).unwrap_or_default();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&metadata.encode_to_vec());
    bytes.into()
}

async fn read_metadata(io: &Io) -> Result<PeerMetadata, OpenError> {
    let mut length = [0; 2];
    read_exact(io, &mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MAX_METADATA {
        return Err(OpenError::Metadata);
    }
    let mut bytes = vec![0; length];
    read_exact(io, &mut bytes).await?;
    PeerMetadata::decode(&*bytes).map_err(|_| OpenError::Metadata)
}

async fn read_exact(io: &Io, into: &mut [u8]) -> Result<(), OpenError> {
    let mut read = 0;
    while read < into.len() {
        match poll_fn(|cx| io.poll_read(cx, &mut into[read..])).await? {
            0 => return Err(OpenError::Metadata),
            count => read += count,
        }
    }
    Ok(())
}

pub(crate) fn party(metadata: &PeerMetadata) -> Party {
    Party {
        workload: Word::new(&metadata.workload_name),
        namespace: Word::new(&metadata.namespace),
        canonical_service: Word::new(&metadata.canonical_service),
        canonical_revision: Word::new(&metadata.canonical_revision),
        app: Word::new(&metadata.app),
        version: Word::new(&metadata.version),
        cluster: Word::new(&metadata.cluster),
        ..Party::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_says_which_service_is_meant() {
        for (name, expected) in [
            (
                "outbound_.80_._.hello.default.svc.cluster.local",
                Some(("hello.default.svc.cluster.local", 80)),
            ),
            ("outbound_.9080_.v1_.reviews.shop", Some(("reviews.shop", 9080))),
            ("outbound_.x_._.a", None),
            ("outbound_.80_._", None),
            ("hello.default.svc.cluster.local", None),
        ] {
            let expected = expected.map(|(host, port): (&str, u16)| (host.to_owned(), port));
            assert_eq!(parse_server_name(name), expected, "{name}");
        }
    }
}
