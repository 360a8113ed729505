//! `Role`s and `RoleBinding`s, as far as they say which service accounts read secrets.

use std::collections::BTreeSet;

use meltemi_api::rbac::{PolicyRule, RoleRef, Subject, SubjectKind};
use serde::Deserialize;
use serde_json::Value;

use super::part;
use crate::readers::{RoleBindingRecord, RoleRecord, SecretRule};
use crate::record::Object;

/// Reads a role.
pub(super) fn role(resource: &Value) -> Result<RoleRecord, String> {
    let rules: Vec<PolicyRule> = part(resource, "rules")?;
    Ok(RoleRecord { rules: rules.iter().filter_map(of_secrets).collect() })
}

fn of_secrets(rule: &PolicyRule) -> Option<SecretRule> {
    let has = |all: &[String], one: &str| all.iter().any(|it| it == "*" || it == one);
    let reads = has(&rule.verbs, "get") && has(&rule.api_groups, "");
    (reads && has(&rule.resources, "secrets")).then(|| SecretRule {
        names: rule.resource_names.iter().cloned().collect(),
        is_of_secrets: rule.resources.iter().any(|it| it == "secrets"),
    })
}

/// Reads a binding.
pub(super) fn binding(object: &Object, resource: &Value) -> Result<RoleBindingRecord, String> {
    let subjects: Vec<Subject> = part(resource, "subjects")?;
    let role = RoleRef::deserialize(&resource["roleRef"]).map_err(|it| format!("roleRef: {it}"))?;
    let here = format!("system:serviceaccounts:{}", object.namespace);
    let everybody = ["system:serviceaccounts", "system:authenticated", &here];
    let is_account = |it: &&Subject| {
        it.kind == SubjectKind::ServiceAccount && *it.namespace == *object.namespace
    };
    Ok(RoleBindingRecord {
        role: if role.kind == "Role" { role.name } else { String::new() },
        accounts: subjects
            .iter()
            .filter(is_account)
            .map(|it| it.name.clone())
            .collect::<BTreeSet<_>>(),
        is_for_all: subjects
            .iter()
            .any(|it| it.kind == SubjectKind::Group && everybody.contains(&it.name.as_str())),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::ObjectKind;

    #[test]
    fn rules_that_read_secrets_are_taken_and_no_others() {
        let rule = |verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]| json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names});
        for (rule, expected) in [
            (rule(&["get"], &[""], &["secrets"], &["a"]), Some((vec!["a"], true))),
            (rule(&["get", "list"], &[""], &["services", "secrets"], &[]), Some((vec![], true))),
            (rule(&["*"], &["*"], &["*"], &[]), Some((vec![], false))),
            (rule(&["list"], &[""], &["secrets"], &[]), None),
            (rule(&["get"], &["apps"], &["secrets"], &[]), None),
            (rule(&["get"], &[""], &["services"], &[]), None),
        ] {
            let read = role(&json!({"rules": [rule]})).unwrap();
            let found = read.rules.first().map(|it| {
                (it.names.iter().map(String::as_str).collect::<Vec<_>>(), it.is_of_secrets)
            });
            assert_eq!(found, expected, "{rule}");
        }
        assert_eq!(role(&json!({})), Ok(RoleRecord::default()));
    }

    #[test]
    fn a_binding_gives_a_role_to_accounts_of_its_own_namespace() {
        let object = Object::new(ObjectKind::RoleBinding, "n", "b");
        let account = |namespace: &str, name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace});
        let of = |role: Value, subjects: Value| {
            let record = binding(&object, &json!({"roleRef": role, "subjects": subjects})).unwrap();
            (record.role, record.accounts.into_iter().collect::<Vec<_>>(), record.is_for_all)
        };
        let reader = json!({"kind": "Role", "name": "reader"});
        let subjects =
            json!([account("n", "web"), account("m", "other"), {"kind": "User", "name": "x"}]);
        assert_eq!(of(reader.clone(), subjects), ("reader".into(), vec!["web".into()], false));
        for (group, expected) in
            [("system:serviceaccounts:n", true), ("system:serviceaccounts:m", false)]
        {
            let subjects = json!([{"kind": "Group", "name": group}]);
            assert_eq!(of(reader.clone(), subjects), ("reader".into(), vec![], expected));
        }
        let cluster = json!({"kind": "ClusterRole", "name": "reader"});
        assert_eq!(of(cluster, json!([])), (String::new(), vec![], false));
        assert!(binding(&object, &json!({"subjects": []})).is_err());
    }
}
