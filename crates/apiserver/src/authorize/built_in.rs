//! The roles that are always there, as ClusterRoles that cannot be changed.

use meltemi_api::Kind;
use meltemi_api::rbac::{GROUP as RBAC, PolicyRule};
use meltemi_store::{Entry, Key};
use serde_json::{Value, json};

use crate::status::Failure;

/// The roles' names; Kubernetes' own names for two of them are taken too.
pub(crate) const NAMES: [&str; 7] =
    ["cluster-admin", "admin", "editor", "edit", "viewer", "view", "analyst"];

const READ: [&str; 3] = ["get", "list", "watch"];
const ALL: [&str; 1] = ["*"];

/// The rules of a role that is built in.
///
/// - `cluster-admin`: everything, access tokens and revocations included
/// - `admin`: all objects of a namespace, its roles and bindings and the tokens of its service accounts included
/// - `editor`: all objects of a namespace but roles and bindings
/// - `viewer`: reads all objects of a namespace but Secrets, and what the mesh tells of itself
/// - `analyst`: reads what the mesh tells of itself, and which services there are
pub(crate) fn role(name: &str) -> Option<Vec<PolicyRule>> {
    Some(match name {
        "cluster-admin" => vec![objects(&ALL, &["*".to_owned()], &["*"]), paths(&ALL, "*")],
        "admin" => {
            let roles = objects(&ALL, &[RBAC.to_owned()], &["roles", "rolebindings"]);
            let tokens = objects(&["create"], &[String::new()], &["serviceaccounts/token"]);
            [editor(), vec![roles, tokens]].concat()
        }
        "editor" | "edit" => editor(),
        "viewer" | "view" => viewer(),
        "analyst" => vec![
            objects(&READ, &[String::new()], &["namespaces", "services"]),
            paths(&["get"], "/meltemi/v1/*"),
        ],
        _ => return None,
    })
}

/// The roles as objects, as if they were stored.
pub(crate) fn entries() -> impl Iterator<Item = Entry> {
    NAMES.iter().filter_map(|name| entry(&key(name)))
}

/// The object of such a role, if this is the key of one.
pub(crate) fn entry(of: &Key) -> Option<Entry> {
    let rules = role(&of.name).filter(|_| *of == key(&of.name))?;
    let object = json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRole",
        // Kubernetes' mark of what is there from the beginning.
        "metadata": {"name": of.name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": rules.iter().map(written).collect::<Vec<_>>(),
    });
    Some(Entry { key: of.clone(), value: object.to_string().into(), version: 1, created: 1 })
}

/// Refuses what would change or delete such a role.
pub(crate) fn check_stays(of: &Key) -> Result<(), Failure> {
    if !NAMES.contains(&of.name.as_str()) || *of != key(&of.name) {
        return Ok(());
    }
    let message = format!(
        "the ClusterRole {:?} is built in and cannot be changed: take another name",
        of.name
    );
    Err(Failure::forbidden(message))
}

fn key(name: &str) -> Key {
    Key::new(Kind::ClusterRole.group(), Kind::ClusterRole.plural(), None, name)
}

/// A rule as it is written; what it leaves out is left out.
fn written(rule: &PolicyRule) -> Value {
    let fields = [
        ("verbs", &rule.verbs),
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.resource_names),
        ("nonResourceURLs", &rule.non_resource_urls),
    ];
    let fields = fields.into_iter().filter(|(_, values)| !values.is_empty());
    fields.map(|(name, values)| (name.to_owned(), json!(values))).collect()
}

/// Every kind but those of who may do what, with their statuses.
fn editor() -> Vec<PolicyRule> {
    let mut rules = by_group(&ALL, |_| true);
    rules.push(paths(&["get"], "/meltemi/v1/*"));
    rules
}

fn viewer() -> Vec<PolicyRule> {
    let mut rules = by_group(&READ, |kind| kind != Kind::Secret);
    rules.push(paths(&["get"], "/meltemi/v1/*"));
    rules
}

/// A rule for each group of kinds.
fn by_group(verbs: &[&str], take: impl Fn(Kind) -> bool) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    let own = [Kind::AccessToken, Kind::CertificateRevocation];
    let is_meant = |kind: &Kind| kind.group() != RBAC && !own.contains(kind) && take(*kind);
    for kind in Kind::all().iter().copied().filter(is_meant) {
        let words = [kind.plural().to_owned(), format!("{}/status", kind.plural())];
        match rules.iter_mut().find(|rule| rule.api_groups[0] == kind.group()) {
            Some(rule) => rule.resources.extend(words),
            None => rules.push(PolicyRule {
                resources: words.into(),
                ..objects(verbs, &[kind.group().to_owned()], &[])
            }),
        }
    }
    rules
}

fn objects(verbs: &[&str], groups: &[String], resources: &[&str]) -> PolicyRule {
    let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    PolicyRule {
        verbs: owned(verbs),
        api_groups: groups.to_vec(),
        resources: owned(resources),
        ..PolicyRule::default()
    }
}

fn paths(verbs: &[&str], path: &str) -> PolicyRule {
    PolicyRule { non_resource_urls: vec![path.to_owned()], ..objects(verbs, &[], &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::{Ask, What};

    #[test]
    fn each_role_may_do_its_own_and_no_more() {
        let services = ("", "services");
        let routes = ("networking.istio.io", "virtualservices");
        let secrets = ("", "secrets");
        let bindings = (RBAC, "rolebindings");
        let tokens = ("meltemi.io", "accesstokens");
        for (role, verb, (group, resource), expected) in [
            ("cluster-admin", "create", tokens, true),
            ("admin", "create", tokens, false),
            ("admin", "get", tokens, false),
            ("admin", "create", bindings, true),
            ("admin", "create", ("", "serviceaccounts/token"), true),
            ("editor", "create", ("", "serviceaccounts/token"), false),
            ("editor", "create", bindings, false),
            ("editor", "get", bindings, false),
            ("editor", "patch", routes, true),
            ("editor", "get", secrets, true),
            ("viewer", "get", secrets, false),
            ("viewer", "watch", routes, true),
            ("viewer", "patch", routes, false),
            ("analyst", "list", services, true),
            ("analyst", "list", routes, false),
        ] {
            let what = What::Resource { group, resource, namespace: Some("shop"), name: None };
            let rules = super::role(role).unwrap();
            let found = rules.iter().any(|rule| Ask { verb, what }.is_allowed_by(rule));
            assert_eq!(found, expected, "{role} {verb} {resource}");
        }
        for name in NAMES {
            assert!(super::role(name).is_some(), "{name}");
            let what = What::Path("/meltemi/v1/graph");
            let rules = super::role(name).unwrap();
            assert!(rules.iter().any(|rule| Ask { verb: "get", what }.is_allowed_by(rule)));
        }
        assert!(super::role("other").is_none());
    }
}
