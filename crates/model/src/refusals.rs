//! Which resources are set aside, and why: those that could not be read, those whose host another one has, and those of
//! which a part leads nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::Host;

use crate::record::Object;

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    unreadable: BTreeMap<Object, String>,
    shadowed: BTreeMap<Object, BTreeMap<Host, Object>>,
    flawed: BTreeMap<Object, String>,
    changed: bool,
}

impl Refusals {
    pub(crate) fn refuse(&mut self, object: &Object, reason: String) {
        self.unreadable.insert(object.clone(), reason);
        self.changed = true;
    }

    /// The resource was read, or is gone.
    pub(crate) fn clear(&mut self, object: &Object) {
        self.changed |= self.unreadable.remove(object).is_some();
    }

    /// Of `object`, the host has no effect because `owner` has it; `None` if it has it itself or claims it no more.
    pub(crate) fn shadow(&mut self, object: &Object, host: &Host, owner: Option<&Object>) {
        let hosts = self.shadowed.entry(object.clone()).or_default();
        let before = match owner {
            Some(owner) => hosts.insert(host.clone(), owner.clone()),
            None => hosts.remove(host),
        };
        self.changed |= before.as_ref() != owner;
        if hosts.is_empty() {
            self.shadowed.remove(object);
        }
    }

    /// A part of `object` has no effect, for this reason; `None` if all of it has.
    pub(crate) fn flaw(&mut self, object: &Object, reason: Option<String>) {
        self.changed |= self.flawed.get(object) != reason.as_ref();
        match reason {
            Some(reason) => drop(self.flawed.insert(object.clone(), reason)),
            None => drop(self.flawed.remove(object)),
        }
    }

    /// All of them, if they have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Option<Arc<BTreeMap<Object, String>>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut all = self.flawed.clone();
        for (object, hosts) in &self.shadowed {
            let reasons = hosts.iter().map(|(host, owner)| {
                format!("host {host} is {owner}'s already; rename one of them")
            });
            let reasons: Vec<String> = all.remove(object).into_iter().chain(reasons).collect();
            all.insert(object.clone(), reasons.join("; "));
        }
        // Of what cannot be read the rest speaks of what it was before.
        all.extend(self.unreadable.clone());
        Some(Arc::new(all))
    }
}
