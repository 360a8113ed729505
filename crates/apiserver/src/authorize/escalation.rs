//! Nobody gives more than he has (Kubernetes' privilege escalation prevention).

use meltemi_api::Kind;
use meltemi_api::rbac::PolicyRule;
use meltemi_store::{Key, Store};
use serde_json::Value;

use super::{Ask, Binding, Stored, What, built_in, role, rules_of};
use crate::auth::Principal;
use crate::status::Failure;

/// Judges an object that is about to be written: a role may hold, and a binding give, only what its writer may do
/// himself; what an access token is for only those write who may do everything.
pub(crate) async fn admit(
    store: &dyn Store,
    caller: &Principal,
    kind: Kind,
    namespace: Option<&str>,
    object: &Value,
) -> Result<(), Failure> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    built_in::check_stays(&Key::new(kind.group(), kind.plural(), namespace, name))?;
    if caller.is_master() {
        return Ok(());
    }
    let unreadable = |error: serde_json::Error| Failure::bad_request(error.to_string());
    let given = match kind {
        Kind::Role | Kind::ClusterRole => {
            serde_json::from_value::<Stored>(object.clone()).map_err(unreadable)?.rules
        }
        Kind::RoleBinding | Kind::ClusterRoleBinding => {
            let binding: Binding = serde_json::from_value(object.clone()).map_err(unreadable)?;
            let found = role(store, &binding.role_ref, namespace).await?;
            // A role to come could hold anything.
            found.ok_or_else(|| {
                let role = &binding.role_ref;
                Failure::forbidden(format!("there is no {} {:?} to give", role.kind, role.name))
            })?
        }
        Kind::AccessToken => built_in::role("cluster-admin").unwrap_or_default(),
        _ => return Ok(()),
    };
    let own = rules_of(store, caller, namespace).await?;
    match given.iter().find(|rule| !is_covered(rule, &own)) {
        None => Ok(()),
        Some(rule) => Err(Failure::forbidden(format!(
            "User {:?} may not give what it has not itself: verbs {:?} on {:?} of groups {:?}{}",
            caller.name,
            rule.verbs,
            rule.resources,
            rule.api_groups,
            if rule.non_resource_urls.is_empty() {
                String::new()
            } else {
                format!(", paths {:?}", rule.non_resource_urls)
            },
        ))),
    }
}

/// Whether everything that a rule allows is allowed by these. A `*` is covered by a `*` alone.
fn is_covered(rule: &PolicyRule, own: &[PolicyRule]) -> bool {
    let names: Vec<Option<&str>> = match rule.resource_names.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let may =
        |verb: &str, what: What<'_>| own.iter().any(|own| Ask { verb, what }.is_allowed_by(own));
    rule.verbs.iter().all(|verb| {
        let paths = rule.non_resource_urls.iter().all(|path| may(verb, What::Path(path)));
        paths
            && rule.api_groups.iter().all(|group| {
                rule.resources.iter().all(|resource| {
                    names.iter().all(|name| {
                        let name = *name;
                        may(verb, What::Resource { group, resource, namespace: None, name })
                    })
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use meltemi_store::{Expect, MemoryStore};
    use serde_json::json;

    use super::*;
    use crate::auth::MASTERS;

    #[test]
    fn stars_and_wholes_are_more_than_their_parts() {
        let own = built_in::role("editor").unwrap();
        let rule = |value: Value| serde_json::from_value::<PolicyRule>(value).unwrap();
        for (given, expected) in [
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["services"]}), true),
            (json!({"verbs": ["*"], "apiGroups": [""], "resources": ["services"]}), true),
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*"]}), false),
            (json!({"verbs": ["get"], "apiGroups": ["*"], "resources": ["services"]}), false),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/meltemi/v1/graph"]}), true),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/meltemi/v1/*"]}), true),
            (json!({"verbs": ["get"], "nonResourceURLs": ["*"]}), false),
        ] {
            assert_eq!(is_covered(&rule(given.clone()), &own), expected, "{given}");
        }
        let one = rule(
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}),
        );
        let all = PolicyRule { resource_names: Vec::new(), ..one.clone() };
        assert!(is_covered(&one, std::slice::from_ref(&all)));
        assert!(!is_covered(&all, &[one]));
    }

    #[tokio::test]
    async fn an_admin_of_a_namespace_gives_what_it_has_there() {
        let store = MemoryStore::new();
        let binding = json!({"subjects": [{"kind": "User", "name": "alice"}],
            "roleRef": {"kind": "ClusterRole", "name": "admin"}});
        let key = Key::new("rbac.authorization.k8s.io", "rolebindings", Some("shop"), "a");
        store.put(key, Bytes::from(binding.to_string()), Expect::Any).await.unwrap();
        let alice = Principal { groups: vec![], ..Principal::master("alice", "") };
        let give = |role: &str| json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": role}});
        for (namespace, role, expected) in [
            (Some("shop"), "editor", true),
            (Some("shop"), "admin", true),
            (Some("shop"), "cluster-admin", false),
            (Some("shop"), "not-yet", false),
            (Some("other"), "viewer", false),
            (None, "viewer", false),
        ] {
            let kind =
                if namespace.is_some() { Kind::RoleBinding } else { Kind::ClusterRoleBinding };
            let found = admit(&store, &alice, kind, namespace, &give(role)).await.is_ok();
            assert_eq!(found, expected, "{namespace:?} {role}");
        }
        let token =
            json!({"metadata": {"name": "t"}, "spec": {"user": "root", "groups": [MASTERS]}});
        assert!(admit(&store, &alice, Kind::AccessToken, None, &token).await.is_err());
        let master = Principal::master("admin", "");
        assert!(admit(&store, &master, Kind::AccessToken, None, &token).await.is_ok());
        let own = json!({"metadata": {"name": "viewer"}, "rules": []});
        assert!(admit(&store, &master, Kind::ClusterRole, None, &own).await.is_err());
    }
}
