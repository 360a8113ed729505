//! Which of a service's destination rules hold for one caller, in Istio's order.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::{by_port, overlay};
use super::rule::{DestinationRule, Subset, TrafficPolicy};

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The mesh's root namespace, whose rules hold for all.
    pub root_namespace: &'a str,
}

/// What holds for a caller of a service: one rule, or several of one host that are merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chosen {
    /// The rules that it was made of, `NAMESPACE/NAME`, the oldest first. Empty where no rule holds.
    pub from: Vec<String>,
    /// How all of the service is called.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Parts of the service, each name once.
    pub subsets: Vec<Subset>,
}

impl Chosen {
    /// The subset of that name.
    pub fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// How a port of the service, or of a subset of it, is called. Has no `port_level_settings` any more. A subset that does
    /// not exist is called like the whole: whether it exists is for [`Chosen::subset`] to say.
    pub fn policy(&self, port: u16, subset: Option<&str>) -> TrafficPolicy {
        let whole = self.traffic_policy.as_ref().map(|policy| by_port(policy, port).0);
        let whole = whole.unwrap_or_default();
        let part = subset.and_then(|name| self.subset(name)?.traffic_policy.as_ref());
        match part {
            Some(part) => overlay(whole, part, port),
            None => whole,
        }
    }
}

/// Chooses among the rules whose hosts cover a service of this namespace.
///
/// Istio's order: the caller's own namespace, the service's namespace, the root namespace; the first that has a rule for
/// this caller decides. Within it the most specific host decides, and of the rules for that host
/// - a rule whose workload selector fits the caller goes before those without; it counts in the caller's own namespace only;
/// - rules of one `exportTo` and one selector are merged: subsets are united, of equal names (and of traffic policies) the
///   oldest rule's counts;
/// - where several are left, which differ in `exportTo`, the newest decides.
///
/// A caller in the root namespace begins with the rules there that are for that namespace alone, so that the mesh's general
/// rules do not hide those of services. A rule with a selector never lends anything to one without.
pub fn choose(rules: &[DestinationRule], caller: &Caller<'_>, service_namespace: &str) -> Chosen {
    let fits: Vec<&DestinationRule> = rules.iter().filter(|rule| holds_for(rule, caller)).collect();
    let is_of = |namespace: &str| {
        let rules = fits.iter().copied();
        rules.filter(|rule| rule.namespace == namespace).collect::<Vec<_>>()
    };
    let mut own = is_of(caller.namespace);
    if caller.namespace == caller.root_namespace {
        own.retain(|rule| is_private(rule));
    }
    let first = [own, is_of(service_namespace), is_of(caller.root_namespace)];
    match first.into_iter().find(|rules| !rules.is_empty()) {
        Some(rules) => choose_of_namespace(rules),
        None => Chosen::default(),
    }
}

fn choose_of_namespace(mut rules: Vec<&DestinationRule>) -> Chosen {
    // Which of two wildcards is longer says which is more specific, because both cover the same name.
    let specific = |rule: &DestinationRule| (!rule.host.starts_with('*'), rule.host.len());
    let most = rules.iter().map(|rule| specific(rule)).max();
    rules.retain(|rule| Some(specific(rule)) == most);
    rules.sort_by(|a, b| {
        (&a.created, &a.name, &a.namespace).cmp(&(&b.created, &b.name, &b.namespace))
    });
    // Of those with a selector the oldest decides, of those without the newest; each with all that is merged with it.
    let last = rules.len() - 1;
    let decisive = rules.iter().position(|rule| rule.workload_selector.is_some());
    let decisive = rules[decisive.unwrap_or(last)];
    let exported = exports(decisive);
    let merged = rules.into_iter().filter(|rule| {
        rule.workload_selector == decisive.workload_selector && exports(rule) == exported
    });
    merge(merged)
}

fn merge<'a>(rules: impl Iterator<Item = &'a DestinationRule>) -> Chosen {
    let mut chosen = Chosen::default();
    for rule in rules {
        chosen.from.push(format!("{}/{}", rule.namespace, rule.name));
        if chosen.traffic_policy.is_none() {
            chosen.traffic_policy.clone_from(&rule.traffic_policy);
        }
        for subset in &rule.subsets {
            if chosen.subset(&subset.name).is_none() {
                chosen.subsets.push(subset.clone());
            }
        }
    }
    chosen
}

fn holds_for(rule: &DestinationRule, caller: &Caller<'_>) -> bool {
    let exported = exports(rule);
    let is_visible = exported.contains("*") || exported.contains(caller.namespace);
    is_visible
        && rule.workload_selector.as_ref().is_none_or(|selector| {
            rule.namespace == caller.namespace
                && selector.iter().all(|(key, value)| caller.labels.get(key) == Some(value))
        })
}

/// The namespaces that see a rule, `.` spelled out.
fn exports(rule: &DestinationRule) -> BTreeSet<&str> {
    if rule.export_to.is_empty() {
        return BTreeSet::from(["*"]);
    }
    rule.export_to.iter().map(|to| if to == "." { &*rule.namespace } else { &**to }).collect()
}

fn is_private(rule: &DestinationRule) -> bool {
    exports(rule).into_iter().eq([&*rule.namespace])
}

#[cfg(test)]
mod tests;
