//! Figures that are expected of the registry.

use meltemi_tests::{HttpApp, Mesh, Sidecar, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is expected of one endpoint and caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    pub(crate) server_errors: u64,
    /// Bytes of the requests' bodies.
    pub(crate) sent: u64,
}

impl Figures {
    fn of(item: &Value) -> Figures {
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        Figures {
            calls: count(&item["calls"]),
            server_errors: count(&item["failures"]["5xx"]),
            sent: count(&item["sentBytes"]),
        }
    }
}

/// Waits until just these are told, by beginnings of the caller's and the endpoint's names.
pub(crate) async fn outcomes(mesh: &Mesh, query: &str, expected: &[(&str, &str, Figures)]) {
    let api = mesh.api();
    let path = format!("/meltemi/v1/outcomes?{query}");
    eventually("the outcomes are told", async || {
        let (status, told) = api.get(&path).await;
        let items = told["items"].as_array().cloned().unwrap_or_default();
        let name = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            text.split_once('/').map_or("", |(_, name)| name).to_owned()
        };
        let is_told = |(caller, endpoint, figures): &(&str, &str, Figures)| {
            items.iter().any(|item| {
                name(&item["caller"]).starts_with(caller)
                    && name(&item["endpoint"]).starts_with(endpoint)
                    && Figures::of(item) == *figures
            })
        };
        let is_all = items.len() == expected.len() && expected.iter().all(is_told);
        is_all.then_some(()).ok_or(format!("{status} {told}"))
    })
    .await;
}

/// An instance of `hello` whose workload has this name.
pub(crate) async fn named(mesh: &Mesh, name: &str) -> (HttpApp, Sidecar) {
    let app = HttpApp::start(name).await;
    let workload = mesh.workload("hello").port(app.port(), "http").flag("--name", name);
    let sidecar = workload.proxy().await;
    (app, sidecar)
}

/// Sends something over a local address of a sidecar, has it back, and closes.
pub(crate) async fn echo(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, bytes);
}
