//! The destination rules, and which of them are for a host.

use std::collections::{BTreeSet, HashMap};
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
}

#[derive(Debug, Default)]
pub(crate) struct Destinations {
    rules: HashMap<Object, (Host, Arc<DestinationRule>)>,
    by_host: ByHost,
}

impl Destinations {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.rules.keys()
    }

    /// Sets or removes a rule. `touched` are the hosts, wildcards among them, whose rules change.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        record: Option<DestinationRuleRecord>,
        touched: &mut BTreeSet<Host>,
    ) {
        let before = self.rules.get(object);
        let is_same = match (before, &record) {
            (Some((host, rule)), Some(record)) => *host == record.host && **rule == record.rule,
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return;
        }
        if let Some((host, rule)) = self.rules.remove(object) {
            self.by_host.remove(&host, &rule.created, object);
            touched.insert(host);
        }
        if let Some(DestinationRuleRecord { host, rule }) = record {
            self.by_host.insert(&host, &rule.created, object);
            touched.insert(host.clone());
            self.rules.insert(object.clone(), (host, Arc::new(rule)));
        }
    }

    /// The rules whose host covers this one, in Istio's order.
    pub(crate) fn of(&self, host: &Host) -> Arc<[Arc<DestinationRule>]> {
        let covering = self.by_host.covering(host).into_iter();
        covering.filter_map(|object| Some(self.rules.get(object)?.1.clone())).collect()
    }
}
