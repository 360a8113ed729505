//! Authorization policies that ask connections of bytes for what they have not, or several authorizers.

use std::collections::BTreeSet;

use meltemi_api::{Kind, Severity};
use meltemi_model::{Settings, Workload};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, DEFAULT_TRUST_DOMAIN};
use meltemi_policy::authz::rule::{Action, AuthorizationPolicy as AuthorizationRule, Rule};
use meltemi_policy::authz::{fields_of_requests, is_for_port};

use super::super::finding::{Code, Finding};
use super::super::mesh::{Mesh, Object};
use crate::model;

/// Tells of both.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    if mesh.of(Kind::AuthorizationPolicy).is_empty() {
        return;
    }
    let Ok(domain) = DEFAULT_TRUST_DOMAIN.parse() else { return };
    let settings = Settings::new(domain, DEFAULT_DOMAIN_SUFFIX);
    let objects = mesh.objects().map(|it| (it.resource.kind(), &it.value));
    let snapshot = model::of(objects, settings);
    let workloads: Vec<_> = mesh
        .of(Kind::WorkloadEntry)
        .iter()
        .map(|it| it.resource.metadata())
        .filter_map(|it| snapshot.workload(&it.namespace, &it.name).cloned())
        .collect();
    for workload in &workloads {
        asks_bytes(mesh, workload, findings);
        asks_several(mesh, workload, findings);
    }
}

/// Rules of a workload that ask connections of bytes for what only requests have.
fn asks_bytes(mesh: &Mesh, workload: &Workload, findings: &mut Vec<Finding>) {
    let ports: BTreeSet<u16> = workload
        .inbound
        .iter()
        .filter(|it| !it.protocol.takes_requests())
        .map(|it| it.target_port)
        .collect();
    for policy in &workload.authorization_policies {
        let Some(object) = object_of(mesh, policy) else { continue };
        for (number, rule) in policy.rules.iter().enumerate() {
            let Some(port) = ports.iter().find(|port| is_for_port(rule, **port)) else { continue };
            let Some(message) = consequence(policy.action, rule, *port) else { continue };
            let what = (Severity::Warning, Code::HttpFieldsOnTcpPort);
            let path = format!("spec.rules[{number}]");
            let finding = Finding::of(&object.resource, path, what, message);
            // Another workload may have the same port.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
}

/// The object of a policy.
fn object_of<'m>(mesh: &'m Mesh, policy: &AuthorizationRule) -> Option<&'m Object> {
    mesh.of(Kind::AuthorizationPolicy).iter().find(|it| {
        let metadata = it.resource.metadata();
        metadata.namespace == policy.namespace && metadata.name == policy.name
    })
}

/// Policies of a workload that have several authorizers asked: as with Istio none is.
fn asks_several(mesh: &Mesh, workload: &Workload, findings: &mut Vec<Finding>) {
    let policies = &workload.authorization_policies;
    let names: BTreeSet<&str> = policies.iter().filter_map(|it| it.asks()).collect();
    if names.len() < 2 {
        return;
    }
    let names: Vec<&str> = names.into_iter().collect();
    for policy in policies.iter().filter(|it| it.asks().is_some()) {
        let Some(object) = object_of(mesh, policy) else { continue };
        let message = format!(
            "the CUSTOM policies of workload {}/{} name the authorizers {}: none is asked, and what they match is refused",
            workload.namespace,
            workload.name,
            names.join(", ")
        );
        let what = (Severity::Error, Code::SeveralAuthorizers);
        findings.push(Finding::of(&object.resource, "spec.provider.name", what, message));
    }
}

fn consequence(action: Action, rule: &Rule, port: u16) -> Option<String> {
    let fields = fields_of_requests(rule);
    if fields.is_empty() {
        return None;
    }
    let fields = fields.join(", ");
    Some(match action {
        Action::Allow => format!(
            "port {port} carries bytes, no requests: the rule lets none of them pass, as it has {fields}"
        ),
        Action::Deny => format!(
            "port {port} carries bytes, no requests: the rule is taken without {fields}, and refuses more than it says"
        ),
        Action::Custom => format!(
            "port {port} carries bytes, no requests: the rule is taken without {fields}, and has more asked than it says"
        ),
        Action::Audit => {
            format!("port {port} carries bytes, no requests: the rule is taken without {fields}")
        }
    })
}
