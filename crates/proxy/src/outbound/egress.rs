//! What comes in at a listener that a Sidecar resource has opened for certain hosts: it carries these and no others.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use meltemi_names::Protocol;
use meltemi_telemetry::ResponseFlags;

use super::captured::{self, sni};
use super::decide::{self, Decision, ON_DEMAND, refusal};
use crate::config::{Bind, EgressListener, Lookup, Service};
use crate::http::h1::Reader;
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::listen::{Role, detect, http1, http2};
use crate::upstream::route::Outside;
use crate::worker::Worker;

/// The port of a URL without one.
const HTTP_PORT: u16 = 80;

/// Serves a connection.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, bind: Arc<Bind>) {
    let own = worker.shared.mesh.current().own().clone();
    let Some(listener) = own.listener(&bind) else { return };
    let mut reader = Reader::new(io.clone());
    let inner = match listener.protocol {
        Protocol::Auto => detect::detect(&mut reader).await,
        protocol if protocol.is_http() => detect::http_version(&mut reader).await,
        _ => Inner::Tcp,
    };
    match inner {
        Inner::Http1 => http1::serve(worker, io, reader, &Role::Egress(bind)).await,
        Inner::Http2 => http2::serve(worker, io, reader, &Rc::new(Role::Egress(bind))).await,
        Inner::Tcp => Box::pin(bytes(worker, io, reader, listener)).await,
    }
}

/// Where a request goes that names this authority. The listener may have come to carry others since its connection was
/// accepted.
pub(crate) async fn of_request(worker: &Worker, bind: &Bind, authority: &[u8]) -> Decision {
    let own = worker.shared.mesh.current().own().clone();
    match own.listener(bind) {
        Some(listener) => of_authority(worker, listener, authority).await,
        None => refused(format!("there is no egress listener at {bind} any longer")),
    }
}

async fn of_authority(worker: &Worker, listener: &EgressListener, authority: &[u8]) -> Decision {
    let authority = match listener.port {
        Some(port) if !has_port(authority) => {
            Cow::Owned([authority, b":", port.to_string().as_bytes()].concat())
        }
        _ => Cow::Borrowed(authority),
    };
    let default_port = listener.port.unwrap_or(HTTP_PORT);
    let decision = decide::find(worker, &authority, default_port).await;
    let (port, is_carried) = match &decision {
        Decision::Service(spot) => (spot.port, carries(listener, &spot.service, &spot.name)),
        Decision::Outside(Outside { host, port, .. }) => {
            let service = worker.shared.mesh.find(host);
            (*port, service.is_some_and(|service| carries(listener, &service, host)))
        }
        Decision::EgressProxy(_) => (0, false),
        Decision::Refuse(_) => return decision,
    };
    match is_carried && listener.port.is_none_or(|own| own == port) {
        true => decision,
        false => refused(format!(
            "the egress listener at {} does not carry {}",
            listener.bind,
            String::from_utf8_lossy(&authority)
        )),
    }
}

/// A service that stands for many hosts is carried as far as the host that was asked for is.
fn carries(listener: &EgressListener, service: &Service, asked: &str) -> bool {
    let host = if service.host.starts_with('*') { asked } else { &service.host };
    listener.carries(&service.namespace, host)
}

/// As what is not of the mesh where that may not be called.
fn refused(text: String) -> Decision {
    Decision::Refuse(refusal(502, ResponseFlags::NR, text))
}

fn has_port(authority: &[u8]) -> bool {
    authority.rsplit(|byte| *byte == b']').next().is_some_and(|rest| rest.contains(&b':'))
}

/// A connection of bytes goes to the host that its TLS names where that is what is spoken; else to the first host that the
/// listener names and that has the port.
async fn bytes(worker: &Rc<Worker>, io: Io, mut reader: Reader, listener: &EgressListener) {
    let is_tls = matches!(listener.protocol, Protocol::Tls | Protocol::Https);
    let name = if is_tls { sni::read(&mut reader).await } else { None };
    let named = name.as_deref().into_iter();
    let others = listener.exact_hosts().filter(|_| name.is_none());
    let mut last = None;
    for host in named.chain(others) {
        let authority = match listener.port.or(only_port(worker, host).await) {
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
            None => continue,
        };
        let decision = of_authority(worker, listener, authority.as_bytes()).await;
        let is_refused = matches!(decision, Decision::Refuse(_));
        last = Some((authority, decision));
        if !is_refused {
            break;
        }
    }
    let (authority, decision) = last.unwrap_or_else(|| {
        let text = format!("the egress listener at {} names no host for bytes", listener.bind);
        (listener.bind.to_string(), refused(text))
    });
    captured::carry_bytes(worker, io, reader, authority.as_bytes(), decision).await;
}

/// The port of a service that has one.
async fn only_port(worker: &Worker, host: &str) -> Option<u16> {
    let Lookup::Found(service) = worker.shared.mesh.fetch(host, ON_DEMAND).await else {
        return None;
    };
    match &*service.clusters {
        [only] => Some(only.port),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_authorities_are_seen() {
        for (authority, expected) in
            [("web", false), ("web:80", true), ("[::1]", false), ("[::1]:80", true), ("", false)]
        {
            assert_eq!(has_port(authority.as_bytes()), expected, "{authority}");
        }
    }
}
