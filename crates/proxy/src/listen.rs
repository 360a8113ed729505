//! A connection comes in: accepted, given to a worker, its protocol found, its TLS opened.

pub(crate) mod accept;
pub mod alpn;
pub(crate) mod announced;
mod clock;
pub(crate) mod configured;
pub(crate) mod detect;
pub(crate) mod either;
pub(crate) mod hello;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod tls;

use std::rc::Rc;
use std::sync::Arc;

use crate::config::Bind;
use crate::exchange::Call;
use crate::http::h1::{Reader, Writer};
use crate::inbound::caller::Caller;
use crate::io::Io;
use crate::outbound::http::Entry;
use crate::worker::Worker;
use crate::{inbound, outbound};

/// What a connection that speaks HTTP is for.
pub(crate) enum Role {
    /// The application's, to where each request says.
    Proxy,
    /// The application's, to one port of a service, by the authority that stands for it.
    Service(Box<[u8]>),
    /// The application's, to the hosts of a Sidecar resource's listener.
    Egress(Arc<Bind>),
    /// The mesh's, to the application.
    Inbound(Box<Caller>),
}

impl Role {
    /// Whether its connections end when the workload leaves the mesh.
    pub(crate) fn is_inbound(&self) -> bool {
        matches!(self, Role::Inbound(_))
    }

    /// Serves one request; whether its connection may go on.
    pub(crate) async fn serve(&self, worker: &Rc<Worker>, call: &mut Call<'_>) -> bool {
        match self {
            Role::Proxy => outbound::http::serve(worker, Entry::Proxy, call).await,
            Role::Service(authority) => {
                outbound::http::serve(worker, Entry::Service(authority), call).await
            }
            Role::Egress(bind) => outbound::http::serve(worker, Entry::Listener(bind), call).await,
            Role::Inbound(caller) => inbound::http::serve(worker, caller, call).await,
        }
    }

    /// Serves a CONNECT request, which takes the whole connection.
    pub(crate) async fn connect(
        &self,
        worker: &Rc<Worker>,
        io: Io,
        reader: Reader,
        writer: Writer,
        authority: &[u8],
    ) {
        let may_tunnel = matches!(self, Role::Proxy);
        // The way through a tunnel leads here again, to an outbound port.
        Box::pin(outbound::captured::connect(worker, io, reader, writer, authority, may_tunnel))
            .await;
    }
}
