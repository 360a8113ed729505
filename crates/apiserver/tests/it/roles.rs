//! Who may do what: tokens, roles, bindings, and what the audit log tells of it.

use http::{Method, StatusCode};
use http_body_util::Full;
use meltemi_apiserver::AdminToken;
use meltemi_audit::AuditLog;
use serde_json::{Value, json};

use crate::server::{Lines, ROUTES, SERVICES, Server, read};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// An API with an audit log, asked with tokens.
struct Guarded {
    server: Server,
    dir: tempfile::TempDir,
}

impl Guarded {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let audit = AuditLog::open(&dir.path().join("audit.log")).unwrap();
        let adapt = |state: meltemi_apiserver::ApiState| {
            state.with_auth(AdminToken::new("root")).with_audit(audit)
        };
        Guarded { server: Server::start_with(adapt).await, dir }
    }

    async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = self
            .server
            .request(method, path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        read(self.server.send(request.body(Full::from(body)).unwrap()).await).await
    }

    async fn create(&self, path: &str, body: Value) {
        let (status, answer) = self.ask("root", Method::POST, path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
    }

    /// A token of this user.
    async fn token(&self, user: &str) -> String {
        let wanted = json!({"user": user, "expirationSeconds": 600});
        let (status, answer) = self.ask("root", Method::POST, "/meltemi/v1/tokens", wanted).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn bind(&self, namespace: &str, role: &str, user: &str) {
        let path = format!("{RBAC}/namespaces/{namespace}/rolebindings");
        self.create(&path, binding(role, user)).await;
    }

    fn audited(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn binding(role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": format!("{user}-{role}")},
        "subjects": [{"kind": "User", "name": user}],
        "roleRef": {"kind": "ClusterRole", "name": role},
    })
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}]}})
}

#[tokio::test]
async fn without_a_role_nothing_is_seen_but_what_there_is() {
    let api = Guarded::start().await;
    let token = api.token("nobody").await;
    for path in ["/api", "/apis", "/openapi/v2", "/apis/networking.istio.io/v1", "/version"] {
        let (status, _) = api.ask(&token, Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
    for (method, path) in [
        (Method::GET, SERVICES),
        (Method::GET, "/api/v1/services?watch=1"),
        (Method::GET, "/api/v1/namespaces/default/secrets/x"),
        // The same object, told apart by its escapes alone.
        (Method::GET, "/api/v1/namespaces/default%2Fsecrets%2Fx"),
        (Method::GET, "/api/v1/namespaces/default/%73ecrets"),
        (Method::POST, SERVICES),
        (Method::DELETE, SERVICES),
        (Method::GET, "/meltemi/v1/rejected"),
        (Method::GET, "/apis/meltemi.io/v1alpha1/accesstokens"),
        (Method::POST, "/meltemi/v1/tokens"),
        (Method::GET, "/nothing"),
    ] {
        let body = match method {
            Method::POST if path == SERVICES => service("web"),
            Method::POST => json!({"user": "root", "expirationSeconds": 60}),
            _ => Value::Null,
        };
        let (status, answer) = api.ask(&token, method.clone(), path, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains("nobody"), "{answer}");
    }
}

#[tokio::test]
async fn roles_hold_in_their_namespace() {
    let api = Guarded::start().await;
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    api.create("/api/v1/namespaces", shop).await;
    for (user, role) in [("ed", "editor"), ("vi", "viewer"), ("ana", "analyst"), ("ad", "admin")] {
        api.bind("shop", role, user).await;
    }
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web"}, "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]}});
    let shop = ROUTES.replace("/default/", "/shop/");
    let (ok, made, no) = (StatusCode::OK, StatusCode::CREATED, StatusCode::FORBIDDEN);
    for (user, write, list, elsewhere, bind) in [
        ("ana", no, no, no, no),
        ("vi", no, ok, no, no),
        ("ed", made, ok, no, no),
        ("ad", StatusCode::CONFLICT, ok, no, made),
    ] {
        let token = api.token(user).await;
        let asked = [
            (Method::POST, shop.as_str(), route.clone(), write),
            (Method::GET, &shop, Value::Null, list),
            (Method::GET, ROUTES, Value::Null, elsewhere),
            (Method::GET, "/apis/networking.istio.io/v1/virtualservices", Value::Null, no),
        ];
        for (method, path, body, expected) in asked {
            let (status, answer) = api.ask(&token, method.clone(), path, body).await;
            assert_eq!(status, expected, "{user} {method} {path}: {answer}");
        }
        let path = format!("{RBAC}/namespaces/shop/rolebindings");
        let (status, answer) = api.ask(&token, Method::POST, &path, binding("viewer", user)).await;
        assert_eq!(status, bind, "{user}: {answer}");
        let (status, answer) =
            api.ask(&token, Method::POST, &path, binding("cluster-admin", user)).await;
        assert_eq!(status, no, "{user}: {answer}");
    }
}

