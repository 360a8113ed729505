//! Kubernetes' kinds of who may do what with the API (`rbac.authorization.k8s.io/v1`).

mod binding;
mod role;

pub use binding::{ClusterRoleBinding, RoleBinding, RoleRef, Subject, SubjectKind};
pub use role::{ClusterRole, PolicyRule, Role};

/// The group of these kinds.
pub const GROUP: &str = "rbac.authorization.k8s.io";
