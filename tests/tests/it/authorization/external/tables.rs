//! Tables of Istio's pages for CUSTOM (concepts/security, the reference of AuthorizationPolicy, the task "External
//! Authorization"): each row that matches is asked about, allowed and denied; what no row matches is not asked about.

use serde_json::{Value, json};

use super::{Asking, custom, for_web, paths};

/// A rule, made one for this path alone where it says no path itself.
fn at_path(rule: &Value, path: &str) -> Value {
    let mut rule = rule.clone();
    let mut operations = rule["to"].as_array().cloned().unwrap_or_default();
    if operations.is_empty() {
        operations.push(json!({"operation": {}}));
    }
    for it in &mut operations {
        it["operation"]["paths"] = json!([path]);
    }
    rule["to"] = json!(operations);
    rule
}

impl Asking {
    /// Checks that a call is asked about by a row that matches, and that the answer counts, or that it is not.
    async fn row(&self, path: &str, is_match: bool, what: &Value) {
        let headers = [("x-team", "blue")];
        for (ask, denied) in [("allow", false), ("deny", true)] {
            let response = self.call(path, ask, &headers).await;
            let expected = match denied && is_match {
                true => (401, "who are you?"),
                false => (200, "web-1"),
            };
            assert_eq!((response.status, response.text().trim()), expected, "{ask} {path} {what}");
            assert_eq!(self.grpc.asked().len(), usize::from(is_match), "{ask} {path} {what}");
        }
    }
}

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_custom_rule_has_requests_asked_about_or_not() {
    let asking = Asking::start().await;
    let port = asking.world.app.port().to_string();
    let from = |source| json!({"from": [{"source": source}]});
    let to = |operation| json!({"to": [{"operation": operation}]});
    let when = |key: &str, values: &str| json!({"when": [{"key": key, "values": [values]}]});
    let unless = |key: &str, values: &str| json!({"when": [{"key": key, "notValues": [values]}]});
    let me = "cluster.local/ns/default/sa/client";
    let table = [
        (json!({}), true),
        (from(json!({"principals": [me]})), true),
        (from(json!({"principals": ["cluster.local/ns/default/sa/other"]})), false),
        (from(json!({"notPrincipals": ["cluster.local/ns/default/sa/other"]})), true),
        (from(json!({"notPrincipals": [me]})), false),
        (from(json!({"namespaces": ["default"]})), true),
        (from(json!({"namespaces": ["other"]})), false),
        (from(json!({"notNamespaces": ["other"]})), true),
        (from(json!({"notNamespaces": ["default"]})), false),
        (from(json!({"serviceAccounts": ["client"]})), true),
        (from(json!({"serviceAccounts": ["other/client"]})), false),
        (from(json!({"notServiceAccounts": ["other/client"]})), true),
        (from(json!({"notServiceAccounts": ["client"]})), false),
        (from(json!({"ipBlocks": ["127.0.0.0/8"]})), true),
        (from(json!({"ipBlocks": ["10.0.0.0/8"]})), false),
        (from(json!({"notIpBlocks": ["10.0.0.0/8"]})), true),
        (from(json!({"notIpBlocks": ["127.0.0.0/8"]})), false),
        (from(json!({"remoteIpBlocks": ["127.0.0.1"]})), true),
        (from(json!({"remoteIpBlocks": ["10.0.0.0/8"]})), false),
        (from(json!({"notRemoteIpBlocks": ["10.0.0.0/8"]})), true),
        (from(json!({"notRemoteIpBlocks": ["127.0.0.1"]})), false),
        (from(json!({"requestPrincipals": ["*"]})), false),
        (from(json!({"notRequestPrincipals": ["*"]})), true),
        (to(json!({"hosts": ["web"]})), true),
        (to(json!({"hosts": ["other"]})), false),
        (to(json!({"notHosts": ["other"]})), true),
        (to(json!({"notHosts": ["web"]})), false),
        (to(json!({"ports": [port]})), true),
        (to(json!({"ports": ["1"]})), false),
        (to(json!({"notPorts": ["1"]})), true),
        (to(json!({"notPorts": [port]})), false),
        (to(json!({"methods": ["GET"]})), true),
        (to(json!({"methods": ["POST"]})), false),
        (to(json!({"notMethods": ["POST"]})), true),
        (to(json!({"notMethods": ["GET"]})), false),
        (when("request.headers[x-team]", "blue"), true),
        (when("request.headers[x-team]", "red"), false),
        (unless("request.headers[x-team]", "red"), true),
        (unless("request.headers[x-team]", "blue"), false),
        (when("source.ip", "127.0.0.1"), true),
        (when("source.ip", "10.0.0.0/8"), false),
        (when("remote.ip", "127.0.0.1"), true),
        (when("remote.ip", "10.0.0.0/8"), false),
        (when("source.namespace", "default"), true),
        (when("source.namespace", "other"), false),
        (when("source.principal", me), true),
        (when("source.principal", "other"), false),
        (when("request.auth.claims[group]", "admin"), false),
        (unless("request.auth.claims[group]", "admin"), true),
        (when("request.auth.principal", "*"), false),
        (when("request.auth.audiences", "web"), false),
        (when("request.auth.presenter", "app"), false),
        (when("destination.ip", "127.0.0.1"), true),
        (when("destination.ip", "10.0.0.0/8"), false),
        (when("destination.port", &port), true),
        (when("destination.port", "1"), false),
        (when("connection.sni", "outbound_.80_._.web*"), true),
        (when("connection.sni", "other"), false),
    ];
    let path = |at: usize| format!("/ask/{at}");
    let rules = table.iter().enumerate().map(|(at, (rule, _))| at_path(rule, &path(at)));
    asking.asks("grpc", rules.collect()).await;
    for (at, (rule, is_match)) in table.iter().enumerate() {
        asking.row(&path(at), *is_match, rule).await;
    }
}

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_policy_has_the_paths_of_its_rules_asked_about_and_no_others() {
    let asking = Asking::start().await;
    for (rules, asked, free) in [
        // The task's own: what is below /headers is asked about, /ip is not.
        (
            paths(&["/headers"]),
            &["/headers", "/headers?show_env=1"][..],
            &["/ip", "/headers/x"][..],
        ),
        (paths(&["/admin*"]), &["/admin", "/admin/x"], &["/adm", "/x/admin"]),
        (paths(&["*/edit"]), &["/edit", "/a/edit"], &["/edit/a"]),
        (paths(&["/user/{*}/data"]), &["/user/7/data"], &["/user/7/8/data"]),
        (json!([{"to": [{"operation": {"notPaths": ["/free*"]}}]}]), &["/a"], &["/free/a"]),
        (json!([{}]), &["/", "/a"], &[]),
        // Without rules nothing is asked about.
        (json!([]), &[], &["/", "/a"]),
    ] {
        asking.asks("grpc", rules.clone()).await;
        for (list, is_match) in [(asked, true), (free, false)] {
            for path in list {
                asking.row(path, is_match, &rules).await;
            }
        }
    }
}

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn what_an_authorizer_allows_deny_and_allow_policies_judge() {
    let asking = Asking::start().await;
    let all = || json!([{}]);
    for (others, when_allowed, when_denied) in [
        (vec![], 200, 401),
        (vec![for_web("ALLOW", paths(&["/a"]))], 200, 401),
        (vec![for_web("ALLOW", paths(&["/b"]))], 403, 401),
        (vec![for_web("DENY", paths(&["/b"]))], 200, 401),
        (vec![for_web("DENY", paths(&["/a"]))], 403, 401),
        (vec![for_web("DENY", paths(&["/a"])), for_web("ALLOW", all())], 403, 401),
    ] {
        let specs = [&[custom("grpc", all())][..], &others].concat();
        asking.world.specs(&specs).await;
        for (ask, expected) in [("allow", when_allowed), ("deny", when_denied)] {
            let status = asking.call("/a", ask, &[]).await.status;
            assert_eq!(status, expected, "{ask} {others:?}");
            assert_eq!(asking.grpc.asked().len(), 1, "{ask} {others:?}");
        }
    }
}
