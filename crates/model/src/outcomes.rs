//! What became of calls, per endpoint and caller, for the last hour. Pure: the time comes in as seconds since 1970.
//!
//! The last minute is kept by the second, the hour before by the minute. A window takes at most [`WINDOW`] bytes, whatever
//! happened in it, and there are at most [`MAX_SERIES`] pairs of endpoint and caller.

mod file;
mod plausible;
mod series;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use meltemi_policy::outcome::Tally;

pub use self::plausible::{Allowances, Judged};
use self::series::Series;
pub use self::series::{CODE, WINDOW};

/// How long outcomes are kept, seconds.
pub const HOUR: u32 = 3600;
/// Pairs of endpoint and caller that are kept at most.
pub const MAX_SERIES: usize = 200_000;

/// Which endpoint is meant: a port of a service, and the workload behind it, `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// The service's host.
    pub host: Arc<str>,
    /// The service's port.
    pub port: u16,
    /// The workload.
    pub workload: Arc<str>,
}

/// Outcomes of one endpoint, as one caller met them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who was called.
    pub endpoint: EndpointId,
    /// The namespace of the service.
    pub namespace: Arc<str>,
    /// Who called, `NAMESPACE/NAME`.
    pub caller: Arc<str>,
    /// What happened.
    pub tally: Tally,
}

/// The outcomes of a mesh.
#[derive(Debug, Default)]
pub struct Outcomes {
    endpoints: BTreeMap<EndpointId, Endpoint>,
    series: usize,
    /// Counts changes, so that who writes them down knows of new ones.
    revision: u64,
}

#[derive(Debug)]
struct Endpoint {
    namespace: Arc<str>,
    /// In order of the callers' names. A tree would take a kilobyte for the one caller that most endpoints have.
    callers: Vec<(Arc<str>, Series)>,
}

impl Endpoint {
    fn new(namespace: &Arc<str>) -> Endpoint {
        Endpoint { namespace: namespace.clone(), callers: Vec::new() }
    }

    fn find(&self, caller: &str) -> Result<usize, usize> {
        self.callers.binary_search_by(|(name, _)| (**name).cmp(caller))
    }

    fn insert(&mut self, at: usize, caller: &Arc<str>, series: Series) {
        self.callers.reserve_exact(1 + self.callers.len() / 8);
        self.callers.insert(at, (caller.clone(), series));
    }
}

impl Outcomes {
    /// Adds what a caller met within the window that ends now. `false` if there is no room for another pair.
    pub fn record(
        &mut self,
        endpoint: &EndpointId,
        namespace: &Arc<str>,
        caller: &Arc<str>,
        tally: &Tally,
        now: u32,
    ) -> bool {
        let known = self.endpoints.get_mut(endpoint);
        let found = known.as_ref().map_or(Err(0), |it| it.find(caller));
        match (known, found) {
            (Some(known), Ok(at)) => known.callers[at].1.record(tally, now),
            _ if self.series >= MAX_SERIES => return false,
            (_, Ok(at) | Err(at)) => {
                let mut series = Series::default();
                series.record(tally, now);
                let fresh = || Endpoint::new(namespace);
                let entry = self.endpoints.entry(endpoint.clone()).or_insert_with(fresh);
                entry.insert(at, caller, series);
                self.series += 1;
            }
        }
        self.revision += 1;
        true
    }

    /// Forgets what is older than an hour, and puts seconds that are older than a minute together.
    pub fn age(&mut self, now: u32) {
        let mut left = 0;
        self.endpoints.retain(|_, endpoint| {
            endpoint.callers.retain_mut(|(_, series)| {
                series.age(now);
                !series.is_empty()
            });
            left += endpoint.callers.len();
            !endpoint.callers.is_empty()
        });
        self.series = left;
    }

    /// What happened within the last `seconds` to the endpoints of a service, or of all; rows without anything are left
    /// out.
    pub fn rows(&self, host: Option<&str>, seconds: u32, now: u32) -> Vec<Row> {
        let chosen =
            self.endpoints.iter().filter(|(id, _)| host.is_none_or(|host| *id.host == *host));
        let rows = chosen.flat_map(|(id, endpoint)| {
            endpoint.callers.iter().map(move |(caller, series)| Row {
                endpoint: id.clone(),
                namespace: endpoint.namespace.clone(),
                caller: caller.clone(),
                tally: series.sum(seconds, now),
            })
        });
        rows.filter(|row| !row.tally.is_empty()).collect()
    }

    /// What callers met at one endpoint within the last `seconds`.
    pub fn at(&self, endpoint: &EndpointId, seconds: u32, now: u32) -> Vec<(Arc<str>, Tally)> {
        let callers = self.endpoints.get(endpoint).into_iter().flat_map(|it| &it.callers);
        let sums = callers.map(|(caller, series)| (caller.clone(), series.sum(seconds, now)));
        sums.filter(|(_, tally)| !tally.is_empty()).collect()
    }

    /// Everybody who has called.
    pub fn callers(&self) -> HashSet<Arc<str>> {
        let callers = self.endpoints.values().flat_map(|it| &it.callers);
        callers.map(|(caller, _)| caller.clone()).collect()
    }

    /// How many pairs of endpoint and caller are kept, and how many windows of them.
    pub fn size(&self) -> (usize, usize) {
        let series = self.endpoints.values().flat_map(|it| &it.callers);
        (self.series, series.map(|(_, series)| series.windows()).sum())
    }

    /// Changes with every record.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests;
