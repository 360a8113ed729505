//! A connection of bytes goes to the application.

use std::rc::Rc;

use meltemi_telemetry::{Reporter, RequestProtocol, ResponseFlags, TcpLabels};
use tokio::time::Instant;

use super::authorize::{Refused, authorize_connection};
use super::caller::Caller;
use super::external;
use super::standing::is_refused;
use crate::config::{Inbound, InboundPort};
use crate::http::h1::{Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::outbound::tcp::{Ended, Far, Lease, Limits, between, within};
use crate::upstream::connect::{Connected, connect};
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Serves the connection until both directions have ended.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, mut reader: Reader, caller: &Caller) {
    let _carried = worker.carry();
    let watched = worker.standing.begin();
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, b"").filter(|port| caller.may_call(port));
    let admitted = match port {
        None => Err(ResponseFlags::NR),
        Some(port) => admit(worker, caller, (&inbound, port)).await.map(|()| port),
    };
    let connected = match admitted {
        Err(flags) => Err(flags),
        Ok(port) => {
            let route = Route { place: Place::App(port.app.clone()), inner: Inner::Tcp };
            let limits = route.origination().map(|it| Limits::from(&it.limits));
            let connected = to_app(worker, &route).await;
            connected.map(|(connected, lease)| (connected, limits, lease))
        }
    };
    let find_series = |flags| {
        let base = caller.labels(&worker.shared, port, RequestProtocol::Tcp);
        worker.shared.metrics.tcp(&TcpLabels { base, reporter: Reporter::Destination, flags })
    };
    let flags = *connected.as_ref().err().unwrap_or(&ResponseFlags::NONE);
    let mut series = find_series(flags);
    series.opened(worker.index);
    if let Ok((connected, limits, _lease)) = connected {
        let mut writer = Writer::new(io);
        let mut far = Far::new(connected.io, connected.preface);
        let carrying = carry(limits, &mut reader, &mut writer, &mut far);
        let ended = watched.until_refused(carrying, || is_refused(worker, caller)).await;
        if ended.unwrap_or_default() {
            series = find_series(ResponseFlags::DT);
        }
        series.received(worker.index, far.carried());
        series.sent(worker.index, writer.total());
    }
    series.closed(worker.index);
}

/// Carries bytes both ways. Whether it was ended because it had lived as long as it may.
async fn carry(
    limits: Option<Limits>,
    reader: &mut Reader,
    writer: &mut Writer,
    far: &mut Far,
) -> bool {
    let Some(limits) = limits else {
        between(reader, writer, far).await;
        return false;
    };
    let ended = within(limits, Instant::now(), reader, writer, far).await;
    tracing::trace!(?ended, "a connection ended");
    ended == Ended::TooOld
}

/// A connection to the application, and leave to have it.
async fn to_app<'w>(
    worker: &'w Worker,
    route: &Route,
) -> Result<(Connected<'w>, Option<Lease>), ResponseFlags> {
    let lease = match route.bounds().map(Lease::take) {
        None => None,
        Some(Some(lease)) => Some(lease),
        Some(None) => {
            tracing::debug!("a connection was closed: the application has as many as it may");
            return Err(ResponseFlags::UO);
        }
    };
    match connect(worker, route).await {
        Ok(connected) => Ok((connected, lease)),
        Err(error) => {
            tracing::debug!(%error, "the application could not be connected");
            Err(ResponseFlags::UF)
        }
    }
}

/// Whether the policies let the connection pass; the flags are why not. Envoy has none of its own for a refusal by policy.
async fn admit(
    worker: &Rc<Worker>,
    caller: &Caller,
    to: (&Inbound, &InboundPort),
) -> Result<(), ResponseFlags> {
    match authorize_connection(worker, &caller.authorizer, to) {
        Ok(()) => Ok(()),
        Err(Refused::Denied(_)) => Err(ResponseFlags::NONE),
        Err(Refused::Asks(asking)) => {
            Box::pin(external::admits(worker, caller, to.1, asking)).await
        }
    }
}
