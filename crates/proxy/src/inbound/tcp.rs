//! A connection of bytes goes to the application.

use std::rc::Rc;

use meltemi_telemetry::{Reporter, RequestProtocol, ResponseFlags, TcpLabels};

use super::authorize::authorize_connection;
use super::caller::Caller;
use crate::http::h1::{Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::outbound::tcp::{Far, between};
use crate::upstream::connect::connect;
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Serves the connection until both directions have ended.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, mut reader: Reader, caller: &Caller) {
    let _carried = worker.carry();
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, b"");
    let admitted = port.map(|port| {
        authorize_connection(worker, &caller.authorizer, (&inbound, port)).map(|()| port)
    });
    let connected = match admitted {
        // Envoy has no flag of its own for it.
        Some(Err(_)) => Err(ResponseFlags::NONE),
        Some(Ok(port)) => {
            let route = Route { place: Place::App(port.target_port), inner: Inner::Tcp };
            connect(worker, &route).await.map_err(|error| {
                tracing::debug!(%error, "the application could not be connected");
                ResponseFlags::UF
            })
        }
        None => Err(ResponseFlags::NR),
    };
    let flags = *connected.as_ref().err().unwrap_or(&ResponseFlags::NONE);
    let base = caller.labels(&worker.shared, port, RequestProtocol::Tcp);
    let series =
        worker.shared.metrics.tcp(&TcpLabels { base, reporter: Reporter::Destination, flags });
    series.opened(worker.index);
    if let Ok(connected) = connected {
        let mut writer = Writer::new(io);
        let mut far = Far::new(connected.io, connected.preface);
        between(&mut reader, &mut writer, &mut far).await;
        series.received(worker.index, far.carried());
        series.sent(worker.index, writer.total());
    }
    series.closed(worker.index);
}
