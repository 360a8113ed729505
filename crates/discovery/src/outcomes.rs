//! Keeps the outcomes that proxies report.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_model::outcomes::{EndpointId, Outcomes, Row};
use meltemi_policy::outcome::Tally;
use parking_lot::Mutex;

/// One endpoint in a report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) endpoint: EndpointId,
    /// The namespace of its service.
    pub(crate) namespace: Arc<str>,
    pub(crate) tally: Tally,
}

/// The outcomes of a mesh, with a clock.
#[derive(Debug, Default)]
pub struct Keeper {
    outcomes: Mutex<Outcomes>,
}

impl Keeper {
    /// Goes on with what was kept before.
    pub fn new(outcomes: Outcomes) -> Keeper {
        Keeper { outcomes: Mutex::new(outcomes) }
    }

    pub(crate) fn take_in(&self, caller: &Arc<str>, reports: Vec<Report>) {
        let mut outcomes = self.outcomes.lock();
        let now = now();
        for report in reports {
            if !report.tally.is_empty() {
                outcomes.record(&report.endpoint, &report.namespace, caller, &report.tally, now);
            }
        }
    }

    /// What happened within the last `seconds` to the endpoints of a host, or of all.
    pub fn rows(&self, host: Option<&str>, seconds: u32) -> Vec<Row> {
        self.outcomes.lock().rows(host, seconds, now())
    }

    /// Forgets what is too old. To be called every few seconds.
    pub fn age(&self) {
        self.outcomes.lock().age(now());
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

/// Seconds since 1970, as long as they fit (until 2106).
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
