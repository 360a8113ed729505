//! The destination rules, and which of them are for a host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::destination::rule::DestinationRule;

use crate::hosts::ByHost;
use crate::record::Object;

/// A `DestinationRule` resource.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationRuleRecord {
    /// The host, in full.
    pub host: Host,
    /// The rule.
    pub rule: DestinationRule,
    /// The secrets that callers need for it, in their own namespace, which is the rule's.
    pub credentials: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Destinations {
    rules: HashMap<Object, (Host, Arc<DestinationRule>)>,
    by_host: ByHost,
    /// The rules that need secrets, and which.
    credentials: BTreeMap<Object, BTreeSet<String>>,
}

impl Destinations {
    /// The secrets that a workload with these labels needs for the rules of its namespace.
    pub(crate) fn credentials(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> BTreeSet<&str> {
        let is_for = |object: &Object| {
            let selector = self.rules.get(object).and_then(|it| it.1.workload_selector.as_ref());
            let holds = |(key, value)| labels.get(key) == Some(value);
            *object.namespace == *namespace && selector.is_some_and(|it| it.iter().all(holds))
        };
        let needing = self.credentials.iter().filter(|(object, _)| is_for(object));
        needing.flat_map(|(_, names)| names).map(String::as_str).collect()
    }

    /// Whether any rule of the namespace needs the secret.
    pub(crate) fn need(&self, namespace: &str, secret: &str) -> bool {
        let mut of_namespace = self.credentials.iter().filter(|it| *it.0.namespace == *namespace);
        of_namespace.any(|(_, names)| names.contains(secret))
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.rules.keys()
    }

    /// Sets or removes a rule. `touched` are the hosts, wildcards among them, whose rules change; the answer is whether
    /// workloads may need other secrets than before.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        record: Option<DestinationRuleRecord>,
        touched: &mut BTreeSet<Host>,
    ) -> bool {
        let before = self.rules.get(object);
        let is_same = match (before, &record) {
            (Some((host, rule)), Some(record)) => *host == record.host && **rule == record.rule,
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return false;
        }
        let mut needs = false;
        if let Some((host, rule)) = self.rules.remove(object) {
            self.by_host.remove(&host, &rule.created, object);
            touched.insert(host);
            needs |= self.credentials.remove(object).is_some();
        }
        if let Some(DestinationRuleRecord { host, rule, credentials }) = record {
            if !credentials.is_empty() {
                needs = true;
                self.credentials.insert(object.clone(), credentials);
            }
            self.by_host.insert(&host, &rule.created, object);
            touched.insert(host.clone());
            self.rules.insert(object.clone(), (host, Arc::new(rule)));
        }
        needs
    }

    /// The rules whose host covers this one, in Istio's order.
    pub(crate) fn of(&self, host: &Host) -> Arc<[Arc<DestinationRule>]> {
        let covering = self.by_host.covering(host).into_iter();
        covering.filter_map(|object| Some(self.rules.get(object)?.1.clone())).collect()
    }
}
