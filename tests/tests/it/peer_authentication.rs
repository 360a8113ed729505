//! PeerAuthentication over real sockets: each level and mode, with calls of a sidecar and of a client that is in no mesh.

mod bytes;
mod callers;
mod levels;
mod ports;
mod protocols;

use std::sync::atomic::{AtomicU32, Ordering};

use meltemi_tests::{Http1, Mesh, Sidecar, eventually};
use serde_json::{Value, json};

/// How a call went: whether the application was told of a client's certificate; `None` if it saw no call.
type Reached = Option<bool>;

/// A mode, as calls show it: of a client without a mesh, and of another sidecar.
fn shown(mode: &str) -> [Reached; 2] {
    match mode {
        "STRICT" => [None, Some(true)],
        "PERMISSIVE" => [Some(false), Some(true)],
        "DISABLE" => [Some(false), Some(false)],
        mode => panic!("{mode}"),
    }
}

/// Calls a port of a service at its sidecar, without TLS and without a sidecar.
async fn by_plaintext(called: &Sidecar, authority: &str) -> Reached {
    let mut connection = Http1::connect(called.inbound).await;
    let headers = [("host", authority), ("x-forwarded-client-cert", "By=me;URI=spiffe://forged")];
    match connection.try_call("GET", "/echo", &headers, b"").await {
        Ok(response) if response.status == 200 => Some(is_told_of_certificate(&response.json())),
        Ok(response) => {
            assert_eq!(response.status, 403, "{authority}: {}", response.text());
            assert!(response.text().contains("PeerAuthentication"), "{}", response.text());
            None
        }
        Err(_) => None,
    }
}

/// Calls a port of a service through a sidecar.
async fn by_mesh(caller: &Sidecar, authority: &str) -> Reached {
    let response = caller.http().await.get(&format!("http://{authority}/echo")).await;
    (response.status == 200).then(|| is_told_of_certificate(&response.json()))
}

fn is_told_of_certificate(seen: &Value) -> bool {
    let headers = seen["headers"].as_array().expect("a list");
    let named: Vec<_> = headers.iter().filter(|it| it[0] == "x-forwarded-client-cert").collect();
    for name in &named {
        assert!(name[1].as_str().unwrap().contains("URI=spiffe://cluster.local/"), "{named:?}");
    }
    !named.is_empty()
}

/// The policies of a mesh.
struct Policies<'m> {
    mesh: &'m Mesh,
    /// Numbers what follows each change, so that its arrival can be awaited.
    changes: AtomicU32,
}

impl<'m> Policies<'m> {
    fn of(mesh: &'m Mesh) -> Self {
        Policies { mesh, changes: AtomicU32::new(0) }
    }

    /// Puts these policies, each with namespace and name, in place of all before them. From the return on these workloads
    /// go by them; their callers may learn of it a moment later.
    async fn set(&self, policies: &[(&str, &str, Value)], workloads: &[&Sidecar]) {
        let api = self.mesh.api();
        let (_, list) = api.get("/apis/security.istio.io/v1/peerauthentications").await;
        for old in list["items"].as_array().unwrap() {
            let metadata = &old["metadata"];
            let of = |name: &str| metadata[name].as_str().unwrap().to_owned();
            self.delete("peerauthentications", &of("namespace"), &of("name")).await;
        }
        for (namespace, name, spec) in policies {
            self.create("PeerAuthentication", namespace, name, spec).await;
        }
        self.arrived(workloads).await;
    }

    /// Waits until these workloads have all that was written: it is followed by a policy that changes nothing.
    async fn arrived(&self, workloads: &[&Sidecar]) {
        let number = self.changes.fetch_add(1, Ordering::Relaxed);
        let (before, name) = (format!("c{number}"), format!("c{}", number + 1));
        self.create("AuthorizationPolicy", "istio-system", &name, &json!({"action": "AUDIT"}))
            .await;
        if number > 0 {
            self.delete("authorizationpolicies", "istio-system", &before).await;
        }
        let wanted = json!([format!("istio-system/{name}")]);
        for workload in workloads {
            eventually(&format!("{} goes by {name}", workload.workload), async || {
                let dump = Http1::connect(workload.admin).await.get("/config_dump").await.json();
                let seen = &dump["inbound"][0]["authorization_policies"];
                if *seen == wanted { Ok(()) } else { Err(seen.to_string()) }
            })
            .await;
        }
    }

    async fn create(&self, kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        let plural = match kind {
            "PeerAuthentication" => "peerauthentications",
            _ => "authorizationpolicies",
        };
        let (status, answer) = self.mesh.api().post(&path(plural, namespace), &object).await;
        assert_eq!(status, 201, "{object}: {answer}");
        answer
    }

    async fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let path = format!("{}/{name}", path(plural, namespace));
        let (status, answer) = self.mesh.api().call("DELETE", &path, "", &Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
}

fn path(plural: &str, namespace: &str) -> String {
    format!("/apis/security.istio.io/v1/namespaces/{namespace}/{plural}")
}

fn mode(mode: &str) -> Value {
    json!({"mtls": {"mode": mode}})
}

fn selecting(app: &str, mode: &str) -> Value {
    json!({"selector": {"matchLabels": {"app": app}}, "mtls": {"mode": mode}})
}

/// Checks what calls of a port show; callers follow a change by themselves.
async fn shows(called: &Sidecar, caller: &Sidecar, authority: &str, expected: &str, why: &str) {
    let plain = by_plaintext(called, authority).await;
    assert_eq!(plain, shown(expected)[0], "{authority} in plaintext is {expected}: {why}");
    eventually(&format!("{authority} in the mesh is {expected}: {why}"), async || {
        let reached = by_mesh(caller, authority).await;
        if reached == shown(expected)[1] { Ok(()) } else { Err(format!("{reached:?}")) }
    })
    .await;
}
