//! A connection of bytes goes to the application.

use std::rc::Rc;

use meltemi_telemetry::{Reporter, RequestProtocol, ResponseFlags, TcpLabels};
use tokio::time::Instant;

use super::authorize::{Denied, Refused, authorize_connection};
use super::caller::Caller;
use super::external;
use super::standing::is_refused;
use crate::config::{Inbound, InboundPort};
use crate::finish::connection::{Ending, Line};
use crate::http::h1::{Reader, Writer};
use crate::io::Io;
use crate::listen::alpn::Inner;
use crate::outbound::tcp::{Ended, Far, Lease, Limits, between, within};
use crate::upstream::connect::{ConnectError, Connected, connect};
use crate::upstream::route::{Place, Route};
use crate::worker::Worker;

/// Why a connection is closed before a byte of it came to the application.
pub(super) enum Closed {
    /// No port that it may call is meant.
    NoPort,
    /// Our policies refuse it.
    Denied(Denied),
    /// An authorizer outside does, or could not be asked; in Envoy's word.
    Unauthorized(&'static str),
    /// The application has as many as it may.
    Overflow,
    /// The application was not reached.
    Connect(ConnectError),
}

impl Closed {
    /// Envoy has no flag for a refusal by policy.
    fn flags(&self) -> ResponseFlags {
        match self {
            Closed::NoPort => ResponseFlags::NR,
            Closed::Denied(_) => ResponseFlags::NONE,
            Closed::Unauthorized(_) => ResponseFlags::UAEX,
            Closed::Overflow => ResponseFlags::UO,
            Closed::Connect(_) => ResponseFlags::UF,
        }
    }

    /// What of it stands in the log line besides the flags.
    fn ending(&self) -> Ending<'_> {
        match self {
            Closed::NoPort | Closed::Overflow => Ending::default(),
            Closed::Denied(denied) => Ending { termination: Some(&denied.0), ..Ending::default() },
            Closed::Unauthorized(details) => Ending { details: Some(details), ..Ending::default() },
            Closed::Connect(error) => {
                Ending { failure: Some(error.to_string()), ..Ending::default() }
            }
        }
    }
}

/// Serves the connection until both directions have ended.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, mut reader: Reader, caller: &Caller) {
    let _carried = worker.carry();
    let line = Line::begin(worker, &io);
    let watched = worker.standing.begin();
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, b"").filter(|port| caller.may_call(port));
    let admitted = match port {
        None => Err(Closed::NoPort),
        Some(port) => admit(worker, caller, (&inbound, port)).await.map(|()| port),
    };
    let connected = match admitted {
        Err(closed) => Err(closed),
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
    let flags = connected.as_ref().err().map_or(ResponseFlags::NONE, Closed::flags);
    let mut series = find_series(flags);
    series.opened(worker.index);
    let (connected, limits, _lease) = match connected {
        Ok(connected) => connected,
        Err(closed) => {
            series.closed(worker.index);
            if let Some(line) = line {
                let tried = matches!(closed, Closed::Connect(_));
                tell(line, caller, port, tried, Ending { flags, ..closed.ending() });
            }
            return;
        }
    };
    let mut writer = Writer::new(io);
    let mut far = Far::new(connected.io, connected.preface);
    let carrying = carry(limits, &mut reader, &mut writer, &mut far);
    let is_too_old = watched.until_refused(carrying, || is_refused(worker, caller)).await;
    let mut flags = flags;
    if is_too_old.unwrap_or_default() {
        flags = ResponseFlags::DT;
        series = find_series(flags);
    }
    let (received, sent) = (far.carried(), writer.total());
    series.received(worker.index, received);
    series.sent(worker.index, sent);
    series.closed(worker.index);
    if let Some(line) = line {
        tell(line, caller, port, true, Ending { flags, received, sent, ..Ending::default() });
    }
}

/// Writes the connection's line; `tried` is whether the application was connected or was to be.
fn tell(line: Line, caller: &Caller, port: Option<&InboundPort>, tried: bool, ending: Ending<'_>) {
    let cluster = port.map(InboundPort::cluster);
    let upstream = port.filter(|_| tried).map(|port| port.app.place.at.to_string());
    let (cluster, server_name) = (cluster.as_deref(), caller.authorizer.sni());
    line.end(&Ending { upstream, cluster, server_name, ..ending });
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
) -> Result<(Connected<'w>, Option<Lease>), Closed> {
    let lease = match route.bounds().map(Lease::take) {
        None => None,
        Some(Some(lease)) => Some(lease),
        Some(None) => {
            tracing::debug!("a connection was closed: the application has as many as it may");
            return Err(Closed::Overflow);
        }
    };
    match connect(worker, route).await {
        Ok(connected) => Ok((connected, lease)),
        Err(error) => {
            tracing::debug!(%error, "the application could not be connected");
            Err(Closed::Connect(error))
        }
    }
}

/// Whether the policies let the connection pass.
async fn admit(
    worker: &Rc<Worker>,
    caller: &Caller,
    to: (&Inbound, &InboundPort),
) -> Result<(), Closed> {
    match authorize_connection(worker, &caller.authorizer, to) {
        Ok(()) => Ok(()),
        Err(Refused::Denied(denied)) => Err(Closed::Denied(denied)),
        Err(Refused::Asks(asking)) => {
            Box::pin(external::admits(worker, caller, to.1, asking)).await
        }
    }
}
