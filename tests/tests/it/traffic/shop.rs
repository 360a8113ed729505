//! A service outside of the mesh whose endpoints a test describes one by one, and a caller of it.

use std::sync::atomic::{AtomicU32, Ordering};

use meltemi_tests::{HttpApp, Mesh, Response, Sidecar};

use super::{answering, arrived, virtual_service};

const BASE: &str = "http://shop.example.com";

/// The service `shop.example.com` and its caller.
pub(super) struct Shop {
    pub(super) mesh: Mesh,
    pub(super) client: Sidecar,
    /// Numbers the configurations, so that each can be awaited.
    applied: AtomicU32,
}

impl Shop {
    /// A mesh whose caller has these labels.
    pub(super) async fn start(labels: &[&str]) -> Self {
        let mesh = Mesh::start().await;
        let caller = mesh.workload("client");
        let caller = labels.iter().fold(caller, |caller, label| caller.flag("--label", label));
        let client = caller.proxy().await;
        Shop { mesh, client, applied: AtomicU32::new(0) }
    }

    /// Describes the service: further fields of the ServiceEntry in YAML's flow style.
    pub(super) async fn entry(&self, fields: &str) {
        self.mesh
            .apply(&format!(
                "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
                  spec: {{hosts: [shop.example.com], location: MESH_EXTERNAL, resolution: STATIC,
                    ports: [{{number: 80, name: http, protocol: HTTP}}], {fields}}}}}"
            ))
            .await;
    }

    /// Describes its endpoints: the port of each, and further fields.
    pub(super) async fn endpoints(&self, endpoints: &[(u16, &str)]) {
        let one = |(port, fields): &(u16, &str)| {
            format!("{{address: 127.0.0.1, ports: {{http: {port}}}, {fields}}}")
        };
        let all: Vec<_> = endpoints.iter().map(one).collect();
        self.entry(&format!("endpoints: [{}]", all.join(", "))).await;
    }

    /// Has it called by a `trafficPolicy`. All that was applied before is in force on the return.
    pub(super) async fn policy(&self, policy: &str) {
        self.ruled(policy, "retries: {attempts: 0},").await;
    }

    /// The same, and further fields of the route.
    pub(super) async fn ruled(&self, policy: &str, route: &str) {
        self.annotated("{}", policy, route).await;
    }

    /// The same, with annotations of the DestinationRule.
    pub(super) async fn annotated(&self, annotations: &str, policy: &str, route: &str) {
        self.mesh
            .apply(&format!(
                "{{apiVersion: networking.istio.io/v1, kind: DestinationRule,
                  metadata: {{name: shop, annotations: {annotations}}},
                  spec: {{host: shop.example.com, trafficPolicy: {policy}}}}}"
            ))
            .await;
        let number = self.applied.fetch_add(1, Ordering::Relaxed);
        let to = format!("{{{route} route: [{{destination: {{host: shop.example.com}}}}]}}");
        let rules = answering(number, &to);
        self.mesh.apply(&virtual_service("shop", "hosts: [shop.example.com]", &rules)).await;
        arrived(&self.client, BASE, number).await;
    }

    /// Gets a path of it.
    pub(super) async fn get(&self, path: &str) -> Response {
        self.client.http().await.get(&format!("{BASE}{path}")).await
    }

    /// Calls it again and again over one connection: which application answered each.
    pub(super) async fn turns(&self, count: usize) -> Vec<String> {
        let mut calls = self.client.http().await;
        let mut turns = Vec::with_capacity(count);
        for _ in 0..count {
            let response = calls.get(&format!("{BASE}/")).await;
            assert_eq!(response.status, 200, "{}", response.text());
            turns.push(response.served_by().to_owned());
        }
        turns
    }
}

/// Applications with these names.
pub(super) async fn apps<const COUNT: usize>(names: [&str; COUNT]) -> [HttpApp; COUNT] {
    let mut apps = Vec::with_capacity(COUNT);
    for name in names {
        apps.push(HttpApp::start(name).await);
    }
    apps.try_into().expect("as many as there are names")
}
