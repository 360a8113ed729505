//! An inbound connection from its first byte to its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use meltemi_names::Protocol;
use tokio::net::TcpStream;

use super::authorize::Authorizer;
use super::caller::Caller;
use super::tcp;
use crate::clock;
use crate::config::{Gate, InboundPort};
use crate::http::h1::Reader;
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::listen::announced::Meant;
use crate::listen::either::{self, First, Silence};
use crate::listen::hello::HANDSHAKE;
use crate::listen::tls::{self, Opened};
use crate::listen::{Role, detect, http1, http2};
use crate::worker::Worker;

/// How long a caller may say nothing where a server may speak first: longer than a ClientHello takes that was lost once.
const SERVER_FIRST: Duration = Duration::from_secs(1);
/// How long it may where the port is not known before it speaks.
const UNKNOWN_PORT: Duration = Duration::from_secs(10);

/// Serves the connection; `listener` is the number of the Sidecar resource's listener that it came in by, if it was one with
/// an address of its own.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    stream: TcpStream,
    remote: SocketAddr,
    listener: Option<u16>,
) {
    let destination = stream.local_addr().ok();
    let gate = worker.shared.mesh.current().inbound().gate;
    let entered = match (listener, gate) {
        (Some(number), _) => Box::pin(by_listener(worker, stream, remote, number)).await,
        (None, Gate::MutualTls) => by_tls(worker, stream, remote, &[]).await,
        (None, Gate::Either | Gate::Plaintext) => {
            Box::pin(by_first_bytes(worker, stream, remote)).await
        }
    };
    let Some((opened, mut reader)) = entered else { return };
    let identity = opened.proof.as_ref().map(|proof| &proof.identity);
    let authorizer = Authorizer::new(identity, remote, destination, opened.sni.as_deref());
    let caller = Caller::new(&worker.shared, &opened, authorizer);
    let may_be_refused = listener.is_some() || gate != Gate::MutualTls;
    if may_be_refused && is_refused(worker, &caller) {
        tracing::debug!(%remote, "an inbound connection was refused: PeerAuthentication wants another kind");
        return;
    }
    let io = opened.io;
    let inner = spoken(worker, &caller, opened.inner, &mut reader).await;
    match inner {
        Inner::Http1 => http1::serve(worker, io, reader, &Role::Inbound(Box::new(caller))).await,
        Inner::Http2 => {
            http2::serve(worker, io, reader, &Rc::new(Role::Inbound(Box::new(caller)))).await
        }
        Inner::Tcp => tcp::serve(worker, io, reader, &caller).await,
    }
}

async fn by_tls(
    worker: &Worker,
    stream: TcpStream,
    remote: SocketAddr,
    first: &[u8],
) -> Option<(Opened, Reader)> {
    let opened = tls::open(&worker.shared, stream, remote, first).await.ok()?;
    let reader = Reader::new(opened.io.clone()).behind_proxy();
    Some((opened, reader))
}

/// By mutual TLS or in plaintext, as the first bytes show.
async fn by_first_bytes(
    worker: &Worker,
    stream: TcpStream,
    remote: SocketAddr,
) -> Option<(Opened, Reader)> {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let (limit, is_plaintext) = match inbound.only_target() {
        Some(port) if port.protocol.is_http() => (detect::IDLE, false),
        Some(_) => (SERVER_FIRST, true),
        None => (UNKNOWN_PORT, false),
    };
    let silence = Silence { limit, is_plaintext };
    match either::look(stream, inbound.gate == Gate::Either, silence).await? {
        First::MutualTls(stream, first) => by_tls(worker, stream, remote, &first).await,
        First::Plaintext(io, reader, meant) => {
            let port = match &meant {
                Some((host, port)) => inbound.find(host, *port),
                None => inbound.only_target(),
            };
            plainly(port, io, reader, remote, meant).await
        }
    }
}

/// By a listener's own address: what is meant is said by that, and how it comes is as the port has it.
async fn by_listener(
    worker: &Worker,
    stream: TcpStream,
    remote: SocketAddr,
    number: u16,
) -> Option<(Opened, Reader)> {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = inbound.of_listener(number)?;
    let meant = Some((port.host.to_string(), port.service_port));
    let silence = match port.protocol.is_http() || port.tls.is_some() {
        true => Silence { limit: detect::IDLE, is_plaintext: false },
        false => Silence { limit: SERVER_FIRST, is_plaintext: true },
    };
    let takes_tls = port.mode.takes_mutual_tls();
    let (mut opened, reader) = match either::look(stream, takes_tls, silence).await? {
        First::MutualTls(stream, first) => by_tls(worker, stream, remote, &first).await?,
        First::Plaintext(io, reader, _) => {
            plainly(Some(port), io, reader, remote, meant.clone()).await?
        }
    };
    opened.meant = meant;
    Some((opened, reader))
}

/// Without mutual TLS of the mesh: in plaintext, or by the TLS that the port's listener has for callers outside of the mesh.
async fn plainly(
    port: Option<&InboundPort>,
    io: Io,
    reader: Reader,
    remote: SocketAddr,
    meant: Option<Meant>,
) -> Option<(Opened, Reader)> {
    let Some(tls) = port.and_then(|port| port.tls.as_ref()) else {
        return Some((Opened::plaintext(io, meant), reader));
    };
    let config = match tls.config(clock::now()) {
        Ok(config) => config,
        Err(error) => {
            tracing::debug!(%remote, %error, "an ingress listener's TLS cannot be spoken");
            return None;
        }
    };
    let first = reader.filled().to_vec();
    if first.first().is_some_and(|byte| *byte != HANDSHAKE) {
        tracing::debug!(%remote, "plaintext where an ingress listener has TLS");
        return None;
    }
    drop(reader);
    let opened = tls::terminate(config, io.into_tcp()?, remote, &first, meant).await?;
    let reader = Reader::new(opened.io.clone());
    Some((opened, reader))
}

/// Whether the port that is meant, where that is known already, takes no callers of this kind.
fn is_refused(worker: &Worker, caller: &Caller) -> bool {
    let inbound = worker.shared.mesh.current().inbound().clone();
    caller.find(&inbound, b"").is_some_and(|port| !caller.is_taken_by(port))
}

/// What a caller speaks: what it has negotiated, else as the port declares, else as the first bytes show. A listener of a
/// Sidecar resource goes before what callers believe, and so does a port that is declared as HTTP: a caller that could choose
/// bytes would be past tokens, authorizers and whatever else is for requests.
async fn spoken(
    worker: &Worker,
    caller: &Caller,
    negotiated: Option<Inner>,
    reader: &mut Reader,
) -> Inner {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, b"");
    let is_declared = port.is_some_and(|port| port.is_declared);
    let protocol = port.map(|port| port.protocol).unwrap_or_default();
    match (negotiated, protocol) {
        (Some(Inner::Tcp), protocol) if protocol.is_http() => detect::http_version(reader).await,
        (Some(inner), _) if !is_declared => inner,
        (Some(inner @ (Inner::Http1 | Inner::Http2)), protocol) if protocol.is_http() => inner,
        (None, Protocol::Auto) => detect::detect(reader).await,
        (_, protocol) if protocol.is_http() => detect::http_version(reader).await,
        _ => Inner::Tcp,
    }
}
