//! `RequestAuthentication`: whose tokens a workload takes, over real sockets, with issuers that change their keys.

mod keys;
mod places;
mod scope;
mod tokens;

use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_tests::{HttpApp, HttpService, Issuer, Mesh, Response, Sidecar, eventually};
use serde_json::{Value, json};

/// A service `hello` of one instance, a caller of it, and an issuer of tokens.
struct World {
    mesh: Mesh,
    hello: HttpService,
    client: Sidecar,
    issuer: Issuer,
}

impl World {
    /// `flags` are the control plane's.
    async fn start(flags: &[&str]) -> World {
        World::of(Mesh::start_with(flags).await, Issuer::start().await).await
    }

    async fn of(mesh: Mesh, issuer: Issuer) -> World {
        let hello = mesh.http_service("hello", 1).await;
        let client = mesh.client().await;
        World { mesh, hello, client, issuer }
    }

    fn app(&self) -> &HttpApp {
        self.hello.app(0)
    }

    /// The first fields of a rule of the issuer, with its keys in it.
    fn inline(&self) -> String {
        format!("issuer: '{}', jwks: '{}'", self.issuer.url(), self.issuer.key_set())
    }

    /// Has a rule in effect from the return on; `rule` is its fields in YAML's flow style.
    async fn rule(&self, rule: &str) {
        self.mesh.apply(&policy("hello", "default", &format!("jwtRules: [{{{rule}}}]"))).await;
        self.is_looked_at().await;
    }

    /// Waits until the workload looks at tokens.
    async fn is_looked_at(&self) {
        eventually("tokens are looked at", async || {
            let probe = self.issuer.token(&json!({"iss": "https://nobody.example"}));
            for target in ["/", "/?t=", "/?access_token="] {
                let target = format!("{target}{}", if target == "/" { "" } else { &probe });
                let headers = [
                    ("authorization", format!("Bearer {probe}")),
                    ("x-token", probe.clone()),
                    ("cookie", format!("session={probe}")),
                ];
                let headers = headers.each_ref().map(|(name, it)| (*name, it.as_str()));
                let response = self.get(&target, &headers).await;
                if response.status == 401 {
                    return Ok(());
                }
            }
            Err("a token of nobody passes everywhere".to_owned())
        })
        .await;
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let target = format!("http://hello{path}");
        self.client.http().await.call("GET", &target, headers, b"").await
    }

    /// Gets a path with a token in its usual place.
    async fn bearer(&self, path: &str, token: &str) -> Response {
        self.get(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Waits until a token is answered with a status and, if it is refused, these words.
    async fn until(&self, what: &str, token: &str, status: u16, words: &str) {
        eventually(what, async || {
            let response = self.bearer("/", token).await;
            let is_right = response.status == status && response.text().contains(words);
            is_right.then_some(()).ok_or(format!("{} {}", response.status, response.text()))
        })
        .await;
    }
}

/// A policy; `spec` is its fields in YAML's flow style.
fn policy(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: RequestAuthentication,
          metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
    )
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The values of a header that came to the application.
fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = seen["headers"].as_array().expect("a list");
    headers.iter().filter(|it| it[0] == name).filter_map(|it| it[1].as_str()).collect()
}
