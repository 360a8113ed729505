//! How Istio's kinds say which workloads, namespaces and gateways they are for.

use std::collections::BTreeMap;

use meltemi_names::{is_dns_label, is_dns_subdomain};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::check_labels;
use crate::refuse::{Path, Report, at_most_one};
use crate::values::form;

/// Workloads by their labels, as networking kinds write it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LabelSelector {
    /// The labels that a workload must have.
    pub labels: BTreeMap<String, String>,
}

/// Workloads by their labels, as security and telemetry kinds write it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MatchSelector {
    /// The labels that a workload must have.
    pub match_labels: BTreeMap<String, String>,
}

/// An object that a policy is attached to.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct PolicyTargetReference {
    /// Its group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Its kind, as in `Gateway` or `Service`.
    #[schemars(with = "form::Filled")]
    pub kind: String,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its namespace; that of the policy alone is possible.
    #[serde(default)]
    pub namespace: String,
}

impl LabelSelector {
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        check_labels(&self.labels, &at.field("labels"), report);
    }
}

impl MatchSelector {
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        check_labels(&self.match_labels, &at.field("matchLabels"), report);
    }
}

/// Checks what a policy is attached to: workloads by labels, or named objects, not both.
pub(crate) fn check_attachment(
    selector: Option<&MatchSelector>,
    target_ref: Option<&PolicyTargetReference>,
    target_refs: &[PolicyTargetReference],
    at: &Path,
    report: &mut Report,
) {
    let choices = [
        ("selector", selector.is_some()),
        ("targetRef", target_ref.is_some()),
        ("targetRefs", !target_refs.is_empty()),
    ];
    at_most_one(&choices, at, report);
    if let Some(selector) = selector {
        selector.check(&at.field("selector"), report);
    }
    let one = target_ref.iter().map(|it| (at.field("targetRef"), *it));
    let many = target_refs.iter().enumerate();
    let many = many.map(|(index, it)| (at.field("targetRefs").item(index), it));
    for (at, target) in one.chain(many).filter(|(_, target)| !target.namespace.is_empty()) {
        let message =
            format!("`{}`: a policy is attached within its own namespace", target.namespace);
        report.error(at.field("namespace"), message).suggest("leave it out");
    }
}

/// Checks the namespaces to which an object is shown: names, `.` for its own, `*` for all, `~` for none.
pub(crate) fn check_export_to(namespaces: &[String], at: &Path, report: &mut Report) {
    let at = at.field("exportTo");
    for (index, namespace) in namespaces.iter().enumerate() {
        let namespace = namespace.as_str();
        if ![".", "*", "~"].contains(&namespace) && !is_dns_label(namespace) {
            let message =
                format!("`{namespace}` is not a namespace, `.` (its own), `*` (all) or `~` (none)");
            report.error(at.item(index), message);
        }
        if ["*", "~"].contains(&namespace) && namespaces.len() > 1 {
            report.error(at.item(index), format!("`{namespace}` stands alone"));
        }
    }
}

/// Checks a gateway's name, `[NAMESPACE/]NAME` or `mesh`.
pub(crate) fn check_gateway(name: &str, at: Path, report: &mut Report) {
    let (namespace, gateway) = match name.split_once('/') {
        Some((namespace, gateway)) => (Some(namespace), gateway),
        None => (None, name),
    };
    let fits =
        namespace.is_none_or(|it| it == "." || is_dns_label(it)) && is_dns_subdomain(gateway);
    if !fits {
        let message = format!(
            "`{name}` is not a gateway: write `[NAMESPACE/]NAME`, or `mesh` for all sidecars"
        );
        report.error(at, message);
    }
}

/// What is wrong with a host that may have a namespace before it, `[NAMESPACE/]HOST`.
pub(crate) fn namespaced_host_problem(text: &str) -> Option<String> {
    let (namespace, host) = match text.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, text),
    };
    if let Some(namespace) = namespace
        && !["*", ".", "~"].contains(&namespace)
        && !is_dns_label(namespace)
    {
        return Some(format!("`{namespace}` (before the `/`) is not a namespace, `.` or `*`"));
    }
    host.parse::<meltemi_names::Host>().err().map(|error| error.to_string())
}
