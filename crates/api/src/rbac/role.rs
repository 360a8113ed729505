//! `Role` and `ClusterRole`: what may be done.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};
use crate::resource::Checked;

/// What may be done in its namespace by those to whom a binding there gives it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// `Role`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What may be done; all rules together.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
}

/// What may be done in every namespace, or in the one of the `RoleBinding` that names it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRole {
    /// `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// `ClusterRole`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What may be done; all rules together.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
}

/// Verbs on kinds of objects, or on paths that are no objects. The rules of Kubernetes' reference
/// (`PolicyRule v1 rbac.authorization.k8s.io`) hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyRule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or `*` for all.
    #[schemars(length(min = 1))]
    pub verbs: Vec<String>,
    /// Groups of the kinds; empty text for the core group, `*` for all.
    pub api_groups: Vec<String>,
    /// Plural words of the kinds, with `/status` for that part alone, `*` for all.
    pub resources: Vec<String>,
    /// The names of the objects meant; all where none is said.
    pub resource_names: Vec<String>,
    /// Paths that are no objects, as in `/meltemi/v1/*`; only in a `ClusterRole`.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

impl PolicyRule {
    fn check(&self, at: &Path, is_cluster: bool, report: &mut Report) {
        let (groups, resources) = (!self.api_groups.is_empty(), !self.resources.is_empty());
        let urls = !self.non_resource_urls.is_empty();
        if self.verbs.is_empty() {
            report.error(at.field("verbs"), "a rule without verbs allows nothing");
        }
        if urls && !is_cluster {
            let message = "paths that are no objects lie in no namespace: use a ClusterRole";
            report.error(at.field("nonResourceURLs"), message);
        } else if urls && (groups || resources) {
            let message = "a rule is for objects or for other paths, not for both: write two";
            report.error(at.field("nonResourceURLs"), message);
        } else if !urls && !groups {
            let message = "missing; the core group is \"\", all groups are \"*\"";
            report.error(at.field("apiGroups"), message);
        } else if !urls && !resources {
            report.error(at.field("resources"), "missing; all kinds are \"*\"");
        }
        for (index, url) in self.non_resource_urls.iter().enumerate() {
            let star = url.find('*');
            if star.is_some_and(|star| star + 1 != url.len()) {
                let message = "`*` may stand at the end only";
                report.error(at.field("nonResourceURLs").item(index), message);
            }
        }
    }
}

fn check_rules(rules: &[PolicyRule], is_cluster: bool, report: &mut Report) {
    for (index, rule) in rules.iter().enumerate() {
        rule.check(&Path::of("rules").item(index), is_cluster, report);
    }
}

impl Checked for Role {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check_rules(&self.rules, false, report);
    }
}

impl Checked for ClusterRole {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check_rules(&self.rules, true, report);
    }
}
