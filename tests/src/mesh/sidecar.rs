//! A running sidecar: where it listens, how to call through it, and what it counted.

use std::net::SocketAddr;

use meltemi_telemetry::scrape::{self, Scrape};
use serde_json::Value;

use super::Api;
use crate::client::{Http1, Response};
use crate::patience::eventually;
use crate::process::Process;

/// A sidecar, alone or with the command that it runs.
#[derive(Debug)]
pub struct Sidecar {
    /// The `meltemi proxy` or `meltemi run` process.
    pub process: Process,
    /// `NAMESPACE/NAME` of its workload entry.
    pub workload: String,
    /// Where the application enters the mesh.
    pub outbound: SocketAddr,
    /// Where the mesh reaches the application.
    pub inbound: SocketAddr,
    /// Its admin interface.
    pub admin: SocketAddr,
    /// Its Prometheus endpoint.
    pub metrics: SocketAddr,
    /// Its health endpoint.
    pub health: SocketAddr,
}

impl Sidecar {
    pub(super) fn new(process: Process, ready: &Value) -> Self {
        let text = |name: &str| {
            ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}")).to_owned()
        };
        let address = |name: &str| {
            let text = text(name);
            text.parse().unwrap_or_else(|error| panic!("{name} is {text}: {error}"))
        };
        Sidecar {
            process,
            workload: text("workload"),
            outbound: address("outbound"),
            inbound: address("inbound"),
            admin: address("admin"),
            metrics: address("metrics"),
            health: address("health"),
        }
    }

    /// A connection to the outbound listener: requests in absolute form reach the mesh.
    pub async fn http(&self) -> Http1 {
        Http1::connect(self.outbound).await
    }

    /// Calls a target until the answer is as it should be, and gives that answer: configuration arrives some time after it
    /// was made.
    ///
    /// # Panics
    /// If no answer ever is.
    pub async fn until(
        &self,
        what: &str,
        target: &str,
        is_right: impl Fn(&Response) -> bool,
    ) -> Response {
        let mut calls = self.http().await;
        eventually(what, async || {
            let response = calls.get(target).await;
            if is_right(&response) {
                return Ok(response);
            }
            Err(format!("{target}: {} {:?}", response.status, response.text()))
        })
        .await
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it counted so far.
    ///
    /// # Panics
    /// If the scrape cannot be read.
    pub async fn scrape(&self) -> Scrape {
        let response = Http1::connect(self.metrics).await.get("/stats/prometheus").await;
        assert_eq!(response.status, 200, "{}", response.text());
        scrape::parse(&response.text()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until its workload is in the registry and healthy.
    pub(super) async fn is_callable(&self, api: &Api) {
        let (namespace, name) = self.workload.split_once('/').expect("NAMESPACE/NAME");
        let path =
            format!("/apis/networking.istio.io/v1/namespaces/{namespace}/workloadentries/{name}");
        eventually(&format!("{} may be called", self.workload), async || {
            let (status, entry) = api.get(&path).await;
            let conditions = entry["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_healthy = |it: &Value| it["type"] == "Healthy" && it["status"] == "True";
            if conditions.iter().any(is_healthy) {
                Ok(())
            } else {
                Err(format!("status {status}: {entry}"))
            }
        })
        .await;
    }
}
