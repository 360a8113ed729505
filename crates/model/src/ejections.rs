//! Which endpoints are left out by all, because one caller has found out that they fail. Pure.
//!
//! Callers find out by outlier detection, and say so. What one says is believed within limits, so that one that lies, or whose own
//! way is broken, does no harm to all: never more than half of a service's endpoints are out; one identity alone has at most a
//! tenth of them out, or one; and an endpoint that serves others well stays in, while who has said otherwise is not heard on that
//! service for a while.

mod found;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meltemi_policy::outcome::Tally;

pub use self::found::{Finding, Findings};

/// How long an endpoint is told of as ejected, seconds (Envoy's base ejection time). Proxies double their own.
const LASTS: u32 = 30;
/// At most so many of 100 endpoints.
const MOST_PERCENT: usize = 50;
/// At most so many of 100 endpoints by one identity alone, or one.
const MOST_BY_ONE: usize = 10;
/// So many calls of others within the time that witnesses are asked for say something.
const ENOUGH: u64 = 5;
/// So far back witnesses count, seconds.
pub const WITNESSES: u32 = 10;
/// How long who was contradicted is not heard, seconds.
const UNHEARD: u32 = 600;
/// Contradictions that are remembered at most.
const MAX_UNHEARD: usize = 10_000;

/// An endpoint of a service: host and workload, `NAMESPACE/NAME`.
pub type Member = (Arc<str>, Arc<str>);

/// An endpoint that is ejected, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectionChange {
    /// Which one.
    pub member: Member,
    /// Tells one ejection from the next; 0 when it is over.
    pub id: u64,
}

/// The endpoints that are ejected.
#[derive(Debug, Default)]
pub struct Ejections {
    current: BTreeMap<Member, Current>,
    unheard: HashMap<(Arc<str>, Arc<str>), u32>,
    last: u64,
}

#[derive(Debug)]
struct Current {
    until: u32,
    by: Arc<str>,
}

impl Ejections {
    /// A caller says that an endpoint fails. `by` is the caller's identity, `size` how many endpoints the service has, `others` what
    /// callers of other identities met there lately. Answers with the change, if it is believed.
    pub fn told(
        &mut self,
        member: Member,
        by: &Arc<str>,
        size: usize,
        others: &Tally,
        now: u32,
    ) -> Option<EjectionChange> {
        let key = (by.clone(), member.0.clone());
        let is_heard = self.unheard.get(&key).is_none_or(|until| *until <= now);
        if !is_heard || self.current.contains_key(&member) {
            return None;
        }
        if others.calls >= ENOUGH && others.succeeded() * 2 >= others.calls {
            self.unheard.retain(|_, until| *until > now);
            if self.unheard.len() < MAX_UNHEARD {
                self.unheard.insert(key, now.saturating_add(UNHEARD));
            }
            return None;
        }
        let of_host = self.current.iter().filter(|((host, _), _)| *host == member.0);
        let (all, by_it) = of_host.fold((0, 0), |(all, by_it), (_, current)| {
            (all + 1, by_it + usize::from(current.by == *by))
        });
        let most_by_it = (size * MOST_BY_ONE / 100).max(1);
        if (all + 1) * 100 > size * MOST_PERCENT || by_it >= most_by_it {
            return None;
        }
        let until = now.saturating_add(LASTS);
        self.current.insert(member.clone(), Current { until, by: by.clone() });
        // Other than before a restart, too.
        self.last = (self.last + 1).max(u64::from(now) << 16);
        Some(EjectionChange { member, id: self.last })
    }

    /// Forgets an endpoint that has left, by host and workload's name.
    pub fn forget(&mut self, host: &str, name: &str) {
        self.current.retain(|(of, workload), _| !(**of == *host && is_named(workload, name)));
    }

    /// Those that are over.
    pub fn sweep(&mut self, now: u32) -> Vec<EjectionChange> {
        let over = self.current.extract_if(.., |_, current| current.until <= now);
        over.map(|(member, _)| EjectionChange { member, id: 0 }).collect()
    }

    /// How many endpoints are ejected.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }
}

/// Whether a workload, `NAMESPACE/NAME`, has this name.
fn is_named(workload: &str, name: &str) -> bool {
    workload.split_once('/').is_some_and(|(_, its)| its == name)
}

#[cfg(test)]
mod tests;
