//! Opens a connection to an endpoint, and makes sure of who is at its other end.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meltemi_identity::tls::PeerError;
use meltemi_names::SpiffeId;
use rustix::io::Errno;
use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};

use super::proxy_protocol;
use super::route::{Outside, Place, Route};
use super::secure::Beneath;
use crate::config::{Address, App, At, Cluster, Endpoint, Origination};
use crate::io::{Io, Stream, keep_alive};
use crate::listen::alpn::Inner;
use crate::listen::announced;
use crate::worker::Worker;

/// How long a connection may take, TLS included, where no rule can say it.
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
    /// Somebody answered whom the rule does not name.
    #[error("TLS with {0}: {1} answered, which is none of the subjectAltNames {2}")]
    Names(SocketAddr, String, String),
    /// Somebody of another trust domain answered, whom nothing names.
    #[error(
        "TLS with {0}: {1} answered, which is of another trust domain; a workload of one must be named in subjectAltNames"
    )]
    Stranger(SocketAddr, Box<SpiffeId>),
    /// The destination rule asks for what cannot be done.
    #[error("the DestinationRule's connection settings: {0}")]
    Rule(Arc<str>),
    /// It would lead back here.
    #[error("{0} is a listener of this very proxy")]
    Circle(SocketAddr),
    /// Not done in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

impl ConnectError {
    /// Whether there was a connection, but no TLS with whom it should be.
    pub(crate) fn is_tls(&self) -> bool {
        match self {
            ConnectError::Tls(..)
            | ConnectError::Peer(..)
            | ConnectError::Names(..)
            | ConnectError::Stranger(..) => true,
            ConnectError::Resolve(..)
            | ConnectError::Tcp(..)
            | ConnectError::Rule(_)
            | ConnectError::Circle(_)
            | ConnectError::TimedOut(_) => false,
        }
    }

    /// Whether this machine had nothing to make it with: no descriptor, port or memory. That says nothing of the peer.
    pub(crate) fn is_local(&self) -> bool {
        let (ConnectError::Resolve(_, error) | ConnectError::Tcp(_, error)) = self else {
            return false;
        };
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        matches!(
            errno,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
        )
    }
}

/// A connection, and what has to be written before anything else.
pub(crate) struct Connected<'a> {
    pub(crate) io: Io,
    pub(crate) preface: &'a [u8],
}

impl Connected<'_> {
    pub(super) fn new(stream: Stream) -> Self {
        Connected { io: Io::new(stream), preface: &[] }
    }
}

/// Connects.
pub(crate) async fn connect<'a>(
    worker: &'a Worker,
    route: &Route,
) -> Result<Connected<'a>, ConnectError> {
    let limit = route.origination().map_or(LIMIT, |it| it.limits.connect_timeout);
    let connecting = async {
        match &route.place {
            Place::Endpoint(cluster, endpoint) => {
                to_endpoint(worker, cluster, endpoint, route.inner).await
            }
            Place::App(app) => to_app(worker, app).await,
            Place::Outside(outside) => to_host(worker, outside, route.inner).await,
        }
    };
    tokio::time::timeout(limit, connecting).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

async fn to_app<'w>(worker: &'w Worker, app: &App) -> Result<Connected<'w>, ConnectError> {
    let failed = |error| ConnectError::Tcp(app.place.at.to_string(), error);
    if let At::Loopback(port) = app.place.at
        && let Some(connected) = worker.shared.handlers.connect(port)
    {
        return connected.map(|stream| Connected::new(Stream::Unix(stream))).map_err(failed);
    }
    let connected = match &app.place.at {
        At::Loopback(port) => to_loopback(*port).await,
        At::Address(address) if worker.is_own(*address) => Err(ConnectError::Circle(*address)),
        At::Address(address) => to_address(*address).await,
        At::Unix(path) => {
            let connected = UnixStream::connect(path).await.map_err(failed);
            if connected.is_err() {
                worker.shared.app.report_refused(app.port);
            }
            return Ok(Connected::new(Stream::Unix(connected?)));
        }
    };
    if let Err(ConnectError::Tcp(..)) = &connected {
        worker.shared.app.report_refused(app.port);
    }
    let stream = connected?;
    if let Some(rule) = &app.origination.limits.keepalive {
        // Without it a connection works too.
        drop(SockRef::from(&stream).set_tcp_keepalive(rule));
    }
    Ok(Connected::new(Stream::Tcp(stream)))
}

/// Applications that listen on IPv6 only are reached there.
async fn to_loopback(port: u16) -> Result<TcpStream, ConnectError> {
    match to_address(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(stream) => Ok(stream),
        Err(error) => {
            let other = to_address(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await;
            other.map_err(|_| error)
        }
    }
}

async fn to_endpoint<'a>(
    worker: &'a Worker,
    cluster: &Cluster,
    endpoint: &Endpoint,
    inner: Inner,
) -> Result<Connected<'a>, ConnectError> {
    let beneath = Beneath::of(cluster, endpoint, inner)?;
    let port = endpoint.entry();
    let (mut stream, address) = match &endpoint.address {
        Address::Ip(ip) => {
            let address = SocketAddr::new(*ip, port);
            (to_address(address).await?, address)
        }
        Address::Name(name) => to_name(worker, name, port).await?,
    };
    if endpoint.tls.is_some() && !beneath.is_mesh() {
        announce(&mut stream, cluster, address).await?;
    }
    dress(worker, &cluster.origination, beneath, stream, address, inner).await
}

/// Says to a sidecar which port of which service is meant, where no TLS says it.
async fn announce(
    stream: &mut TcpStream,
    cluster: &Cluster,
    address: SocketAddr,
) -> Result<(), ConnectError> {
    let ServerName::DnsName(name) = &cluster.sni else { return Ok(()) };
    let failed = |error| ConnectError::Tcp(address.to_string(), error);
    stream.write_all(&announced::header(name.as_ref())).await.map_err(failed)
}

/// To a host whose own address is called. What a rule says of its TLS holds for it too.
async fn to_host<'a>(
    worker: &'a Worker,
    Outside { host, port, cluster }: &Outside,
    inner: Inner,
) -> Result<Connected<'a>, ConnectError> {
    let port = *port;
    let Some(cluster) = cluster.as_ref().filter(|cluster| cluster.origination.id != 0) else {
        return Ok(Connected::new(Stream::Tcp(to_name(worker, host, port).await?.0)));
    };
    let beneath = Beneath::of_host(cluster, host, inner)?;
    let (stream, address) = to_name(worker, host, port).await?;
    dress(worker, &cluster.origination, beneath, stream, address, inner).await
}

/// Makes of a TCP connection what the rule asks for.
async fn dress<'a>(
    worker: &'a Worker,
    origination: &Origination,
    beneath: Beneath<'_>,
    mut stream: TcpStream,
    address: SocketAddr,
    inner: Inner,
) -> Result<Connected<'a>, ConnectError> {
    match &origination.limits.keepalive {
        // Without it a connection works too.
        Some(rule) => drop(SockRef::from(&stream).set_tcp_keepalive(rule)),
        None if beneath.is_mesh() => keep_alive(&stream),
        None => {}
    }
    if let Some(version) = origination.proxy_protocol.filter(|_| beneath.announces(inner)) {
        let failed = |error| ConnectError::Tcp(address.to_string(), error);
        proxy_protocol::write(&mut stream, version).await.map_err(failed)?;
    }
    beneath.begin(worker, stream, address, inner).await
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
