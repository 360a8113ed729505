//! How much there may be towards the application beside us: the Sidecar resource's `inboundConnectionPool`.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_policy::circuit::{Circuit, Counts, Limits};
use meltemi_policy::destination::TrafficPolicy;
use meltemi_policy::destination::rule::{ConnectionPool, H2UpgradePolicy, HttpPool, TcpPool};
use tokio::sync::Notify;

use super::{Origination, Own};

/// The limits of one port of the application, over all workers.
#[derive(Debug)]
pub struct AppPool {
    /// `inbound|PORT||`, as Envoy names it in logs.
    pub(crate) name: Arc<str>,
    pub(crate) circuit: Circuit,
    pub(crate) origination: Arc<Origination>,
    /// Told when leave to have a connection is given back.
    pub(crate) freed: Arc<Notify>,
    counts: Arc<Counts>,
    limits: ConnectionPool,
}

/// The limits of the application's ports; none where no Sidecar resource says any.
#[derive(Debug, Clone, Default)]
pub struct AppPools(BTreeMap<u16, Arc<AppPool>>);

impl PartialEq for AppPools {
    fn eq(&self, other: &AppPools) -> bool {
        let words = |pools: &AppPools| -> Vec<(u16, ConnectionPool)> {
            pools.0.iter().map(|(port, pool)| (*port, pool.limits.clone())).collect()
        };
        words(self) == words(other)
    }
}

impl Eq for AppPools {}

impl AppPools {
    /// Those of an `inboundConnectionPool` for these ports.
    pub(super) fn new(pool: &ConnectionPool, ports: impl Iterator<Item = u16>) -> AppPools {
        let limits = in_effect(pool);
        if limits == ConnectionPool::default() {
            return AppPools::default();
        }
        let build = |port| (port, Arc::new(AppPool::new(port, limits.clone(), None)));
        AppPools(ports.map(build).collect())
    }

    /// The same; what counts against the limits before goes on counting.
    pub(super) fn after(&mut self, before: &AppPools) {
        for (port, pool) in &mut self.0 {
            if let Some(before) = before.0.get(port) {
                *pool = match before.limits == pool.limits {
                    true => before.clone(),
                    false => Arc::new(AppPool::new(*port, pool.limits.clone(), Some(before))),
                };
            }
        }
    }

    /// The limits of a port.
    pub(crate) fn find(&self, port: u16) -> Option<&Arc<AppPool>> {
        self.0.get(&port)
    }
}

impl AppPool {
    fn new(port: u16, limits: ConnectionPool, before: Option<&Arc<AppPool>>) -> AppPool {
        let policy =
            TrafficPolicy { connection_pool: Some(limits.clone()), ..TrafficPolicy::default() };
        let origination = before.map(|it| &it.origination);
        let counts = before.map(|it| it.counts.clone()).unwrap_or_default();
        AppPool {
            name: format!("inbound|{port}||").into(),
            circuit: Circuit::new(Limits::from(&policy), counts.clone()),
            origination: Origination::of(&policy, &[], "", &Own::default(), origination),
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

    fn pools(requests: u32) -> AppPools {
        let http = HttpPool { http2_max_requests: Some(requests), ..HttpPool::default() };
        AppPools::new(&ConnectionPool { tcp: None, http: Some(http) }, [80].into_iter())
    }

    #[test]
    fn what_is_under_way_counts_against_new_limits() {
        let before = pools(1);
        let held = before.find(80).and_then(|it| it.circuit.try_acquire(Resource::Requests));
        assert!(held.is_some());
        let mut after = pools(2);
        assert_ne!(before, after);
        after.after(&before);
        let circuit = &after.find(80).expect("it is there").circuit;
        let second = circuit.try_acquire(Resource::Requests);
        assert!(second.is_some() && circuit.try_acquire(Resource::Requests).is_none());
        drop(held);
        assert!(circuit.try_acquire(Resource::Requests).is_some());
    }

    #[test]
    fn without_limits_there_is_nothing() {
        let upgrade =
            HttpPool { h2_upgrade_policy: H2UpgradePolicy::Upgrade, ..HttpPool::default() };
        for http in [None, Some(upgrade)] {
            let none = AppPools::new(&ConnectionPool { tcp: None, http }, [80].into_iter());
            assert!(none.find(80).is_none());
        }
    }
}
