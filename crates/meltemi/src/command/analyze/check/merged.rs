//! Destination rules of one namespace for one host are merged, the older first: what a younger one says again is left out
//! (Istio's "Multiple destination rules for a host", Traffic Management Best Practices).

use std::collections::BTreeMap;

use meltemi_api::istio::destination_rule::DestinationRule;
use meltemi_api::{Kind, Resource, Severity};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, expand_host};

use super::super::finding::{Code, Finding};
use super::super::mesh::Mesh;
use super::overlap::age;

/// Tells of policies and subsets that an older rule goes before.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    let mut hosts: BTreeMap<(&str, String), Vec<(&Resource, &DestinationRule)>> = BTreeMap::new();
    for object in mesh.of(Kind::DestinationRule) {
        let Resource::DestinationRule(rule) = &object.resource else { continue };
        // Rules for some callers are not merged with others.
        if rule.spec.workload_selector.is_some() {
            continue;
        }
        let namespace = &*rule.metadata.namespace;
        let host = expand_host(&rule.spec.host, namespace, DEFAULT_DOMAIN_SUFFIX);
        hosts.entry((namespace, host)).or_default().push((&object.resource, rule));
    }
    for rules in hosts.values_mut() {
        rules.sort_by_key(|(_, rule)| age(&rule.metadata));
        for (at, (resource, rule)) in rules.iter().enumerate() {
            let older = rules[..at].iter().map(|(_, older)| *older);
            // Those that are seen by others are no concern of one another.
            let older = older.filter(|older| older.spec.export_to == rule.spec.export_to);
            said_again(resource, rule, &older.collect::<Vec<_>>(), findings);
        }
    }
}

fn said_again(
    resource: &Resource,
    rule: &DestinationRule,
    older: &[&DestinationRule],
    findings: &mut Vec<Finding>,
) {
    let mut tell = |path: String, what: &str, other: &DestinationRule| {
        let message = format!(
            "{what} of {} is in DestinationRule {}/{} too, which is older: this one has no effect, make one of the two",
            rule.spec.host, other.metadata.namespace, other.metadata.name
        );
        let code = (Severity::Warning, Code::DestinationRuleIsHidden);
        findings.push(Finding::of(resource, path, code, message));
    };
    if rule.spec.traffic_policy.is_some()
        && let Some(other) = older.iter().find(|it| it.spec.traffic_policy.is_some())
    {
        tell("spec.trafficPolicy".into(), "the policy", other);
    }
    for (at, subset) in rule.spec.subsets.iter().enumerate() {
        let has = |it: &&&DestinationRule| it.spec.subsets.iter().any(|it| it.name == subset.name);
        if let Some(other) = older.iter().find(has) {
            tell(format!("spec.subsets[{at}]"), &format!("subset {}", subset.name), other);
        }
    }
}
