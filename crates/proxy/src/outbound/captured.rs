//! Connections of the application whose destination is known before their first byte: through CONNECT, or by a local
//! address of their own (`--upstream`).

use std::borrow::Cow;
use std::rc::Rc;

use meltemi_names::Protocol;

use super::decide::{Decision, Spot, decide, split_authority};
use super::tcp::{self, Goal};
use crate::finish::local::write_refusal;
use crate::http::h1::{Framing, Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::listen::{Role, detect, http1, http2};
use crate::worker::Worker;

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
    let goal = match decision {
        Decision::Refuse(refusal) => {
            return refuse(&mut writer, refusal.status, &refusal.text).await;
        }
        Decision::Service(spot) => Goal::Service(spot),
        Decision::Outside(host, port) => Goal::Outside(host, port),
    };
    writer.out().extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    writer.begin(Framing::Ended);
    if writer.flush().await.is_ok() {
        drop(writer);
        carry(worker, io, reader, authority, goal).await;
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
    let goal = match decide(worker, &authority, port).await {
        Decision::Service(spot) => Goal::Service(spot),
        Decision::Outside(host, port) => Goal::Outside(host, port),
        Decision::Refuse(refusal) => {
            tracing::warn!(
                host,
                port,
                reason = refusal.text,
                "a connection was closed: it leads nowhere"
            );
            return;
        }
    };
    let reader = Reader::new(io.clone());
    carry(worker, io, reader, &authority, goal).await;
}

async fn carry(worker: &Rc<Worker>, io: Io, mut reader: Reader, authority: &[u8], goal: Goal) {
    let spoken = match &goal {
        Goal::Service(spot) => spoken(spot, &mut reader).await,
        Goal::Outside(..) => Inner::Tcp,
    };
    match (goal, spoken) {
        (Goal::Service(_), Inner::Http1) => {
            http1::serve(worker, io, reader, &Role::Service(authority.into())).await;
        }
        (Goal::Service(_), Inner::Http2) => {
            http2::serve(worker, io, reader, &Rc::new(Role::Service(authority.into()))).await;
        }
        (goal, _) => tcp::serve(worker, io, reader, goal).await,
    }
}

/// What is spoken: as the port declares, else as the first bytes show.
async fn spoken(spot: &Spot, reader: &mut Reader) -> Inner {
    match spot.protocol() {
        Protocol::Auto => detect::detect(reader).await,
        protocol if protocol.is_http() => detect::http_version(reader).await,
        _ => Inner::Tcp,
    }
}
