//! Selectors that no workload has the labels of, and Sidecars that an older one goes before.

use meltemi_api::istio::MatchSelector;
use meltemi_api::istio::sidecar::Sidecar;
use meltemi_api::{Kind, Resource, Severity};
use meltemi_names::ROOT_NAMESPACE;

use super::super::finding::{Code, Finding};
use super::super::mesh::{Labels, Mesh, has, list};
use super::overlap::age;

/// Tells of both.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    for object in mesh.objects() {
        selects_nobody(mesh, &object.resource, findings);
    }
    conflicting_sidecars(mesh, findings);
}

/// Which workloads an object is for.
struct Selector<'m> {
    /// The field.
    path: &'static str,
    labels: &'m Labels,
    /// Whether in the root namespace it is for workloads of all namespaces.
    is_for_all: bool,
    /// What becomes of it without any.
    so: &'static str,
}

/// The selector of an object that acts on workloads.
fn selector(resource: &Resource) -> Option<Selector<'_>> {
    let so = "it is for nobody";
    let policy = match resource {
        Resource::AuthorizationPolicy(it) => it.spec.selector.as_ref(),
        Resource::RequestAuthentication(it) => it.spec.selector.as_ref(),
        Resource::ProxyConfig(it) => it.spec.selector.as_ref(),
        // In the root namespace another check tells that it is for nobody, whatever the labels.
        Resource::PeerAuthentication(it) if it.metadata.namespace != ROOT_NAMESPACE => {
            it.spec.selector.as_ref()
        }
        _ => None,
    };
    if let Some(MatchSelector { match_labels: labels }) = policy {
        return Some(Selector { path: "spec.selector", labels, is_for_all: true, so });
    }
    let (labels, so) = match resource {
        Resource::Sidecar(it) => (&it.spec.workload_selector.as_ref()?.labels, so),
        Resource::DestinationRule(it) => (&it.spec.workload_selector.as_ref()?.match_labels, so),
        Resource::ServiceEntry(it) => {
            (&it.spec.workload_selector.as_ref()?.labels, "it has no endpoints")
        }
        _ => return None,
    };
    Some(Selector { path: "spec.workloadSelector", labels, is_for_all: false, so })
}

/// Istio's IST0127.
fn selects_nobody(mesh: &Mesh, resource: &Resource, findings: &mut Vec<Finding>) {
    let Some(selector) = selector(resource) else { return };
    let namespace = &*resource.metadata().namespace;
    let is_for_all = selector.is_for_all && namespace == ROOT_NAMESPACE;
    let mut workloads = mesh.workloads().filter(|(of, _)| is_for_all || *of == namespace);
    if workloads.any(|(_, labels)| has(&labels, selector.labels)) {
        return;
    }
    let message = format!("no workload has the labels {}: {}", list(selector.labels), selector.so);
    let what = (Severity::Warning, Code::NoMatchingWorkloadsFound);
    findings.push(Finding::of(resource, selector.path, what, message));
}

/// Sidecars of one namespace of which an older one counts: Istio's IST0111 for those without a selector, its IST0110 for those
/// that choose the same workload.
fn conflicting_sidecars(mesh: &Mesh, findings: &mut Vec<Finding>) {
    let mut sidecars: Vec<(&Resource, &Sidecar)> = Vec::new();
    for object in mesh.of(Kind::Sidecar) {
        if let Resource::Sidecar(sidecar) = &object.resource {
            sidecars.push((&object.resource, sidecar));
        }
    }
    sidecars.sort_by_key(|(_, sidecar)| age(&sidecar.metadata));
    for (at, (resource, sidecar)) in sidecars.iter().enumerate() {
        let namespace = &sidecar.metadata.namespace;
        let older = sidecars[..at].iter().map(|(_, older)| *older);
        let mut older = older.filter(|older| older.metadata.namespace == *namespace);
        let (code, path, whom, other) = match &sidecar.spec.workload_selector {
            None => {
                let other = older.find(|older| older.spec.workload_selector.is_none());
                let code = Code::MultipleSidecarsWithoutWorkloadSelectors;
                (code, "", "all workloads of the namespace", other)
            }
            Some(selector) => {
                let both = older.find(|older| meet(mesh, namespace, &selector.labels, older));
                let code = Code::ConflictingSidecarWorkloadSelectors;
                (code, "spec.workloadSelector", "a workload that this one selects", both)
            }
        };
        let Some(other) = other else { continue };
        let message = format!(
            "Sidecar {namespace}/{} is older and for {whom}: there this one has no effect",
            other.metadata.name
        );
        findings.push(Finding::of(resource, path, (Severity::Warning, code), message));
    }
}

/// Whether a workload has the labels of both.
fn meet(mesh: &Mesh, namespace: &str, labels: &Labels, other: &Sidecar) -> bool {
    let Some(other) = &other.spec.workload_selector else { return false };
    let mut workloads = mesh.workloads().filter(|(of, _)| *of == namespace);
    workloads.any(|(_, of)| has(&of, labels) && has(&of, &other.labels))
}
