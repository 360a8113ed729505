//! Outlier detection: which endpoints are left out for a while because they fail, as Envoy does it and Istio sets it.
//!
//! Results are recorded on the requests' way by a few atomic operations; [`Detector::sweep`] runs once an interval, brings
//! endpoints back and looks at success rates. Both say which endpoints changed;
//! [`Balancer::set_ejected`](crate::balance::Balancer::set_ejected) takes that.
//!
//! How long an ejection lasts: the base time the first time, twice as long with each further one, up to 300 s (or the base
//! time, if that is longer). Envoy multiplies by the number of ejections instead; doubling is what this mesh promises, because it
//! reaches the cap in a few steps, so that an endpoint which keeps failing costs fewer requests, while the first two times are
//! Envoy's. Each interval that an endpoint is in without an ejection undoes one step, as in Envoy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::host::Reached;
pub use self::host::{Host, Out, Outcome};
pub use self::settings::Settings;

mod host;
mod settings;
mod statistics;

/// Why an endpoint was ejected; the words are Envoy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// So many 5xx in a row.
    Consecutive5xx,
    /// So many gateway errors in a row.
    ConsecutiveGatewayFailure,
    /// So many failures of the way in a row.
    ConsecutiveLocalOriginFailure,
    /// Fewer requests succeeded than with the others.
    SuccessRate,
    /// Too large a share of requests failed.
    FailurePercentage,
    /// Another caller has found out that it fails, as the control plane says. No reason of Envoy's.
    Told,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 6] = [
        Reason::Consecutive5xx,
        Reason::ConsecutiveGatewayFailure,
        Reason::ConsecutiveLocalOriginFailure,
        Reason::SuccessRate,
        Reason::FailurePercentage,
        Reason::Told,
    ];

    /// The reason of a word.
    pub fn of_str(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Consecutive5xx => "consecutive_5xx",
            Reason::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Reason::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Reason::SuccessRate => "success_rate",
            Reason::FailurePercentage => "failure_percentage",
            Reason::Told => "told",
        }
    }
}

/// An endpoint went out or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The endpoint's index.
    pub index: usize,
    /// Why it went out; `None` if it came back.
    pub ejected: Option<Reason>,
}

/// Watches the endpoints of a service or subset.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    hosts: Box<[Arc<Host>]>,
    /// Held by whoever ejects, so that the share of ejected ones is kept. Endpoints themselves know whether they are: other
    /// detectors, made before this one, may still eject them.
    ejecting: Mutex<()>,
}

impl Detector {
    /// Watches these endpoints. What is known of those that an earlier detector watched goes on, if they are the same [`Host`]s.
    pub fn new(settings: Settings, hosts: impl IntoIterator<Item = Arc<Host>>) -> Detector {
        Detector { settings, hosts: hosts.into_iter().collect(), ejecting: Mutex::default() }
    }

    /// How long to wait between two calls of [`Detector::sweep`].
    pub fn interval(&self) -> Duration {
        self.settings.interval
    }

    /// The endpoints that are watched.
    pub fn hosts(&self) -> &[Arc<Host>] {
        &self.hosts
    }

    /// How many endpoints are ejected now.
    pub fn ejected(&self) -> usize {
        self.hosts.iter().filter(|host| host.is_ejected()).count()
    }

    /// Records how a request to an endpoint ended; says so if that ejects it. The clock is read only then: next to every request
    /// goes well.
    pub fn record(
        &self,
        index: usize,
        outcome: Outcome,
        now: impl FnOnce() -> Duration,
    ) -> Option<Change> {
        let host = self.hosts.get(index)?;
        let reason = match host.record(outcome, &self.settings)? {
            Reached::ServerErrors => Reason::Consecutive5xx,
            Reached::GatewayErrors => Reason::ConsecutiveGatewayFailure,
            Reached::LocalFailures => Reason::ConsecutiveLocalOriginFailure,
        };
        self.eject(index, reason, now())
    }

    /// Another caller has found out that an endpoint fails; `id` tells one such finding from the next, 0 stands for none. One that
    /// was told before changes nothing.
    pub fn told(&self, index: usize, id: u64, now: Duration) -> Option<Change> {
        let host = self.hosts.get(index)?;
        if !host.is_news(id) {
            return None;
        }
        self.eject(index, Reason::Told, now)
    }

    /// What is due once an interval: endpoints whose time is over come back, then those go out whose success rate is too low or
    /// whose share of failures is too high.
    pub fn sweep(&self, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if host.come_back(now) {
                changes.push(Change { index, ejected: None });
            }
        }
        if !self.settings.counts() {
            return changes;
        }
        let windows: Vec<host::Window> = self.hosts.iter().map(|host| host.take_window()).collect();
        for (index, reason) in statistics::outliers(&windows, &self.settings) {
            changes.extend(self.eject(index, reason, now));
        }
        changes
    }

    /// Ejects an endpoint, if it is in and the share of ejected ones allows it.
    fn eject(&self, index: usize, reason: Reason, now: Duration) -> Option<Change> {
        let _only = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let may_go = self.settings.may_eject(self.ejected(), self.hosts.len());
        if !may_go || !self.hosts[index].eject(reason, now, &self.settings) {
            return None;
        }
        Some(Change { index, ejected: Some(reason) })
    }
}

#[cfg(test)]
mod tests;
