//! What is spoken beneath a connection to an endpoint: nothing, TLS of the mesh, or TLS with a server outside of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::tls::{self, PeerError};
use meltemi_names::SpiffeId;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::connect::{ConnectError, Connected};
use crate::clock;
use crate::config::{Address, Cluster, Endpoint, Origination, Tls};
use crate::io::{Io, Stream};
use crate::listen::alpn::Inner;
use crate::worker::Worker;

/// What is spoken beneath.
pub(crate) enum Beneath<'c> {
    Plain,
    Mesh {
        sni: &'c ServerName<'static>,
        /// Who has to answer; anybody of our own trust domain where neither this nor a name says it.
        identity: Option<&'c SpiffeId>,
        /// Names of which the peer must bear one, if there are any.
        names: &'c [String],
    },
    Outside {
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    },
}

impl<'c> Beneath<'c> {
    /// As rule and endpoint have it.
    pub(crate) fn of(
        cluster: &'c Cluster,
        endpoint: &'c Endpoint,
        inner: Inner,
    ) -> Result<Beneath<'c>, ConnectError> {
        let origination = &*cluster.origination;
        let identity = endpoint.tls.as_ref().map(|tls| &tls.identity);
        let mesh = |sni| Beneath::Mesh { sni, identity, names: &origination.names };
        Ok(match &origination.tls {
            Tls::Auto if identity.is_some() && !endpoint.is_plaintext => mesh(&cluster.sni),
            Tls::Auto | Tls::Disable => Beneath::Plain,
            Tls::Mesh(sni) => mesh(sni.as_ref().unwrap_or(&cluster.sni)),
            Tls::Outside(_) | Tls::Refused(_) => {
                Beneath::outside(origination, inner, || match &endpoint.address {
                    Address::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
                    Address::Name(name) => ServerName::try_from(name.clone()).ok(),
                })?
            }
        })
    }

    /// As the rule for a host has it whose own address is called.
    pub(crate) fn of_host(
        cluster: &'c Cluster,
        host: &str,
        inner: Inner,
    ) -> Result<Beneath<'c>, ConnectError> {
        let origination = &*cluster.origination;
        Ok(match &origination.tls {
            Tls::Auto | Tls::Disable => Beneath::Plain,
            Tls::Mesh(sni) => Beneath::Mesh {
                sni: sni.as_ref().unwrap_or(&cluster.sni),
                identity: None,
                names: &origination.names,
            },
            Tls::Outside(_) | Tls::Refused(_) => {
                Beneath::outside(origination, inner, || ServerName::try_from(host.to_owned()).ok())?
            }
        })
    }

    fn outside(
        origination: &Origination,
        inner: Inner,
        own_name: impl FnOnce() -> Option<ServerName<'static>>,
    ) -> Result<Beneath<'c>, ConnectError> {
        let outside = match &origination.tls {
            Tls::Outside(outside) => outside,
            Tls::Refused(why) => return Err(ConnectError::Rule(why.as_str().into())),
            Tls::Auto | Tls::Disable | Tls::Mesh(_) => return Ok(Beneath::Plain),
        };
        let config = outside.config(inner, clock::now()).map_err(ConnectError::Rule)?;
        match outside.name.clone().or_else(own_name) {
            Some(name) => Ok(Beneath::Outside { config, name }),
            None => Err(ConnectError::Rule("there is no name to ask the server for".into())),
        }
    }

    /// Whether it is TLS of the mesh.
    pub(crate) fn is_mesh(&self) -> bool {
        matches!(self, Beneath::Mesh { .. })
    }

    /// Whether the header of the PROXY protocol is written here. Bytes bring it themselves, as it is known there who
    /// calls, unless it has to stand before TLS. A proxy of the mesh takes none: it knows who calls.
    pub(crate) fn announces(&self, inner: Inner) -> bool {
        match self {
            Beneath::Plain => inner != Inner::Tcp,
            Beneath::Mesh { .. } => false,
            Beneath::Outside { .. } => true,
        }
    }

    /// Makes the handshake.
    pub(crate) async fn begin<'w>(
        self,
        worker: &'w Worker,
        stream: TcpStream,
        address: SocketAddr,
        inner: Inner,
    ) -> Result<Connected<'w>, ConnectError> {
        let (config, name) = match &self {
            Beneath::Plain => {
                return Ok(Connected::new(Stream::Tcp(stream)));
            }
            Beneath::Mesh { sni, .. } => {
                let config = worker.shared.identity.tls().clients[inner.client()].clone();
                (config, (*sni).clone())
            }
            Beneath::Outside { config, name } => (config.clone(), name.clone()),
        };
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| ConnectError::Tls(address, error))?;
        let session = stream.get_ref().1;
        let mut preface: &[u8] = &[];
        if let Beneath::Mesh { identity, names, .. } = self {
            let certificates = session.peer_certificates().unwrap_or_default();
            check(worker, address, certificates, identity, names)?;
            if session.alpn_protocol().is_some_and(Inner::has_metadata) {
                preface = &worker.preface;
            }
        }
        let io = Io::new(Stream::Tls(Box::new(TlsStream::Client(stream))));
        Ok(Connected { io, preface })
    }
}

/// Makes sure of who answered.
fn check(
    worker: &Worker,
    address: SocketAddr,
    certificates: &[CertificateDer<'_>],
    identity: Option<&SpiffeId>,
    names: &[String],
) -> Result<(), ConnectError> {
    let refused = |error| ConnectError::Peer(address, error);
    let found = tls::authenticate(certificates, SystemTime::now()).map_err(refused)?;
    let own = &worker.shared.identity;
    if let Some(expected) = identity.filter(|expected| !own.is_same(expected, &found)) {
        let (found, expected) = (Box::new(found), Box::new(expected.clone()));
        return Err(refused(PeerError::Other { found, expected }));
    }
    if names.is_empty() && identity.is_none() && !own.is_member(&found) {
        return Err(ConnectError::Stranger(address, Box::new(found)));
    }
    let is_named = |name: &String| name.parse().is_ok_and(|name| own.is_same(&name, &found));
    if !names.is_empty() && !names.iter().any(is_named) {
        return Err(ConnectError::Names(address, found.to_string(), names.join(", ")));
    }
    Ok(())
}
