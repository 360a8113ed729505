//! The checks: each looks at all configuration, and knows nothing of the others.

mod authorization;
mod merged;
mod mutual_tls;
mod overlap;
mod peer_authentication;
mod selectors;
mod sidecar;
mod subset;

use meltemi_api::{Kind, Severity, Target, effect, references};

use super::finding::{Code, Finding};
use super::mesh::Mesh;

/// One check.
type Check = fn(&Mesh, &mut Vec<Finding>);

const CHECKS: [Check; 11] = [
    set_aside,
    dangling,
    overlap::check,
    merged::check,
    subset::check,
    selectors::check,
    authorization::check,
    peer_authentication::check,
    sidecar::check,
    mutual_tls::check,
    without_effect,
];

/// Runs all checks; errors come first.
pub(super) fn check(mesh: &Mesh) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS {
        check(mesh, &mut findings);
    }
    findings.sort();
    findings
}

/// What the control plane cannot use.
fn set_aside(mesh: &Mesh, findings: &mut Vec<Finding>) {
    findings.extend(mesh.rejected.iter().map(|rejected| Finding {
        severity: Severity::Error,
        code: Code::SetAside,
        kind: rejected.kind.clone(),
        namespace: rejected.namespace.clone(),
        name: rejected.name.clone(),
        path: String::new(),
        message: rejected.reason.clone(),
    }));
}

/// References to hosts, subsets and objects that are nowhere. Requests that a virtual service sends there fail.
fn dangling(mesh: &Mesh, findings: &mut Vec<Finding>) {
    for object in mesh.objects() {
        let severity = match object.resource.kind() {
            Kind::VirtualService => Severity::Error,
            _ => Severity::Warning,
        };
        for reference in references(&object.resource) {
            let is_there = |target: &Target| {
                let mut candidates = target.kinds().into_iter().flat_map(|it| mesh.of(it));
                candidates.any(|it| target.is_met_by(&it.resource))
            };
            let has_host = reference.target.host().is_none_or(|host| is_there(&host));
            if has_host && !is_there(&reference.target) {
                findings.push(Finding::of(
                    &object.resource,
                    &reference.path,
                    (severity, Code::ReferencedResourceNotFound),
                    format!("there is no {}", reference.target),
                ));
            }
        }
    }
}

/// Objects and fields that this version does not act on.
fn without_effect(mesh: &Mesh, findings: &mut Vec<Finding>) {
    let mut found = |resource, path: String| {
        let what = (Severity::Warning, Code::WithoutEffect);
        findings.push(Finding::of(resource, path, what, effect::MESSAGE.to_owned()));
    };
    for object in mesh.objects() {
        let kind = object.resource.kind();
        if !kind.has_effect() {
            found(&object.resource, String::new());
            continue;
        }
        for path in effect::fields_without_effect(kind, &object.value) {
            found(&object.resource, path.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
