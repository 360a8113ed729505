//! The application beside us, by port: where it takes what comes in, and how much of it there may be.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meltemi_policy::circuit::{Circuit, Counts, Limits};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::{ConnectionPool, H2UpgradePolicy, HttpPool, TcpPool};
use tokio::sync::Notify;

use super::egress::unix_url;
use super::{Origination, Own};

/// The next place's id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// One port of the application. Its limits count over all workers.
#[derive(Debug)]
pub struct App {
    /// Its port, as services know it.
    pub port: u16,
    /// Where it takes connections.
    pub place: Arc<AppPlace>,
    /// `inbound|PORT||`, as Envoy names it in logs.
    pub(crate) name: Arc<str>,
    pub(crate) circuit: Circuit,
    pub(crate) origination: Arc<Origination>,
    /// Told when leave to have a connection is given back.
    pub(crate) freed: Arc<Notify>,
    counts: Arc<Counts>,
    limits: ConnectionPool,
}

/// A place at which the application takes connections. It stays the same as long as the address does.
#[derive(Debug)]
pub struct AppPlace {
    /// Unique in this process.
    pub(crate) id: u64,
    /// Where it is.
    pub at: At,
}

/// Where the application takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// At this port of a loopback address, IPv4 or else IPv6.
    Loopback(u16),
    /// At this address.
    Address(SocketAddr),
    /// At this Unix socket; a NUL before it stands for Linux' abstract names.
    Unix(Box<Path>),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Loopback(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, *port)).fmt(f),
            At::Address(address) => address.fmt(f),
            At::Unix(path) => f.write_str(&unix_url(path)),
        }
    }
}

impl PartialEq for App {
    fn eq(&self, other: &App) -> bool {
        let words = |app: &App| (app.port, app.place.at.clone(), app.limits.clone());
        words(self) == words(other)
    }
}

impl Eq for App {}

impl App {
    /// The application's port, taken at its own number and without limits.
    pub fn at(port: u16) -> Arc<App> {
        App::new(port, At::Loopback(port), &ConnectionPool::default())
    }

    /// A port of the application, taken at a place, within the limits of a pool.
    pub(super) fn new(port: u16, at: At, pool: &ConnectionPool) -> Arc<App> {
        let place = AppPlace { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), at };
        Arc::new(App::build(port, Arc::new(place), in_effect(pool), None))
    }

    /// The same; what counts against the limits before goes on counting, and connections to a place that stays serve on.
    pub(super) fn after(self: &Arc<App>, before: &Arc<App>) -> Arc<App> {
        if self == before {
            return before.clone();
        }
        let is_same = self.place.at == before.place.at;
        let place = if is_same { &before.place } else { &self.place };
        Arc::new(App::build(self.port, place.clone(), self.limits.clone(), Some(before)))
    }

    fn build(
        port: u16,
        place: Arc<AppPlace>,
        limits: ConnectionPool,
        before: Option<&Arc<App>>,
    ) -> App {
        let policy =
            TrafficPolicy { connection_pool: Some(limits.clone()), ..TrafficPolicy::default() };
        let counts = before.map(|it| it.counts.clone()).unwrap_or_default();
        App {
            port,
            place,
            name: format!("inbound|{port}||").into(),
            circuit: Circuit::new(Limits::from(&policy), counts.clone()),
            origination: Origination::of(
                &policy,
                &[],
                "",
                &Own::default(),
                before.map(|it| &it.origination),
            ),
            freed: before.map(|it| it.freed.clone()).unwrap_or_default(),
            counts,
            limits,
        }
    }
}

/// What of a pool means something towards the application: nothing that comes in is retried by a rule, and what it speaks is
/// said by its port, as with Istio, which upgrades nothing that comes in either.
fn in_effect(pool: &ConnectionPool) -> ConnectionPool {
    let http = pool.http.clone().map(|http| HttpPool {
        max_retries: None,
        h2_upgrade_policy: H2UpgradePolicy::Default,
        ..http
    });
    ConnectionPool {
        tcp: pool.tcp.clone().filter(|it| *it != TcpPool::default()),
        http: http.filter(|it| *it != HttpPool::default()),
    }
}

#[cfg(test)]
mod tests {
    use meltemi_policy::circuit::Resource;

    use super::*;

    fn app(at: At, requests: u32) -> Arc<App> {
        let http = HttpPool { http2_max_requests: Some(requests), ..HttpPool::default() };
        App::new(80, at, &ConnectionPool { tcp: None, http: Some(http) })
    }

    #[test]
    fn what_is_under_way_counts_against_new_limits() {
        let before = app(At::Loopback(80), 1);
        let held = before.circuit.try_acquire(Resource::Requests);
        assert!(held.is_some());
        let after = app(At::Loopback(80), 2);
        assert_ne!(before, after);
        let circuit = &after.after(&before).circuit;
        let second = circuit.try_acquire(Resource::Requests);
        assert!(second.is_some() && circuit.try_acquire(Resource::Requests).is_none());
        drop(held);
        assert!(circuit.try_acquire(Resource::Requests).is_some());
    }

    #[test]
    fn connections_serve_on_while_the_place_stays() {
        let before = app(At::Loopback(80), 1);
        let id = |after: Arc<App>| after.after(&before).place.id;
        assert_eq!(id(app(At::Loopback(80), 2)), before.place.id);
        assert_ne!(id(app(At::Unix(Path::new("/a").into()), 1)), before.place.id);
        assert!(Arc::ptr_eq(&app(At::Loopback(80), 1).after(&before), &before));
    }

    #[test]
    fn what_means_nothing_here_is_no_limit() {
        let http = HttpPool {
            h2_upgrade_policy: H2UpgradePolicy::Upgrade,
            max_retries: Some(1),
            ..HttpPool::default()
        };
        let pool = ConnectionPool { tcp: None, http: Some(http) };
        assert_eq!(App::new(80, At::Loopback(80), &pool), App::at(80));
    }
}
