//! Connections of the application whose destination is known before their first byte: through CONNECT, or by a local
//! address of their own (`--upstream`).

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use meltemi_names::Protocol;
use meltemi_policy::route::Table;

use super::decide::{Decision, Refusal, Spot, decide, split_authority};
use super::goal::{self, Goal};
use super::tcp;
use crate::config::Cluster;
use crate::finish::local::write_refusal;
use crate::http::h1::{Framing, Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::listen::{Role, detect, http1, http2};
use crate::worker::Worker;

pub(super) mod sni;

/// The port of a CONNECT target without one.
const HTTPS_PORT: u16 = 443;

/// Serves CONNECT: decides, answers, and carries what follows.
pub(crate) async fn connect(
    worker: &Rc<Worker>,
    io: Io,
    reader: Reader,
    mut writer: Writer,
    authority: &[u8],
    may_tunnel: bool,
) {
    let authority = &*with_port(authority);
    let decision = match may_tunnel {
        true => decide(worker, authority, HTTPS_PORT).await,
        false => {
            // Only the application may ask for tunnels.
            return refuse(&mut writer, 405, "CONNECT is not served here").await;
        }
    };
    if let Decision::Refuse(refusal) = &decision {
        tcp::count_refused(worker, &io, None, refusal.flags);
        return refuse(&mut writer, refusal.status, &refusal.text).await;
    }
    writer.out().extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    writer.begin(Framing::Ended);
    if writer.flush().await.is_ok() {
        drop(writer);
        carry(worker, io, reader, authority, decision).await;
    }
}

/// The authority with the port that CONNECT means where it names none.
fn with_port(authority: &[u8]) -> Cow<'_, [u8]> {
    match split_authority(authority) {
        Some((_, None)) => [authority, b":443"].concat().into(),
        _ => authority.into(),
    }
}

async fn refuse(writer: &mut Writer, status: u16, text: &str) {
    write_refusal(writer, status, text);
    // A caller that is gone need not hear it.
    let _ = writer.close().await;
}

/// Serves a connection that leads to a service's port whose name is given.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, host: &str, port: u16) {
    let authority = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let authority = authority.into_bytes();
    let decision = decide(worker, &authority, port).await;
    let reader = Reader::new(io.clone());
    carry(worker, io, reader, &authority, decision).await;
}

async fn carry(
    worker: &Rc<Worker>,
    io: Io,
    mut reader: Reader,
    authority: &[u8],
    decision: Decision,
) {
    let inner = match &decision {
        Decision::Service(spot) => spoken(spot, &mut reader).await,
        _ => Inner::Tcp,
    };
    match inner {
        Inner::Http1 => {
            http1::serve(worker, io, reader, &Role::Service(authority.into())).await;
        }
        Inner::Http2 => {
            http2::serve(worker, io, reader, &Rc::new(Role::Service(authority.into()))).await;
        }
        Inner::Tcp => carry_bytes(worker, io, reader, authority, decision).await,
    }
}

/// Carries a connection of bytes to where it was decided that it goes.
pub(super) async fn carry_bytes(
    worker: &Rc<Worker>,
    io: Io,
    mut reader: Reader,
    authority: &[u8],
    decision: Decision,
) {
    let spot = match decision {
        Decision::Service(spot) => spot,
        Decision::Outside(outside) => {
            return tcp::serve(worker, io, reader, None, &Goal::Outside(outside)).await;
        }
        Decision::EgressProxy(goal) => return tcp::serve(worker, io, reader, None, &goal).await,
        Decision::Refuse(refusal) => return turn_away(worker, &io, None, authority, &refusal),
    };
    match Box::pin(find(worker, &spot, &mut reader)).await {
        Ok(goal) => tcp::serve(worker, io, reader, spot.cluster.as_ref(), &goal).await,
        Err(refusal) => turn_away(worker, &io, spot.cluster.as_ref(), authority, &refusal),
    }
}

/// Counts and tells of a connection that leads nowhere; it is closed.
fn turn_away(
    worker: &Worker,
    io: &Io,
    cluster: Option<&Arc<Cluster>>,
    authority: &[u8],
    refusal: &Refusal,
) {
    let (authority, reason) = (String::from_utf8_lossy(authority), &refusal.text);
    tracing::warn!(%authority, reason, "a connection was closed: it leads nowhere");
    tcp::count_refused(worker, io, cluster, refusal.flags);
}

/// What is spoken: as the port declares, else as the first bytes show.
async fn spoken(spot: &Spot, reader: &mut Reader) -> Inner {
    match spot.protocol() {
        Protocol::Auto if has_bytes_only(spot) => Inner::Tcp,
        Protocol::Auto => detect::detect(reader).await,
        protocol if protocol.is_http() => detect::http_version(reader).await,
        _ => Inner::Tcp,
    }
}

/// Whether there is nothing that a request could be served by: no endpoints, and rules for connections only.
fn has_bytes_only(spot: &Spot) -> bool {
    let has_http = |table: &Arc<Table>| table.http.is_some();
    spot.cluster.is_none() && !spot.service.table.as_ref().is_some_and(has_http)
}

/// Where a connection of bytes goes: as the rules for connections say, else to the service itself. As with Istio, ports
/// that are declared as TLS go by the rules for TLS, declared others by those for TCP.
async fn find(worker: &Worker, spot: &Rc<Spot>, reader: &mut Reader) -> Result<Goal, Refusal> {
    let Some(table) = &spot.service.table else { return goal::of_spot(spot) };
    let (rules, port, protocol) = (&table.connections, spot.port, spot.protocol());
    let is_tls = matches!(protocol, Protocol::Tls | Protocol::Https);
    let is_silent = protocol == Protocol::Auto && !has_bytes_only(spot) && !reader.has_bytes();
    let may_be_tls = rules.has_tls() && (is_tls || protocol == Protocol::Auto) && !is_silent;
    let name = if may_be_tls { sni::read(reader).await } else { None };
    let address = spot.name.parse().ok();
    let by_name = name.and_then(|name| rules.find_tls(&name, address, port, worker.random()));
    let by_port = || match is_tls {
        true => None,
        false => rules.find_tcp(address, port, worker.random()),
    };
    match by_name.or_else(by_port) {
        Some(destination) => goal::of_rule(worker, spot, destination, goal::UNAVAILABLE).await,
        None => goal::of_spot(spot),
    }
}

#[cfg(test)]
pub(crate) mod tests;
