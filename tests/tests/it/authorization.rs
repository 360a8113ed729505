//! AuthorizationPolicy over real sockets: tables taken from Istio's pages, each row allowing and denying.

mod changes;
mod clients;
mod conditions;
mod denied_by;
mod evasions;
mod explained;
mod external;
mod grpc;
mod operations;
mod order;
mod outcomes;
mod scope;
mod sources;
mod tcp;
mod tokens;

use std::sync::atomic::{AtomicU32, Ordering};

use meltemi_tests::{Http1, HttpApp, Mesh, Response, Sidecar, eventually};
use serde_json::{Value, json};

const POLICIES: &str = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies";

/// A service `web` whose policies are tried, and a caller of it, `default/client` by its certificate.
struct World {
    mesh: Mesh,
    app: HttpApp,
    web: Sidecar,
    client: Sidecar,
    /// Numbers the policies, so that the arrival of each can be awaited.
    applied: AtomicU32,
}

impl World {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further flags of the control plane.
    async fn start_with(flags: &[&str]) -> Self {
        let mesh = Mesh::start_with(flags).await;
        let app = HttpApp::start("web-1").await;
        let web = mesh.workload("web").port(app.port(), "http").proxy().await;
        let client = mesh.workload("client").flag("--service-account", "client").proxy().await;
        World { mesh, app, web, client, applied: AtomicU32::new(0) }
    }

    /// Puts these policies in place of all before them, each an action and its rules as JSON, from the return on.
    async fn policies(&self, policies: &[(&str, Value)]) {
        let spec = |(action, rules): &(&str, Value)| json!({"action": action, "rules": rules});
        let specs: Vec<Value> = policies.iter().map(spec).collect();
        self.specs(&specs).await;
    }

    /// The same of whole specifications.
    async fn specs(&self, specs: &[Value]) {
        let objects: Vec<Value> = specs.iter().map(|spec| json!({"spec": spec})).collect();
        self.objects(objects).await;
    }

    /// The same of objects, to which kind and name are added.
    async fn objects(&self, mut objects: Vec<Value>) {
        let api = self.mesh.api();
        let number = self.applied.fetch_add(1, Ordering::Relaxed);
        let mut names = Vec::new();
        for (at, object) in objects.iter_mut().enumerate() {
            let name = format!("p{number:03}-{at}");
            object["apiVersion"] = "security.istio.io/v1".into();
            object["kind"] = "AuthorizationPolicy".into();
            object["metadata"]["name"] = name.as_str().into();
            let (status, answer) = api.post(POLICIES, object).await;
            assert_eq!(status, 201, "{object}: {answer}");
            names.push(format!("default/{name}"));
        }
        let (_, list) = api.get(POLICIES).await;
        for old in list["items"].as_array().unwrap() {
            let name = old["metadata"]["name"].as_str().unwrap();
            if !names.contains(&format!("default/{name}")) {
                let (status, _) =
                    api.call("DELETE", &format!("{POLICIES}/{name}"), "", &Value::Null).await;
                assert_eq!(status, 200, "{name}");
            }
        }
        arrived(&self.web, &names).await;
    }

    /// Has the rules of a table each allow one path and deny another one, and checks which of them match the client's
    /// calls: each rule once with `/allow/N`, which passes where it matches, and once with `/deny/N`, which does not.
    async fn matches(&self, calls: &Sidecar, table: &[(Value, bool)], call: Call<'_>) {
        let with_path = |rule: &Value, path: String| {
            let mut rule = rule.clone();
            let operations = rule["to"].as_array().cloned().unwrap_or_default();
            let mut operations = match operations.is_empty() {
                true => vec![json!({"operation": {}})],
                false => operations,
            };
            for it in &mut operations {
                it["operation"]["paths"] = json!([path]);
            }
            rule["to"] = json!(operations);
            rule
        };
        let rules = |word: &str| -> Vec<Value> {
            let numbered = table.iter().enumerate();
            numbered.map(|(at, (rule, _))| with_path(rule, format!("/{word}/{at}"))).collect()
        };
        let mut allow = rules("allow");
        allow.push(json!({"to": [{"operation": {"paths": ["/deny/*"]}}]}));
        self.policies(&[("ALLOW", json!(allow)), ("DENY", json!(rules("deny")))]).await;
        let mut connection = calls.http().await;
        for (at, (rule, is_match)) in table.iter().enumerate() {
            for (word, passes) in [("allow", *is_match), ("deny", !is_match)] {
                let response = call.send(&mut connection, &format!("/{word}/{at}")).await;
                let seen = (response.status, response.text().trim().to_owned());
                let expected = match passes {
                    true => (200, "web-1".to_owned()),
                    false => (403, "RBAC: access denied".to_owned()),
                };
                assert_eq!(seen, expected, "{word}: {rule}");
            }
        }
    }

    /// Calls a path of `web`.
    async fn get(&self, path: &str) -> Response {
        self.client.http().await.get(&format!("http://web{path}")).await
    }

    /// The statuses of paths of `web`, in order.
    async fn statuses(&self, paths: &[&str]) -> Vec<u16> {
        let mut connection = self.client.http().await;
        let mut statuses = Vec::with_capacity(paths.len());
        for path in paths {
            statuses.push(connection.get(&format!("http://web{path}")).await.status);
        }
        statuses
    }
}

/// How the calls of a table are made.
#[derive(Clone, Copy)]
struct Call<'c> {
    method: &'c str,
    headers: &'c [(&'c str, &'c str)],
}

impl Default for Call<'_> {
    fn default() -> Self {
        Call { method: "GET", headers: &[] }
    }
}

impl Call<'_> {
    async fn send(&self, connection: &mut Http1, path: &str) -> Response {
        connection.call(self.method, &format!("http://web{path}"), self.headers, b"").await
    }
}

/// Waits until a sidecar goes by exactly these policies, `NAMESPACE/NAME`.
async fn arrived(sidecar: &Sidecar, names: &[String]) {
    let what = format!("{} goes by {names:?}", sidecar.workload);
    eventually(&what, async || {
        let dump = Http1::connect(sidecar.admin).await.get("/config_dump").await.json();
        let mut seen: Vec<String> =
            serde_json::from_value(dump["inbound"][0]["authorization_policies"].clone())
                .map_err(|error| format!("{error}: {dump}"))?;
        let mut wanted = names.to_vec();
        seen.sort();
        wanted.sort();
        if seen == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}
