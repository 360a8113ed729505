//! Who has ejected what, for people to see: whether or not it was believed, and for as long as the caller itself says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meltemi_policy::outlier::Reason;

use super::{LASTS, is_named};
use crate::outcomes::{EndpointId, HOUR};

/// Findings that are kept at most; further ones are not shown.
const MAX: usize = 10_000;

/// What a caller has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The endpoint that it ejected.
    pub endpoint: EndpointId,
    /// The namespace of the service.
    pub namespace: Arc<str>,
    /// Who says so, `NAMESPACE/NAME`.
    pub caller: Arc<str>,
    /// Why; `None` for a reason that nobody here knows.
    pub reason: Option<Reason>,
    /// Whether all others were told.
    pub is_told: bool,
    /// How long it stays out, seconds; at least, as proxies look once an interval.
    pub left: u32,
}

/// What callers have found out lately.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<(EndpointId, Arc<str>), Found>);

#[derive(Debug)]
struct Found {
    namespace: Arc<str>,
    reason: Option<Reason>,
    is_told: bool,
    until: u32,
}

impl Findings {
    /// How long an ejection is told of of which its caller says that it lasts so long: Envoy's base ejection time where it says
    /// nothing, an hour at most.
    pub fn lasting(said: Option<Duration>) -> u32 {
        let said = said.map(|it| u32::try_from(it.as_secs()).unwrap_or(HOUR));
        said.unwrap_or(LASTS).min(HOUR)
    }

    /// Notes one, in the place of what the same caller said of the endpoint before.
    pub fn note(&mut self, finding: Finding, now: u32) {
        let Finding { endpoint, namespace, caller, reason, is_told, left } = finding;
        let key = (endpoint, caller);
        if self.0.len() < MAX || self.0.contains_key(&key) {
            let until = now.saturating_add(left);
            self.0.insert(key, Found { namespace, reason, is_told, until });
        }
    }

    /// Forgets an endpoint that has left, by host and workload's name.
    pub fn forget(&mut self, host: &str, name: &str) {
        let is_it = |it: &EndpointId| *it.host == *host && is_named(&it.workload, name);
        self.0.retain(|(endpoint, _), _| !is_it(endpoint));
    }

    /// Forgets those that are over.
    pub fn sweep(&mut self, now: u32) {
        self.0.retain(|_, found| found.until > now);
    }

    /// Those of a host, or all.
    pub fn of(&self, host: Option<&str>, now: u32) -> Vec<Finding> {
        let chosen = self.0.iter().filter(|((endpoint, _), found)| {
            found.until > now && host.is_none_or(|host| *endpoint.host == *host)
        });
        let findings = chosen.map(|((endpoint, caller), found)| Finding {
            endpoint: endpoint.clone(),
            namespace: found.namespace.clone(),
            caller: caller.clone(),
            reason: found.reason,
            is_told: found.is_told,
            left: found.until - now,
        });
        findings.collect()
    }
}
