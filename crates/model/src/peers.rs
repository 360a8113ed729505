//! What workloads ask of their callers: `PeerAuthentication`s, by namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_policy::peer::{Governing, Modes, PeerAuthentication};

use crate::record::Object;

/// All `PeerAuthentication`s.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    root: Arc<str>,
    of: BTreeMap<Arc<str>, BTreeMap<Object, PeerAuthentication>>,
}

impl Peers {
    pub(crate) fn new(root: &str) -> Self {
        Peers { root: root.into(), ..Peers::default() }
    }

    /// Every resource.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.of.values().flat_map(BTreeMap::keys)
    }

    /// Sets or removes one; answers with the one before if that changes anything.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        policy: Option<PeerAuthentication>,
    ) -> Option<Replaced> {
        let of = self.of.entry(object.namespace.clone()).or_default();
        if of.get(object) == policy.as_ref() {
            return None;
        }
        let now = policy.clone();
        let before = match policy {
            Some(policy) => of.insert(object.clone(), policy),
            None => of.remove(object),
        };
        if of.is_empty() {
            self.of.remove(&object.namespace);
        }
        Some(Replaced { root: self.root.clone(), before, now })
    }

    /// What a workload asks.
    pub(crate) fn modes(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Modes {
        let root = Some(&*self.root).filter(|root| *root != namespace);
        let of = root.into_iter().chain([namespace]).filter_map(|namespace| self.of.get(namespace));
        Governing::find(of.flat_map(BTreeMap::values), &self.root, namespace, labels).modes()
    }
}

/// A resource that has changed.
#[derive(Debug)]
pub(crate) struct Replaced {
    root: Arc<str>,
    before: Option<PeerAuthentication>,
    now: Option<PeerAuthentication>,
}

impl Replaced {
    /// Whether a workload may be touched by it.
    pub(crate) fn touches(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let both = [&self.before, &self.now].into_iter().flatten();
        both.into_iter().any(|policy| policy.is_for(&self.root, namespace, labels))
    }
}
