//! One question and one rule: does the one allow the other? Pure.

use std::fmt::Write;

use meltemi_api::rbac::PolicyRule;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// Objects.
    Resource {
        /// Their group; empty for the core group.
        group: &'a str,
        /// The plural word of their kind, `services/status` for a part of it.
        resource: &'a str,
        /// Their namespace, if one is meant.
        namespace: Option<&'a str>,
        /// The name of one.
        name: Option<&'a str>,
    },
    /// A path that is no object.
    Path(&'a str),
}

/// A question: may this be done?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask<'a> {
    /// Kubernetes' verb, or the HTTP method in lower case for a path.
    pub(crate) verb: &'a str,
    /// With what.
    pub(crate) what: What<'a>,
}

/// Paths that everybody may read who is known: what there is, not what is in it.
const DISCOVERY: [&str; 7] =
    ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version"];

/// Questions about the caller itself, and the path where tokens are made.
const ABOUT_ONESELF: [&str; 4] = [
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    "/meltemi/v1/tokens",
];

impl<'a> Ask<'a> {
    /// The namespace that is meant.
    pub(crate) fn namespace(&self) -> Option<&'a str> {
        match self.what {
            What::Resource { namespace, .. } => namespace,
            What::Path(_) => None,
        }
    }

    /// What Kubernetes' `system:discovery` and `system:basic-user` allow.
    pub(crate) fn is_open_to_all(&self) -> bool {
        match self.what {
            What::Path(path) => match self.verb {
                "get" => DISCOVERY.iter().any(|it| covers(it, path)),
                // Who asks about itself, or for a token, which is judged by what it is for.
                "post" => ABOUT_ONESELF.contains(&path),
                _ => false,
            },
            What::Resource { .. } => false,
        }
    }

    /// Whether a rule allows it.
    pub(crate) fn is_allowed_by(&self, rule: &PolicyRule) -> bool {
        let has = |all: &[String], one: &str| all.iter().any(|it| it == "*" || it == one);
        if !has(&rule.verbs, self.verb) {
            return false;
        }
        match self.what {
            What::Path(path) => rule.non_resource_urls.iter().any(|it| covers(it, path)),
            What::Resource { group, resource, name, .. } => {
                has(&rule.api_groups, group)
                    && rule.resources.iter().any(|it| names(it, resource))
                    && (rule.resource_names.is_empty()
                        || name.is_some_and(|name| rule.resource_names.iter().any(|it| it == name)))
            }
        }
    }

    /// Why it is refused, in Kubernetes' words.
    pub(crate) fn refusal(&self, user: &str) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = match self.what {
            What::Path(path) => {
                write!(text, "forbidden: User {user:?} cannot {} path {path:?}", self.verb)
            }
            What::Resource { group, resource, name, .. } => {
                let name = name.map(|name| format!(" {name:?}")).unwrap_or_default();
                write!(
                    text,
                    "{resource}{group}{name} is forbidden: User {user:?} cannot {} resource {resource:?} in API group {raw:?}",
                    self.verb,
                    group = if group.is_empty() { String::new() } else { format!(".{group}") },
                    raw = group,
                )
            }
        };
        match self.what {
            What::Resource { namespace: Some(namespace), .. } => {
                let _ = write!(text, " in the namespace {namespace:?}");
            }
            What::Resource { namespace: None, .. } => text.push_str(" at the cluster scope"),
            What::Path(_) => {}
        }
        text.push_str("; ask an administrator for a RoleBinding");
        text
    }
}

/// `*`, `services`, `services/status`, `services/*` or `*/status`.
fn names(pattern: &str, resource: &str) -> bool {
    if pattern == "*" || pattern == resource {
        return true;
    }
    match (pattern.split_once('/'), resource.split_once('/')) {
        (Some((whole, part)), Some((of, asked))) => {
            (whole == "*" || whole == of) && (part == "*" || part == asked)
        }
        _ => false,
    }
}

/// A path, or its beginning with `*` after it.
fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], of: &[&str]) -> PolicyRule {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        PolicyRule {
            verbs: owned(verbs),
            api_groups: owned(groups),
            resources: owned(resources),
            resource_names: owned(of),
            ..PolicyRule::default()
        }
    }

    #[test]
    fn rules_allow_what_they_name_and_nothing_else() {
        let plain = rule(&["get", "list"], &[""], &["services"], &[]);
        let named = rule(&["get"], &[""], &["secrets"], &["tls"]);
        let status = rule(&["update"], &["*"], &["*/status"], &[]);
        let all = rule(&["*"], &["*"], &["*"], &[]);
        let none = rule(&[], &[], &[], &[]);
        for (rule, verb, group, resource, name, expected) in [
            (&plain, "get", "", "services", Some("web"), true),
            (&plain, "list", "", "services", None, true),
            (&plain, "delete", "", "services", Some("web"), false),
            (&plain, "get", "apps", "services", None, false),
            (&plain, "get", "", "services/status", Some("web"), false),
            (&named, "get", "", "secrets", Some("tls"), true),
            (&named, "get", "", "secrets", Some("other"), false),
            (&named, "get", "", "secrets", None, false),
            (&status, "update", "", "services/status", Some("web"), true),
            (&status, "update", "", "services", Some("web"), false),
            (&all, "delete", "x.io", "things/part", Some("y"), true),
            (&none, "get", "", "services", None, false),
        ] {
            let what = What::Resource { group, resource, namespace: Some("shop"), name };
            let found = Ask { verb, what }.is_allowed_by(rule);
            assert_eq!(found, expected, "{verb} {group} {resource} {name:?}");
        }
    }

    #[test]
    fn paths_are_allowed_by_their_beginnings() {
        let rule = PolicyRule {
            verbs: vec!["get".into()],
            non_resource_urls: vec!["/meltemi/v1/*".into(), "/x".into()],
            ..PolicyRule::default()
        };
        for (verb, path, expected) in [
            ("get", "/meltemi/v1/graph", true),
            ("post", "/meltemi/v1/graph", false),
            ("get", "/meltemi/v2", false),
            ("get", "/x", true),
            ("get", "/x/y", false),
        ] {
            assert_eq!(Ask { verb, what: What::Path(path) }.is_allowed_by(&rule), expected);
        }
        assert!(Ask { verb: "get", what: What::Path("/apis") }.is_open_to_all());
        assert!(!Ask { verb: "post", what: What::Path("/apis") }.is_open_to_all());
        assert!(!Ask { verb: "get", what: What::Path("/meltemi/v1/graph") }.is_open_to_all());
    }

    #[test]
    fn a_refusal_names_who_what_and_where() {
        let what = What::Resource {
            group: "networking.istio.io",
            resource: "virtualservices",
            namespace: Some("shop"),
            name: Some("web"),
        };
        let told = Ask { verb: "patch", what }.refusal("alice");
        assert!(told.starts_with(
            "virtualservices.networking.istio.io \"web\" is forbidden: User \"alice\" cannot patch resource \"virtualservices\" in API group \"networking.istio.io\" in the namespace \"shop\""
        ), "{told}");
    }
}