#[tokio::test]
async fn applying_needs_the_right_to_create() {
    let api = Guarded::start().await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "patcher"},
        "rules": [{"verbs": ["patch", "get"], "apiGroups": [""], "resources": ["services"]}]});
    api.create(&format!("{RBAC}/namespaces/default/roles"), role).await;
    let mut given = binding("patcher", "pat");
    given["roleRef"]["kind"] = json!("Role");
    api.create(&format!("{RBAC}/namespaces/default/rolebindings"), given).await;
    let token = api.token("pat").await;
    let apply = async |name: &str| {
        let path = format!("{SERVICES}/{name}?fieldManager=test");
        let request = api
            .server
            .request(Method::PATCH, &path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/apply-patch+yaml");
        let body = Full::from(service(name).to_string());
        api.server.send(request.body(body).unwrap()).await.status()
    };
    api.create(SERVICES, service("old")).await;
    assert_eq!(apply("old").await, StatusCode::OK);
    assert_eq!(apply("new").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tokens_of_service_accounts_are_requested_and_revoked() {
    let api = Guarded::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600}});
    let path = format!("{accounts}/bot/token");
    let (status, _) = api.ask("root", Method::POST, &path, request.clone()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot"}});
    api.create(accounts, account).await;
    let mut given = binding("viewer", "bot");
    given["subjects"] = json!([{"kind": "ServiceAccount", "namespace": "default", "name": "bot"}]);
    api.create(&format!("{RBAC}/namespaces/default/rolebindings"), given).await;

    let (status, answer) = api.ask("root", Method::POST, &path, request).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let token = answer["status"]["token"].as_str().unwrap();
    assert_eq!(api.ask(token, Method::GET, SERVICES, Value::Null).await.0, StatusCode::OK);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (_, answer) = api.ask(token, Method::POST, path, review).await;
    assert_eq!(answer["status"]["userInfo"]["username"], "system:serviceaccount:default:bot");

    let tokens = "/apis/meltemi.io/v1alpha1/accesstokens";
    let (_, list) = api.ask("root", Method::GET, tokens, Value::Null).await;
    let name = list["items"][0]["metadata"]["name"].as_str().unwrap();
    assert!(!list.to_string().contains(token.rsplit_once('_').unwrap().1));
    let (status, _) =
        api.ask("root", Method::DELETE, &format!("{tokens}/{name}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = api.ask(token, Method::GET, SERVICES, Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_end_with_their_service_account() {
    let api = Guarded::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account =
        || json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot"}});
    api.create(accounts, account()).await;
    let mut given = binding("viewer", "bot");
    given["subjects"] = json!([{"kind": "ServiceAccount", "namespace": "default", "name": "bot"}]);
    api.create(&format!("{RBAC}/namespaces/default/rolebindings"), given).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"});
    let path = format!("{accounts}/bot/token");
    let token = async || {
        let (status, answer) = api.ask("root", Method::POST, &path, request.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["status"]["token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    assert_eq!(api.ask(&first, Method::GET, SERVICES, Value::Null).await.0, StatusCode::OK);
    let mut lines = api.server.watch_as(&first, &format!("{SERVICES}?watch=1")).await;
    api.create(SERVICES, service("before")).await;
    assert_eq!(lines.event().await.1, "before");

    let bot = format!("{accounts}/bot");
    assert_eq!(api.ask("root", Method::DELETE, &bot, Value::Null).await.0, StatusCode::OK);
    refused(&mut lines, 401, "deleted").await;
    let (status, answer) = api.ask(&first, Method::GET, SERVICES, Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
    // Another account of the same name has tokens of its own.
    api.create(accounts, account()).await;
    let (status, _) = api.ask(&first, Method::GET, SERVICES, Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let second = token().await;
    assert_eq!(api.ask(&second, Method::GET, SERVICES, Value::Null).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_roles_that_are_built_in_are_shown_and_stay() {
    let api = Guarded::start().await;
    let roles = format!("{RBAC}/clusterroles");
    let (_, list) = api.ask("root", Method::GET, &roles, Value::Null).await;
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|it| it["metadata"]["name"].clone()).collect();
    let expected = ["admin", "analyst", "cluster-admin", "edit", "editor", "view", "viewer"];
    assert_eq!(names, expected);
    // A page of one begins where the last has ended.
    let (_, page) = api.ask("root", Method::GET, &format!("{roles}?limit=1"), Value::Null).await;
    let next = page["metadata"]["continue"].as_str().unwrap();
    let path = format!("{roles}?limit=1&continue={next}");
    let (_, page) = api.ask("root", Method::GET, &path, Value::Null).await;
    assert_eq!(page["items"][0]["metadata"]["name"], "analyst");

    let view = format!("{roles}/view");
    let (status, role) = api.ask("root", Method::GET, &view, Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let core = role["rules"].as_array().unwrap().iter().find(|it| it["apiGroups"] == json!([""]));
    let core = core.unwrap_or_else(|| panic!("{role}"));
    assert_eq!(core["verbs"], json!(["get", "list", "watch"]));
    let resources = core["resources"].as_array().unwrap();
    assert!(resources.contains(&json!("services")) && !resources.contains(&json!("secrets")));
    for (method, body) in [(Method::DELETE, Value::Null), (Method::PUT, role.clone())] {
        let (status, answer) = api.ask("root", method, &view, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    }
}

/// Waits for the end of a watch, which has to come before anything else.
async fn refused(lines: &mut Lines, code: u16, word: &str) {
    let last = lines.next().await.expect("it says why it ends");
    assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(code)), "{last}");
    assert!(last["object"]["message"].as_str().unwrap().contains(word), "{last}");
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn a_watch_ends_with_its_token() {
    let api = Guarded::start().await;
    api.bind("default", "viewer", "vi").await;
    let (token, other) = (api.token("vi").await, api.token("vi").await);
    let watched = format!("{SERVICES}?watch=1");
    let mut lines = api.server.watch_as(&token, &watched).await;
    let mut kept = api.server.watch_as(&other, &watched).await;
    // A master's hangs on the token too, though on no role.
    let wanted = json!({"user": "boss", "groups": ["system:masters"], "expirationSeconds": 600});
    let (_, issued) = api.ask("root", Method::POST, "/meltemi/v1/tokens", wanted).await;
    let mut masters = api.server.watch_as(issued["token"].as_str().unwrap(), &watched).await;
    api.create(SERVICES, service("before")).await;
    for lines in [&mut lines, &mut kept, &mut masters] {
        assert_eq!(lines.event().await.1, "before");
    }
    let tokens = "/apis/meltemi.io/v1alpha1/accesstokens";
    let name = token.trim_start_matches("mlt_").split_once('_').unwrap().0;
    for name in [name, issued["name"].as_str().unwrap()] {
        let path = format!("{tokens}/{name}");
        assert_eq!(api.ask("root", Method::DELETE, &path, Value::Null).await.0, StatusCode::OK);
    }
    api.create(SERVICES, service("after")).await;
    refused(&mut lines, 401, "revoked").await;
    refused(&mut masters, 401, "revoked").await;
    assert_eq!(kept.event().await.1, "after");
}

#[tokio::test]
async fn a_watch_ends_with_the_right_to_it() {
    let api = Guarded::start().await;
    let role = |verb: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "watcher"},
            "rules": [{"verbs": [verb], "apiGroups": [""], "resources": ["services"]}]})
    };
    let (roles, bindings) = (
        format!("{RBAC}/namespaces/default/roles"),
        format!("{RBAC}/namespaces/default/rolebindings"),
    );
    api.create(&roles, role("watch")).await;
    let mut given = binding("watcher", "ro");
    given["roleRef"]["kind"] = json!("Role");
    api.create(&bindings, given).await;
    api.bind("default", "viewer", "vi").await;
    let everywhere = json!({"kind": "ClusterRoleBinding", "metadata": {"name": "all"},
        "subjects": [{"kind": "User", "name": "all"}], "roleRef": {"kind": "ClusterRole", "name": "viewer"}});
    api.create(&format!("{RBAC}/clusterrolebindings"), everywhere).await;

    let mut watches = Vec::new();
    for user in ["ro", "vi", "all"] {
        let token = api.token(user).await;
        watches.push(api.server.watch_as(&token, &format!("{SERVICES}?watch=1")).await);
    }
    let [by_role, by_binding, by_all] = &mut watches[..] else { panic!("three watches") };

    let (status, _) = api.ask("root", Method::PUT, &format!("{roles}/watcher"), role("list")).await;
    assert_eq!(status, StatusCode::OK);
    api.create(SERVICES, service("one")).await;
    refused(by_role, 403, "cannot watch").await;
    assert_eq!((by_binding.event().await.1, by_all.event().await.1), ("one".into(), "one".into()));

    for path in [format!("{bindings}/vi-viewer"), format!("{RBAC}/clusterrolebindings/all")] {
        assert_eq!(api.ask("root", Method::DELETE, &path, Value::Null).await.0, StatusCode::OK);
    }
    api.create(SERVICES, service("two")).await;
    refused(by_binding, 403, "cannot watch").await;
    refused(by_all, 403, "cannot watch").await;
}

#[tokio::test]
async fn what_a_binding_gives_is_chosen_once() {
    let api = Guarded::start().await;
    let path = format!("{RBAC}/namespaces/default/rolebindings");
    api.create(&path, binding("viewer", "vi")).await;
    let path = format!("{path}/vi-viewer");
    let mut other = binding("viewer", "vi");
    other["roleRef"]["name"] = json!("admin");
    let (status, answer) = api.ask("root", Method::PUT, &path, other).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
    assert_eq!(answer["details"]["causes"][0]["field"], "roleRef", "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("cannot change roleRef"), "{answer}");

    let mut more = binding("viewer", "vi");
    more["roleRef"]["apiGroup"] = json!("rbac.authorization.k8s.io");
    more["subjects"] = json!([{"kind": "User", "name": "vi"}, {"kind": "User", "name": "vo"}]);
    let (status, answer) = api.ask("root", Method::PUT, &path, more).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn people_may_ask_what_they_may() {
    let api = Guarded::start().await;
    api.bind("default", "viewer", "vi").await;
    let token = api.token("vi").await;
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (verb, resource, expected) in
        [("list", "services", true), ("delete", "services", false), ("get", "secrets", false)]
    {
        let spec = json!({"resourceAttributes": {"namespace": "default", "verb": verb, "resource": resource}});
        let (_, answer) = api.ask(&token, Method::POST, path, json!({"spec": spec})).await;
        assert_eq!(answer["status"]["allowed"], expected, "{verb} {resource}: {answer}");
    }
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let spec = json!({"spec": {"namespace": "default"}});
    let (_, answer) = api.ask(&token, Method::POST, path, spec).await;
    assert!(
        answer["status"]["resourceRules"][0]["verbs"].as_array().unwrap().contains(&json!("list"))
    );
}

#[tokio::test]
async fn every_change_and_every_use_of_a_token_is_told() {
    let api = Guarded::start().await;
    api.bind("default", "editor", "ed").await;
    let token = api.token("ed").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"},
        "stringData": {"key": "hush"}});
    let secrets = "/api/v1/namespaces/default/secrets";
    assert_eq!(api.ask(&token, Method::POST, secrets, secret).await.0, StatusCode::CREATED);
    api.ask(&token, Method::POST, SERVICES, service("web")).await;
    let mut changed = service("web");
    changed["spec"]["ports"][0]["port"] = json!(81);
    let path = format!("{SERVICES}/web");
    assert_eq!(api.ask(&token, Method::PUT, &path, changed).await.0, StatusCode::OK);
    api.ask(&token, Method::GET, SERVICES, Value::Null).await;
    api.ask("root", Method::GET, SERVICES, Value::Null).await;
    api.ask("wrong", Method::GET, SERVICES, Value::Null).await;
    api.ask(&token, Method::GET, "/api/v1/namespaces", Value::Null).await;

    let events = api.audited();
    let told: Vec<_> = events
        .iter()
        .map(|it| {
            let text = |pointer: &str| it.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
            let code = it["responseStatus"]["code"].as_u64().unwrap();
            (text("/user/username"), text("/verb"), text("/objectRef/resource"), code)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("admin", "create", "rolebindings", 201),
            ("admin", "create", "accesstokens", 201),
            ("ed", "create", "secrets", 201),
            ("ed", "create", "services", 201),
            ("ed", "update", "services", 200),
            ("ed", "list", "services", 200),
            ("system:anonymous", "get", "-", 401),
            ("ed", "list", "namespaces", 403),
        ]
    );
    // A created object's name is in the body of the request alone.
    for (at, name) in [(0, "ed-editor"), (2, "tls"), (3, "web"), (4, "web")] {
        assert_eq!(events[at]["objectRef"]["name"], name, "{}", events[at]);
    }
    let all = serde_json::to_string(&events).unwrap();
    assert!(!all.contains("hush") && !all.contains(token.rsplit_once('_').unwrap().1));
    let update = &events[4]["annotations"]["meltemi.io/changes"][0];
    let port = json!({"path": "/spec/ports/0/port", "from": 80, "to": 81});
    assert!(update["difference"].as_array().unwrap().contains(&port), "{update}");
    assert_eq!(events[4]["sourceIPs"], json!(["127.0.0.1"]));
    let credential = events[4]["annotations"]["meltemi.io/credential"].as_str().unwrap();
    assert!(credential.starts_with("token token-"), "{credential}");
    assert!(events[7]["responseStatus"]["message"].as_str().unwrap().contains("cannot list"));
}
