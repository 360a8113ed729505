//! Keeps the outcomes that proxies report.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_model::ejections::{EjectionChange, Ejections, Finding, Findings, WITNESSES};
use meltemi_model::outcomes::{Allowances, EndpointId, Judged, Outcomes, Row};
use meltemi_names::SpiffeId;
use meltemi_policy::outcome::Tally;
use meltemi_policy::outlier::Reason;
use parking_lot::Mutex;

use crate::publish::Publisher;

/// One endpoint in a report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) endpoint: EndpointId,
    /// The namespace of its service.
    pub(crate) namespace: Arc<str>,
    pub(crate) tally: Tally,
    /// Where the reporter calls it no longer.
    pub(crate) ejected: Option<Ejected>,
}

/// That a reporter has ejected an endpoint.
#[derive(Debug)]
pub(crate) struct Ejected {
    /// How many endpoints the service has.
    pub(crate) size: usize,
    /// Why, where that is a word of ours.
    pub(crate) reason: Option<Reason>,
    /// For how long, seconds.
    pub(crate) lasts: u32,
}

/// The outcomes of a mesh, with a clock.
#[derive(Debug, Default)]
pub struct Keeper {
    outcomes: Mutex<Outcomes>,
    ejections: Mutex<Ejections>,
    found: Mutex<Findings>,
    /// Whom each caller's certificate names.
    identities: Mutex<HashMap<Arc<str>, Arc<str>>>,
    allowances: Mutex<Allowances>,
    refused: AtomicU64,
}

impl Keeper {
    /// Goes on with what was kept before.
    pub fn new(outcomes: Outcomes) -> Keeper {
        Keeper { outcomes: Mutex::new(outcomes), ..Keeper::default() }
    }

    pub(crate) fn take_in(
        &self,
        caller: &Arc<str>,
        identity: &SpiffeId,
        reports: Vec<Report>,
        publisher: &Publisher,
    ) {
        let mut outcomes = self.outcomes.lock();
        let now = now();
        self.forget_who_left(publisher);
        let identity: Arc<str> = identity.to_string().into();
        self.identities.lock().insert(caller.clone(), identity.clone());
        let mut changes = Vec::new();
        for report in reports {
            if !self.is_plausible(caller, &report, now) {
                continue;
            }
            if !report.tally.is_empty() {
                outcomes.record(&report.endpoint, &report.namespace, caller, &report.tally, now);
            }
            if let Some(ejected) = report.ejected {
                let others = self.others(&outcomes, &report.endpoint, &identity, now);
                let member = (report.endpoint.host.clone(), report.endpoint.workload.clone());
                let told =
                    self.ejections.lock().told(member, &identity, ejected.size, &others, now);
                let finding = Finding {
                    endpoint: report.endpoint.clone(),
                    namespace: report.namespace,
                    caller: caller.clone(),
                    reason: ejected.reason,
                    is_told: told.is_some(),
                    left: ejected.lasts,
                };
                self.found.lock().note(finding, now);
                tracing::info!(
                    %caller, host = %report.endpoint.host, workload = %report.endpoint.workload,
                    is_believed = told.is_some(), "a caller has ejected an endpoint"
                );
                changes.extend(told);
            }
        }
        drop(outcomes);
        publish(publisher, changes);
    }

    /// Forgets ejections of endpoints that have left: who comes back under the name begins anew.
    fn forget_who_left(&self, publisher: &Publisher) {
        for (host, workload) in publisher.take_left_ejected() {
            self.ejections.lock().forget(&host, &workload);
            self.found.lock().forget(&host, &workload);
        }
    }

    /// Whether it can be what a report says; if not, none of it is kept.
    fn is_plausible(&self, caller: &Arc<str>, report: &Report, now: u32) -> bool {
        let Report { endpoint, tally, .. } = report;
        let Judged::Refused { is_first } = self.allowances.lock().judge(caller, tally, now) else {
            return true;
        };
        self.refused.fetch_add(1, Relaxed);
        if is_first {
            tracing::warn!(
                %caller, host = %endpoint.host, workload = %endpoint.workload,
                issued = tally.issued, calls = tally.calls, failed = tally.failed(),
                in_flight = tally.in_flight, timed = tally.latency.count(),
                "a caller reports outcomes that cannot be; they are left out"
            );
        }
        false
    }

    /// Reports on an endpoint that were left out, since they cannot be.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// What callers of other identities met at an endpoint lately.
    fn others(
        &self,
        outcomes: &Outcomes,
        endpoint: &EndpointId,
        identity: &Arc<str>,
        now: u32,
    ) -> Tally {
        let identities = self.identities.lock();
        let mut sum = Tally::default();
        let met = outcomes.at(endpoint, WITNESSES, now);
        let others = met.iter().filter(|(caller, _)| identities.get(caller) != Some(identity));
        others.for_each(|(_, tally)| sum.merge(tally));
        sum
    }

    /// How many endpoints are ejected.
    pub fn ejected(&self) -> usize {
        self.ejections.lock().len()
    }

    /// Which endpoints of a host, or of all, callers have ejected, as they say themselves.
    pub fn findings(&self, host: Option<&str>) -> Vec<Finding> {
        self.found.lock().of(host, now())
    }

    /// What happened within the last `seconds` to the endpoints of a host, or of all.
    pub fn rows(&self, host: Option<&str>, seconds: u32) -> Vec<Row> {
        self.outcomes.lock().rows(host, seconds, now())
    }

    /// Forgets what is too old, and lets endpoints back whose time is over. To be called every few seconds.
    pub fn age(&self, publisher: &Publisher) {
        let now = now();
        let mut outcomes = self.outcomes.lock();
        outcomes.age(now);
        let callers = outcomes.callers();
        drop(outcomes);
        self.allowances.lock().age(now);
        self.identities.lock().retain(|caller, _| callers.contains(caller));
        self.forget_who_left(publisher);
        self.found.lock().sweep(now);
        let over = self.ejections.lock().sweep(now);
        publish(publisher, over);
    }

    /// All of it as bytes, to be kept, and the number of its version; `None` where that is the version known already.
    pub fn to_bytes(&self, known: u64) -> Option<(Vec<u8>, u64)> {
        let outcomes = self.outcomes.lock();
        let revision = outcomes.revision();
        (revision != known).then(|| (outcomes.to_bytes(), revision))
    }

    /// How many pairs of endpoint and caller are kept, and how many windows of them.
    pub fn size(&self) -> (usize, usize) {
        self.outcomes.lock().size()
    }
}

/// Has all who follow these endpoints told.
fn publish(publisher: &Publisher, changes: Vec<EjectionChange>) {
    let named =
        changes.into_iter().filter_map(|EjectionChange { member: (host, workload), id }| {
            let (_, name) = workload.split_once('/')?;
            Some((host.to_string(), Arc::from(name), id))
        });
    publisher.publish_ejections(&named.collect::<Vec<_>>());
}

/// Seconds since 1970, as long as they fit (until 2106).
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
