//! A client of the configuration API, as any HTTP client would use it.

use std::net::SocketAddr;

use serde_json::Value;

use crate::client::Http1;
use crate::patience::eventually;

/// The API with a token.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    token: String,
}

impl Api {
    pub(super) fn new(address: SocketAddr, token: String) -> Self {
        Api { address, token }
    }

    /// The same API with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Api { address: self.address, token: token.to_owned() }
    }

    /// The local administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends one request: its status and its JSON; `Null` where the answer is none.
    pub async fn call(&self, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let authorization = format!("Bearer {}", self.token);
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        let mut connection = Http1::connect(self.address).await;
        let response = connection.call(method, path, &headers, &body).await;
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    /// Gets an object or a list.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, "", &Value::Null).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, "application/json", body).await
    }

    /// Waits until the workloads of a service that may be called are exactly so many.
    ///
    /// # Panics
    /// If they never are.
    pub async fn healthy(&self, namespace: &str, service: &str, count: usize) {
        let path = format!("/apis/networking.istio.io/v1/namespaces/{namespace}/workloadentries");
        let what = format!("{count} healthy workloads of {service}");
        eventually(&what, async || {
            let (status, list) = self.get(&path).await;
            let items = list["items"].as_array().ok_or(format!("status {status}: {list}"))?;
            let is_healthy = |it: &&Value| {
                let conditions = it["status"]["conditions"].as_array();
                it["spec"]["labels"]["app"] == service
                    && conditions.is_some_and(|all| {
                        all.iter().any(|it| it["type"] == "Healthy" && it["status"] == "True")
                    })
            };
            let healthy = items.iter().filter(is_healthy).count();
            if healthy == count { Ok(()) } else { Err(format!("{healthy} of {}", items.len())) }
        })
        .await;
    }
}
