//! An inbound connection from its first byte to its end.

use std::net::SocketAddr;
use std::rc::Rc;

use meltemi_names::Protocol;
use tokio::net::TcpStream;

use super::authorize::Authorizer;
use super::caller::Caller;
use super::tcp;
use crate::http::h1::Reader;
use crate::listen::alpn::Inner;
use crate::listen::{Role, detect, http1, http2, tls};
use crate::worker::Worker;

/// Serves the connection.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: TcpStream, remote: SocketAddr) {
    let destination = stream.local_addr().ok();
    let Ok(opened) = tls::open(&worker.shared, stream, remote).await else { return };
    let authorizer =
        Authorizer::new(Some(&opened.identity), remote, destination, opened.sni.as_deref());
    let caller = Caller::new(&worker.shared, &opened, authorizer);
    let io = opened.io;
    let mut reader = Reader::new(io.clone()).behind_proxy();
    let inner = match opened.inner {
        Some(inner) => inner,
        None => spoken(worker, &caller, &mut reader).await,
    };
    match inner {
        Inner::Http1 => http1::serve(worker, io, reader, &Role::Inbound(Box::new(caller))).await,
        Inner::Http2 => {
            http2::serve(worker, io, reader, &Rc::new(Role::Inbound(Box::new(caller)))).await
        }
        Inner::Tcp => tcp::serve(worker, io, reader, &caller).await,
    }
}

/// What a caller speaks that negotiated nothing: as the port declares, else as the first bytes show.
async fn spoken(worker: &Worker, caller: &Caller, reader: &mut Reader) -> Inner {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let protocol = caller.find(&inbound, b"").map(|port| port.protocol).unwrap_or_default();
    match protocol {
        Protocol::Auto => detect::detect(reader).await,
        protocol if protocol.is_http() => detect::http_version(reader).await,
        _ => Inner::Tcp,
    }
}
