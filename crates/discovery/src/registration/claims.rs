//! Which labels a workload may take. A workload says its labels itself: where `WorkloadGroup`s say of which service
//! account the workloads are that a selector chooses, no other account may have itself chosen by it.
//!
//! Istio ties a machine to the `serviceAccount` of its group in the same way
//! (<https://istio.io/latest/docs/reference/config/networking/workload-group/>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meltemi_store::{Entry, Key};
use meltemi_wire::proto::meltemi::v1::RegisteredWorkload;
use serde_json::Value;

use super::group::Group;
use super::{board, objects};

/// The kinds that choose workloads to call them or to give them secrets: plural, group, where their selector is.
const SELECTORS: [(&str, &str, &str); 3] = [
    ("services", "", "/spec/selector"),
    ("serviceentries", "networking.istio.io", "/spec/workloadSelector/labels"),
    ("destinationrules", "networking.istio.io", "/spec/workloadSelector/matchLabels"),
];

/// Labels that have to be there.
type Labels = BTreeMap<String, String>;

/// What a namespace's objects say of the labels of workloads.
#[derive(Debug, Default)]
pub(super) struct Claims {
    groups: BTreeMap<String, Arc<Group>>,
    selectors: BTreeMap<Key, Labels>,
}

/// A selector that is for workloads of some service accounts alone.
#[derive(Debug, PartialEq, Eq)]
struct Ruling {
    /// The object that chooses by it, in words.
    what: String,
    selector: Labels,
    owners: BTreeSet<String>,
}

/// All of a namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rulings(Vec<Ruling>);

/// Whether objects of this kind have a word in it.
pub(super) fn concerns(kind: &str) -> bool {
    kind == board::kind() || pointer(kind).is_some()
}

/// The kinds that have one; the groups first, without which the others say nothing.
pub(super) fn kinds() -> impl Iterator<Item = String> {
    let selectors = SELECTORS.iter().map(|(plural, of, _)| meltemi_store::kind(of, plural));
    std::iter::once(board::kind()).chain(selectors)
}

/// Where objects of a kind have their selector.
fn pointer(kind: &str) -> Option<&'static str> {
    let (of, plural) = kind.split_once('/')?;
    let found = SELECTORS.iter().find(|it| (it.0, it.1) == (plural, of))?;
    Some(found.2)
}

impl Claims {
    /// Whether no group says an account, so that labels are for every one.
    pub(super) fn are_open(&self) -> bool {
        self.groups.values().all(|group| group.account().is_empty())
    }

    /// Takes in an object that [`concerns`].
    pub(super) fn put(&mut self, entry: &Entry) {
        let Some(pointer) = pointer(&entry.key.kind) else {
            // A group that cannot be read stays as it was, as it does for its members.
            if let Ok(group) = board::read(entry) {
                self.groups.insert(entry.key.name.clone(), group);
            }
            return;
        };
        let object: Value = serde_json::from_slice(&entry.value).unwrap_or_default();
        let selector = selector(object.pointer(pointer));
        match selector.is_empty() {
            true => drop(self.selectors.remove(&entry.key)),
            false => drop(self.selectors.insert(entry.key.clone(), selector)),
        }
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, key: &Key) {
        if self.selectors.remove(key).is_none() && key.kind == board::kind() {
            self.groups.remove(&key.name);
        }
    }

    /// What follows.
    pub(super) fn rulings(&self) -> Rulings {
        if self.are_open() {
            return Rulings::default();
        }
        let ruling = |(key, selector): (&Key, &Labels)| {
            let owners = self.owners(selector)?;
            let plural = key.kind.rsplit('/').next().unwrap_or_default();
            Some(Ruling {
                what: format!("{plural} {}", key.name),
                selector: selector.clone(),
                owners,
            })
        };
        Rulings(self.selectors.iter().filter_map(ruling).collect())
    }

    /// The same, where a registration is about to make a service of this name.
    pub(super) fn rulings_with(&self, service: &str) -> Rulings {
        let mut rulings = self.rulings();
        let selector = Labels::from([("app".to_owned(), service.to_owned())]);
        if let Some(owners) = self.owners(&selector).filter(|_| !service.is_empty()) {
            rulings.0.push(Ruling { what: format!("services {service}"), selector, owners });
        }
        rulings
    }

    /// The service accounts of those whom a selector is for; `None` if it is for every one.
    fn owners(&self, selector: &Labels) -> Option<BTreeSet<String>> {
        let chosen = self.groups.values().filter(|group| chooses(selector, &group.labels()));
        let owners: BTreeSet<String> = chosen.map(|group| group.account().to_owned()).collect();
        // A group without an account is for every one.
        (!owners.is_empty() && !owners.contains("")).then_some(owners)
    }
}

impl Rulings {
    /// Why a workload may not have its labels, if it may not; `group` is what it is a member of.
    pub(super) fn objection(
        &self,
        workload: &RegisteredWorkload,
        group: Option<&Group>,
    ) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let filled = group.map(|group| group.fill(workload));
        let labels = objects::labels(filled.as_ref().unwrap_or(workload));
        let account = &workload.service_account;
        let is_broken =
            |it: &&Ruling| chooses(&it.selector, &labels) && !it.owners.contains(account.as_str());
        let Ruling { what, owners, .. } = self.0.iter().find(is_broken)?;
        let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
        Some(format!(
            "its labels have it chosen by {what}, whose workloads are of service account `{owners}` by their \
             WorkloadGroup, and this one is of `{account}`: start it with that --service-account, or with other labels",
            owners = owners.join("` or `"),
        ))
    }
}

fn selector(value: Option<&Value>) -> Labels {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn chooses(selector: &Labels, labels: &BTreeMap<&str, &str>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key.as_str()) == Some(&value.as_str()))
}

#[cfg(test)]
mod tests;
