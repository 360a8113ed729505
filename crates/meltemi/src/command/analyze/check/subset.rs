//! Subsets whose labels no endpoint has: requests that are sent there fail with 503.

use meltemi_api::istio::destination_rule::DestinationRule;
use meltemi_api::{Kind, Resource, Severity, Target};

use super::super::finding::{Code, Finding};
use super::super::mesh::{Labels, Mesh, has, list};

/// Tells of subsets that have no endpoints, of hosts that are there.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    for object in mesh.of(Kind::DestinationRule) {
        let Resource::DestinationRule(rule) = &object.resource else { continue };
        let Some(endpoints) = endpoints(mesh, rule) else { continue };
        for (at, subset) in rule.spec.subsets.iter().enumerate() {
            if endpoints.iter().any(|labels| has(labels, &subset.labels)) {
                continue;
            }
            let message = format!(
                "no endpoint of {} has the labels {}: calls to subset {} are answered with 503",
                rule.spec.host,
                list(&subset.labels),
                subset.name
            );
            let what = (Severity::Warning, Code::SubsetWithoutEndpoints);
            findings.push(Finding::of(
                &object.resource,
                format!("spec.subsets[{at}]"),
                what,
                message,
            ));
        }
    }
}

/// The labels of the endpoints of a rule's host; `None` where there is no such host, or it is a wildcard.
fn endpoints(mesh: &Mesh, rule: &DestinationRule) -> Option<Vec<Labels>> {
    let (host, namespace) = (rule.spec.host.clone(), rule.metadata.namespace.clone());
    if host.starts_with('*') {
        return None;
    }
    let target = Target::Host { host, namespace };
    let services = mesh.of(Kind::Service).iter().chain(mesh.of(Kind::ServiceEntry));
    let mut services = services.filter(|it| target.is_met_by(&it.resource)).peekable();
    services.peek()?;
    Some(services.flat_map(|service| of_service(mesh, &service.resource)).collect())
}

fn of_service(mesh: &Mesh, service: &Resource) -> Vec<Labels> {
    let namespace = &service.metadata().namespace;
    match service {
        Resource::Service(service) => selected(mesh, namespace, &service.spec.selector),
        Resource::ServiceEntry(entry) => match &entry.spec.workload_selector {
            Some(selector) => selected(mesh, namespace, &selector.labels),
            None => entry.spec.endpoints.iter().map(|it| it.labels.clone()).collect(),
        },
        _ => Vec::new(),
    }
}

/// The labels of the workloads that a selector finds; an empty one finds none.
fn selected(mesh: &Mesh, namespace: &str, selector: &Labels) -> Vec<Labels> {
    let workloads = mesh.workloads().filter(|(of, _)| *of == namespace).map(|(_, labels)| labels);
    workloads.filter(|labels| !selector.is_empty() && has(labels, selector)).collect()
}
