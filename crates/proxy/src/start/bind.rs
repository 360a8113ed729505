//! The proxy's sockets: all of them are opened before anything else is done, so that a port in use is told at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use super::options::{Listen, ListenOptions, Upstream};
use crate::data_path::{Listeners, UpstreamListener};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Where a proxy listens, as it turned out; `0.0.0.0:0` where it was not wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// What the application sends enters the mesh here.
    pub outbound: SocketAddr,
    /// What the mesh sends to the application enters here.
    pub inbound: SocketAddr,
    /// The admin interface.
    pub admin: SocketAddr,
    /// The metrics for Prometheus.
    pub metrics: SocketAddr,
    /// The health of the proxy.
    pub health: SocketAddr,
    /// The upstreams' listeners, in the order of the options.
    pub upstreams: Vec<SocketAddr>,
}

/// The sockets, listening.
pub(super) struct Bound {
    pub(super) data_path: Listeners,
    pub(super) admin: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
    pub(super) health: Option<TcpListener>,
    pub(super) addresses: Addresses,
}

impl Bound {
    pub(super) fn open(listen: &ListenOptions, upstreams: &[Upstream]) -> Result<Self, StartError> {
        let (outbound, outbound_at) = open(listen.outbound, "outbound traffic", "--outbound")?;
        let (inbound, inbound_at) = open(listen.inbound, "inbound traffic", "--inbound")?;
        let (admin, admin_at) = open(listen.admin, "the admin interface", "--admin")?;
        let (metrics, metrics_at) = open(listen.metrics, "metrics", "--metrics")?;
        let (health, health_at) = open(listen.health, "health", "--health")?;
        let mut listeners = Vec::new();
        let mut upstreams_at = Vec::new();
        for Upstream { host, port, listen } in upstreams {
            let role = format!("the upstream {host}:{port}");
            let (listener, at) = open(Listen::Exactly(*listen), &role, "--upstream")?;
            let upstream =
                |listener| UpstreamListener { host: host.clone(), port: *port, listener };
            listeners.extend(listener.map(upstream));
            upstreams_at.push(at);
        }
        Ok(Bound {
            data_path: Listeners { outbound, inbound, upstreams: listeners },
            admin,
            metrics,
            health,
            addresses: Addresses {
                outbound: outbound_at,
                inbound: inbound_at,
                admin: admin_at,
                metrics: metrics_at,
                health: health_at,
                upstreams: upstreams_at,
            },
        })
    }
}

fn open(
    listen: Listen,
    role: &str,
    flag: &'static str,
) -> Result<(Option<TcpListener>, SocketAddr), StartError> {
    let (Listen::Exactly(address) | Listen::Preferably(address)) = listen else {
        return Ok((None, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))));
    };
    let opened = match (bind(address), listen) {
        (Err(error), Listen::Preferably(_)) if error.kind() == io::ErrorKind::AddrInUse => {
            bind(SocketAddr::new(address.ip(), 0))
        }
        (opened, _) => opened,
    };
    let failed = |source| StartError::Bind { address, role: role.into(), flag, source };
    let listener = opened.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    Ok((Some(listener), at))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A proxy that is started again takes its port back although old connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn an_address_that_nobody_asked_for_gives_way_and_one_that_was_named_does_not() {
        let (_held, taken) =
            open(Listen::Exactly(any()), "outbound traffic", "--outbound").unwrap();
        let (_other, at) =
            open(Listen::Preferably(taken), "outbound traffic", "--outbound").unwrap();
        assert_eq!(at.ip(), taken.ip());
        assert_ne!(at.port(), taken.port());

        let error = open(Listen::Exactly(taken), "outbound traffic", "--outbound").unwrap_err();
        let message = error.to_string();
        for part in [&*taken.to_string(), "outbound traffic", "--outbound", "in use"] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn an_upstream_that_cannot_be_opened_is_named() {
        let every = Listen::Exactly(any());
        let (_held, taken) = open(every, "x", "--x").unwrap();
        let listen = ListenOptions {
            outbound: every,
            inbound: every,
            admin: every,
            metrics: every,
            health: every,
        };
        let upstream = Upstream { host: "hello".into(), port: 8001, listen: taken };
        let message = Bound::open(&listen, &[upstream]).err().map(|error| error.to_string());
        let message = message.unwrap_or_default();
        assert!(message.contains("hello:8001") && message.contains("--upstream"), "{message}");
    }
}
