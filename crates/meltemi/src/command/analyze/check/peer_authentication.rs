//! Peer authentications that count for nobody, since another one of the same level goes before them.

use meltemi_api::{Kind, Severity};
use meltemi_model::read::peer_authentication;
use meltemi_names::ROOT_NAMESPACE;
use meltemi_policy::peer::{Governing, Level, PeerAuthentication};

use super::super::finding::{Code, Finding};
use super::super::mesh::Mesh;

/// Tells of them.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    let of = mesh.of(Kind::PeerAuthentication);
    let policies: Vec<_> = of.iter().filter_map(|it| peer_authentication(&it.resource)).collect();
    for object in of {
        let Some(policy) = peer_authentication(&object.resource) else { continue };
        let Some((path, message)) = hidden(&policy, &policies) else { continue };
        let what = (Severity::Warning, Code::PeerAuthenticationIsHidden);
        findings.push(Finding::of(&object.resource, path, what, message));
    }
}

/// Why a policy counts for nobody, and the field that says for whom it is.
fn hidden(
    policy: &PeerAuthentication,
    all: &[PeerAuthentication],
) -> Option<(&'static str, String)> {
    let Some(level) = policy.level(ROOT_NAMESPACE) else {
        let message = format!("in {ROOT_NAMESPACE} a policy with a selector is for nobody");
        return Some(("spec.selector", message));
    };
    // The workloads that have the labels of the selector and no others stand for all that it selects: what goes before
    // it there goes before it everywhere.
    let governing = Governing::find(all, ROOT_NAMESPACE, &policy.namespace, &policy.selector);
    let first = governing.of(level).filter(|first| *first != policy)?;
    let (path, whole) = match level {
        Level::Mesh => ("", "all of the mesh"),
        Level::Namespace => ("", "all of its namespace"),
        Level::Workload => ("spec.selector", "all workloads that this one selects"),
    };
    let message = format!(
        "PeerAuthentication {}/{} is older and for {whole}: this one counts for nobody",
        first.namespace, first.name
    );
    Some((path, message))
}
