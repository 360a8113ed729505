//! Which services of a namespace select a workload, found without a look at each service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::record::Object;

/// Services by one pair of their selector. Every pair of a selector must be among a workload's labels, so that it is
/// enough to look under each of the workload's labels.
#[derive(Debug, Default)]
pub(crate) struct Selectors {
    by_pair: HashMap<(String, String), BTreeSet<Object>>,
}

impl Selectors {
    pub(crate) fn insert(&mut self, selector: &BTreeMap<String, String>, object: &Object) {
        if let Some(pair) = pair(selector) {
            self.by_pair.entry(pair).or_default().insert(object.clone());
        }
    }

    pub(crate) fn remove(&mut self, selector: &BTreeMap<String, String>, object: &Object) {
        let Some(pair) = pair(selector) else { return };
        if let Some(objects) = self.by_pair.get_mut(&pair) {
            objects.remove(object);
            if objects.is_empty() {
                self.by_pair.remove(&pair);
            }
        }
    }

    /// The services that may select a workload with these labels; the rest of their selector is still to be compared.
    pub(crate) fn candidates<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a Object> {
        labels
            .iter()
            .filter_map(|(key, value)| self.by_pair.get(&(key.clone(), value.clone())))
            .flatten()
    }
}

/// One pair stands for the whole selector: the first by key.
fn pair(selector: &BTreeMap<String, String>) -> Option<(String, String)> {
    let (key, value) = selector.first_key_value()?;
    Some((key.clone(), value.clone()))
}

/// Whether labels satisfy a selector. An empty selector selects nothing, as Kubernetes does for services.
pub(crate) fn selects(
    selector: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
