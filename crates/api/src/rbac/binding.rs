//! `RoleBinding` and `ClusterRoleBinding`: who has a role.

use schemars::JsonSchema;
use serde::Deserialize;

use super::GROUP;
use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};
use crate::resource::Checked;

/// Gives a role to somebody, in the binding's namespace.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleBinding {
    /// `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// `RoleBinding`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Who has the role.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// The role: a `Role` of the namespace, or a `ClusterRole`.
    pub role_ref: RoleRef,
}

/// Gives a role to somebody, in all namespaces.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRoleBinding {
    /// `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// `ClusterRoleBinding`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Who has the role.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// The role, a `ClusterRole`.
    pub role_ref: RoleRef,
}

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What the name is of.
    pub kind: SubjectKind,
    /// The group of users and groups; empty for service accounts.
    #[serde(default)]
    pub api_group: String,
    /// Its name.
    #[schemars(with = "crate::values::form::Filled")]
    pub name: String,
    /// The namespace of a service account.
    #[serde(default)]
    pub namespace: String,
}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// A user, by the name in its token.
    User,
    /// All users of a group.
    Group,
    /// A service account: the holders of its tokens, and its workloads by their certificates.
    ServiceAccount,
}

/// Names a role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRef {
    /// `rbac.authorization.k8s.io`.
    #[serde(default)]
    pub api_group: String,
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Its name.
    #[schemars(with = "crate::values::form::Filled")]
    pub name: String,
}

fn check(subjects: &[Subject], role: &RoleRef, kinds: &[&str], report: &mut Report) {
    let at = Path::of("roleRef");
    if !kinds.contains(&role.kind.as_str()) {
        let message = format!("`{}` is no kind of role here", role.kind);
        report.error(at.field("kind"), message).suggest(kinds.join(" or "));
    }
    if !role.api_group.is_empty() && role.api_group != GROUP {
        let message = format!("`{}` has no roles", role.api_group);
        report.error(at.field("apiGroup"), message).suggest(GROUP);
    }
    for (index, subject) in subjects.iter().enumerate() {
        let at = Path::of("subjects").item(index);
        let is_account = subject.kind == SubjectKind::ServiceAccount;
        if is_account && subject.namespace.is_empty() {
            report.error(at.field("namespace"), "missing; service accounts live in one");
        }
        if !is_account && !subject.namespace.is_empty() {
            let message = "users and groups live in no namespace";
            report.error(at.field("namespace"), message).suggest("remove the field");
        }
        let group = if is_account { "" } else { GROUP };
        if !subject.api_group.is_empty() && subject.api_group != group {
            let message = format!("`{}` has no such subjects", subject.api_group);
            report.error(at.field("apiGroup"), message).suggest(group);
        }
    }
}

impl Checked for RoleBinding {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check(&self.subjects, &self.role_ref, &["Role", "ClusterRole"], report);
    }
}

impl Checked for ClusterRoleBinding {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check(&self.subjects, &self.role_ref, &["ClusterRole"], report);
    }
}
