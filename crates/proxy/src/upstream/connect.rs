//! Opens a connection to an endpoint, and makes sure of who is at its other end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use meltemi_identity::tls::{self, PeerError};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::route::{Place, Route, app_address};
use crate::config::{Address, Cluster, Endpoint, MutualTls};
use crate::io::{Io, Stream, keep_alive};
use crate::listen::alpn::Inner;
use crate::worker::Worker;

/// How long a connection may take, TLS included (Istio's default connect timeout).
const LIMIT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has no address.
    #[error("{0} cannot be resolved: {1}")]
    Resolve(String, io::Error),
    /// TCP failed.
    #[error("{0}: {1}")]
    Tcp(String, io::Error),
    /// TLS failed, or the peer refused us.
    #[error("TLS with {0}: {1}")]
    Tls(SocketAddr, io::Error),
    /// Somebody else answered.
    #[error("TLS with {0}: {1}")]
    Peer(SocketAddr, PeerError),
    /// It would lead back here.
    #[error("{0} is a listener of this very proxy")]
    Circle(SocketAddr),
    /// Not done in time.
    #[error("no connection within 10 s")]
    TimedOut,
}

/// A connection, and what has to be written before anything else.
pub(crate) struct Connected<'a> {
    pub(crate) io: Io,
    pub(crate) preface: &'a [u8],
}

/// Connects.
pub(crate) async fn connect<'a>(
    worker: &'a Worker,
    route: &Route,
) -> Result<Connected<'a>, ConnectError> {
    let connecting = async {
        match &route.place {
            Place::Endpoint(cluster, endpoint) => {
                to_endpoint(worker, cluster, endpoint, route.inner).await
            }
            Place::App(port) => to_app(worker, *port).await,
            Place::Outside(host, port) => plain(to_name(worker, host, *port).await?.0),
        }
    };
    tokio::time::timeout(LIMIT, connecting).await.unwrap_or(Err(ConnectError::TimedOut))
}

fn plain<'a>(stream: TcpStream) -> Result<Connected<'a>, ConnectError> {
    Ok(Connected { io: Io::new(Stream::Tcp(stream)), preface: &[] })
}

async fn to_app(worker: &Worker, port: u16) -> Result<Connected<'_>, ConnectError> {
    let connected = to_address(app_address(port)).await;
    if let Err(ConnectError::Tcp(..)) = &connected {
        // Applications that listen on IPv6 only are reached there.
        if let Ok(stream) =
            to_address(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))).await
        {
            return plain(stream);
        }
        worker.shared.app.report_refused(port);
    }
    plain(connected?)
}

async fn to_endpoint<'a>(
    worker: &'a Worker,
    cluster: &Cluster,
    endpoint: &Endpoint,
    inner: Inner,
) -> Result<Connected<'a>, ConnectError> {
    let port = endpoint.tls.as_ref().map_or(endpoint.port, |tls| tls.port);
    let (stream, address) = match &endpoint.address {
        Address::Ip(ip) => {
            let address = SocketAddr::new(*ip, port);
            (to_address(address).await?, address)
        }
        Address::Name(name) => to_name(worker, name, port).await?,
    };
    match &endpoint.tls {
        Some(expected) => secure(worker, cluster, stream, address, expected, inner).await,
        None => plain(stream),
    }
}

async fn to_address(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let failed = |error| ConnectError::Tcp(address.to_string(), error);
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

async fn to_name(
    worker: &Worker,
    name: &str,
    port: u16,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let unresolved = |error| ConnectError::Resolve(name.to_owned(), error);
    let mut last = unresolved(io::ErrorKind::NotFound.into());
    for address in tokio::net::lookup_host((name, port)).await.map_err(unresolved)? {
        if worker.is_own(address) {
            last = ConnectError::Circle(address);
            continue;
        }
        match to_address(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn secure<'a>(
    worker: &'a Worker,
    cluster: &Cluster,
    stream: TcpStream,
    address: SocketAddr,
    expected: &MutualTls,
    inner: Inner,
) -> Result<Connected<'a>, ConnectError> {
    keep_alive(&stream);
    let config = worker.shared.identity.tls().clients[inner.client()].clone();
    let stream = TlsConnector::from(config)
        .connect(cluster.sni.clone(), stream)
        .await
        .map_err(|error| ConnectError::Tls(address, error))?;
    let session = stream.get_ref().1;
    let certificates = session.peer_certificates().unwrap_or_default();
    let refused = |error| ConnectError::Peer(address, error);
    let found = tls::authenticate(certificates, SystemTime::now()).map_err(refused)?;
    if found != expected.identity {
        let (found, expected) = (Box::new(found), Box::new(expected.identity.clone()));
        return Err(refused(PeerError::Other { found, expected }));
    }
    let has_metadata = session.alpn_protocol().is_some_and(Inner::has_metadata);
    let io = Io::new(Stream::Tls(Box::new(TlsStream::Client(stream))));
    Ok(Connected { io, preface: if has_metadata { &worker.preface } else { &[] } })
}
