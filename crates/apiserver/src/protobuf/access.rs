//! The fields of the kinds of who may do what, by number, from Kubernetes' `generated.proto` files of
//! `rbac.authorization.k8s.io/v1`, `authorization.k8s.io/v1` and `authentication.k8s.io/v1`.

use super::fields::Form::{Ignored, Message, Messages, Number, Text, Texts};
use super::fields::{Field, META, field};

static POLICY_RULE: [Field; 5] = [
    field(1, "verbs", Texts),
    field(2, "apiGroups", Texts),
    field(3, "resources", Texts),
    field(4, "resourceNames", Texts),
    field(5, "nonResourceURLs", Texts),
];
static ROLE: [Field; 2] =
    [field(1, "metadata", Message(&META)), field(2, "rules", Messages(&POLICY_RULE))];
static SUBJECT: [Field; 4] = [
    field(1, "kind", Text),
    field(2, "apiGroup", Text),
    field(3, "name", Text),
    field(4, "namespace", Text),
];
static ROLE_REF: [Field; 3] =
    [field(1, "apiGroup", Text), field(2, "kind", Text), field(3, "name", Text)];
static BINDING: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "subjects", Messages(&SUBJECT)),
    field(3, "roleRef", Message(&ROLE_REF)),
];
static RESOURCE: [Field; 7] = [
    field(1, "namespace", Text),
    field(2, "verb", Text),
    field(3, "group", Text),
    field(4, "version", Text),
    field(5, "resource", Text),
    field(6, "subresource", Text),
    field(7, "name", Text),
];
static PATH: [Field; 2] = [field(1, "path", Text), field(2, "verb", Text)];
static ACCESS_SPEC: [Field; 2] = [
    field(1, "resourceAttributes", Message(&RESOURCE)),
    field(2, "nonResourceAttributes", Message(&PATH)),
];
static ACCESS: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "spec", Message(&ACCESS_SPEC)),
    field(3, "status", Ignored),
];
static RULES_SPEC: [Field; 1] = [field(1, "namespace", Text)];
static RULES: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "spec", Message(&RULES_SPEC)),
    field(3, "status", Ignored),
];
static SUBJECT_REVIEW: [Field; 2] =
    [field(1, "metadata", Message(&META)), field(2, "status", Ignored)];
static TOKEN_SPEC: [Field; 2] =
    [field(1, "audiences", Texts), field(4, "expirationSeconds", Number)];
static TOKEN: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "spec", Message(&TOKEN_SPEC)),
    field(3, "status", Ignored),
];

/// The fields of a kind, if it is one of these.
pub(super) fn fields_of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    match (api_version, kind) {
        ("rbac.authorization.k8s.io/v1", "Role" | "ClusterRole") => Some(&ROLE),
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => Some(&BINDING),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => Some(&ACCESS),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => Some(&RULES),
        ("authentication.k8s.io/v1", "SelfSubjectReview") => Some(&SUBJECT_REVIEW),
        ("authentication.k8s.io/v1", "TokenRequest") => Some(&TOKEN),
        _ => None,
    }
}
