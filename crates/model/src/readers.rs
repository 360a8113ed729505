//! Which service accounts may read which secrets of their namespace, where its roles say so.
//!
//! Istio gives a gateway the secrets that its service account may read by Kubernetes' RBAC
//! (<https://istio.io/latest/docs/tasks/traffic-management/ingress/secure-ingress/>). Here a `Role` of the namespace that names `secrets`
//! and that a `RoleBinding` gives to service accounts keeps them for those. Without one there is nothing to keep to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::record::{Object, ObjectKind};

/// What a `Role` says of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleRecord {
    /// The rules by which they may be read; none where it says nothing of them.
    pub rules: Vec<SecretRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRule {
    /// The secrets that are meant; all where none is named.
    pub names: BTreeSet<String>,
    /// Whether it says `secrets`, and not all kinds there are: then it keeps them from others.
    pub is_of_secrets: bool,
}

/// A `RoleBinding`, as far as service accounts have the role by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleBindingRecord {
    /// The `Role`; empty where a `ClusterRole` is meant, which says nothing here.
    pub role: String,
    /// Service accounts of the binding's own namespace.
    pub accounts: BTreeSet<String>,
    /// Whether all of the namespace have it.
    pub is_for_all: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    roles: HashMap<Object, RoleRecord>,
    bindings: BTreeMap<Object, RoleBindingRecord>,
}

impl Readers {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.roles.keys().chain(self.bindings.keys())
    }

    /// Sets or removes a role; answers whether it says another thing than before.
    pub(crate) fn put_role(&mut self, object: &Object, record: Option<RoleRecord>) -> bool {
        let next = record.clone().unwrap_or_default();
        let before = match record {
            Some(record) => self.roles.insert(object.clone(), record),
            None => self.roles.remove(object),
        };
        before.unwrap_or_default() != next
    }

    /// The same for a binding.
    pub(crate) fn put_binding(
        &mut self,
        object: &Object,
        record: Option<RoleBindingRecord>,
    ) -> bool {
        let next = record.clone().unwrap_or_default();
        let before = match record {
            Some(record) => self.bindings.insert(object.clone(), record),
            None => self.bindings.remove(object),
        };
        before.unwrap_or_default() != next
    }

    /// Whether a workload of a namespace may have a secret of it.
    pub(crate) fn may_read(&self, namespace: &str, account: Option<&str>, secret: &str) -> bool {
        let is_meant = |rule: &&SecretRule| rule.names.is_empty() || rule.names.contains(secret);
        let mut is_kept = false;
        let of_namespace = self.bindings.iter().filter(|(it, _)| *it.namespace == *namespace);
        for binding in of_namespace.map(|(_, binding)| binding) {
            if binding.accounts.is_empty() && !binding.is_for_all {
                continue;
            }
            let role = Object::new(ObjectKind::Role, namespace, &binding.role);
            let rules = self.roles.get(&role).map_or(&[][..], |role| &role.rules);
            let mut rules = rules.iter().filter(is_meant).peekable();
            if rules.peek().is_none() {
                continue;
            }
            if binding.is_for_all || account.is_some_and(|it| binding.accounts.contains(it)) {
                return true;
            }
            is_kept |= rules.any(|rule| rule.is_of_secrets);
        }
        !is_kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn readers(rules: &[(&str, &[&str], bool)], bindings: &[(&str, &[&str], bool)]) -> Readers {
        let mut readers = Readers::default();
        for (name, names, is_of_secrets) in rules {
            let rule = SecretRule { names: set(names), is_of_secrets: *is_of_secrets };
            let object = Object::new(ObjectKind::Role, "n", name);
            assert!(readers.put_role(&object, Some(RoleRecord { rules: vec![rule] })));
        }
        for (at, (role, accounts, is_for_all)) in bindings.iter().enumerate() {
            let object = Object::new(ObjectKind::RoleBinding, "n", &at.to_string());
            let accounts = set(accounts);
            let role = (*role).to_owned();
            let record = RoleBindingRecord { role, accounts, is_for_all: *is_for_all };
            assert!(readers.put_binding(&object, Some(record)));
        }
        readers
    }

    #[test]
    fn a_secret_is_for_every_one_until_a_role_keeps_it_for_some() {
        let one: (&str, &[&str], bool) = ("one", &["a"], true);
        let all: (&str, &[&str], bool) = ("all", &[], true);
        let editor: (&str, &[&str], bool) = ("editor", &[], false);
        // (roles, bindings, whether `web` and `other` may read `a`, and `b`)
        type Case<'a> =
            (Vec<(&'a str, &'a [&'a str], bool)>, Vec<(&'a str, &'a [&'a str], bool)>, [bool; 4]);
        let cases: [Case<'_>; 8] = [
            (vec![], vec![], [true, true, true, true]),
            (vec![one], vec![], [true, true, true, true]),
            (vec![one], vec![("one", &[], false)], [true, true, true, true]),
            (vec![one], vec![("one", &["web"], false)], [true, false, true, true]),
            (vec![all], vec![("all", &["web"], false)], [true, false, true, false]),
            (vec![one], vec![("one", &["web"], false), ("one", &[], true)], [true; 4]),
            (vec![editor], vec![("editor", &["web"], false)], [true, true, true, true]),
            (
                vec![one, editor],
                vec![("one", &["web"], false), ("editor", &["other"], false)],
                [true, true, true, true],
            ),
        ];
        for (roles, bindings, expected) in cases {
            let readers = readers(&roles, &bindings);
            let may = |account, secret| readers.may_read("n", Some(account), secret);
            let found = [may("web", "a"), may("other", "a"), may("web", "b"), may("other", "b")];
            assert_eq!(found, expected, "{roles:?} {bindings:?}");
        }
        let readers = readers(&[all], &[("all", &["web"], false)]);
        assert!(!readers.may_read("n", None, "a"));
        assert!(readers.may_read("m", Some("other"), "a"), "another namespace");
    }
}
