//! Circuit breaking: how many connections, waiting requests, requests and retries there are of a service, and how many there may
//! be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::destination::rule::{RetryBudget, TrafficPolicy};

/// What there is a limit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Connections to endpoints.
    Connections,
    /// Requests that wait for a connection.
    PendingRequests,
    /// Requests under way.
    Requests,
    /// Retries under way.
    Retries,
}

/// How much there may be; `u32::MAX` is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of connections.
    pub connections: u32,
    /// Of requests that wait for a connection.
    pub pending_requests: u32,
    /// Of requests.
    pub requests: u32,
    /// Of retries, if there is no budget.
    pub retries: u32,
    /// Of retries, by the number of requests.
    pub retry_budget: Option<RetryBudget>,
}

impl Default for Limits {
    /// Istio's defaults: none.
    fn default() -> Self {
        let none = u32::MAX;
        Limits {
            connections: none,
            pending_requests: none,
            requests: none,
            retries: none,
            retry_budget: None,
        }
    }
}

impl From<&TrafficPolicy> for Limits {
    fn from(policy: &TrafficPolicy) -> Limits {
        let pool = policy.connection_pool.as_ref();
        let tcp = pool.and_then(|pool| pool.tcp.as_ref());
        let http = pool.and_then(|pool| pool.http.as_ref());
        // 0 stands for what was left out (Istio).
        let limit = |limit: Option<u32>| limit.filter(|limit| *limit > 0).unwrap_or(u32::MAX);
        Limits {
            connections: limit(tcp.and_then(|tcp| tcp.max_connections)),
            pending_requests: limit(http.and_then(|http| http.http1_max_pending_requests)),
            requests: limit(http.and_then(|http| http.http2_max_requests)),
            retries: limit(http.and_then(|http| http.max_retries)),
            retry_budget: policy.retry_budget,
        }
    }
}

/// How much there is. Belongs to a service's port (or a subset), not to a configuration: it outlives changes of limits.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU32,
    pending_requests: AtomicU32,
    requests: AtomicU32,
    retries: AtomicU32,
}

impl Counts {
    fn of(&self, resource: Resource) -> &AtomicU32 {
        match resource {
            Resource::Connections => &self.connections,
            Resource::PendingRequests => &self.pending_requests,
            Resource::Requests => &self.requests,
            Resource::Retries => &self.retries,
        }
    }
}

/// The limits of a service's port, and what counts against them.
#[derive(Debug, Clone)]
pub struct Circuit {
    limits: Limits,
    counts: Arc<Counts>,
}

/// Leave to have one more; given back when it is dropped.
#[derive(Debug)]
#[must_use = "what it stands for counts only while it is held"]
pub struct Permit {
    /// Nothing is counted where there is no limit, because all requests would share the counter.
    held: Option<(Arc<Counts>, Resource)>,
}

impl Circuit {
    /// Puts limits on what is counted.
    pub fn new(limits: Limits, counts: Arc<Counts>) -> Circuit {
        Circuit { limits, counts }
    }

    /// Takes one more. `None` where that would be beyond the limit (Envoy's "overflow", response flag `UO`).
    pub fn try_acquire(&self, resource: Resource) -> Option<Permit> {
        if !self.is_counted(resource) {
            return Some(Permit { held: None });
        }
        let limit = self.limit(resource);
        let more = |count: u32| (count < limit).then(|| count + 1);
        self.counts.of(resource).fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Permit { held: Some((self.counts.clone(), resource)) })
    }

    /// How much there may be now.
    pub fn limit(&self, resource: Resource) -> u32 {
        match (resource, &self.limits.retry_budget) {
            (Resource::Connections, _) => self.limits.connections,
            (Resource::PendingRequests, _) => self.limits.pending_requests,
            (Resource::Requests, _) => self.limits.requests,
            (Resource::Retries, None) => self.limits.retries,
            (Resource::Retries, Some(budget)) => {
                let [requests, pending] = [Resource::Requests, Resource::PendingRequests];
                let active = u64::from(self.count(requests)) + u64::from(self.count(pending));
                let share = active as f64 * budget.percent.clamp(0.0, 100.0) / 100.0;
                (share as u32).max(budget.min_retry_concurrency)
            }
        }
    }

    /// How much there is. Without a limit nothing is counted.
    pub fn count(&self, resource: Resource) -> u32 {
        self.counts.of(resource).load(Relaxed)
    }

    /// Whether the limit is reached (Envoy's gauge `circuit_breakers.*_open`).
    pub fn is_open(&self, resource: Resource) -> bool {
        self.is_counted(resource) && self.count(resource) >= self.limit(resource)
    }

    fn is_counted(&self, resource: Resource) -> bool {
        let has_budget = self.limits.retry_budget.is_some();
        has_budget && resource != Resource::Connections || self.limit(resource) != u32::MAX
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((counts, resource)) = &self.held {
            counts.of(*resource).fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
