//! Waits until the registry has workloads that may be called, and learns their addresses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::DemoError;
use crate::client::{Client, JSON};

/// All workloads that have registered, from the first one on.
const PATH: &str = "/apis/networking.istio.io/v1/workloadentries?watch=1";

/// Waits until all workloads, each `NAMESPACE/NAME`, may be called. Gives the address of each.
pub(super) async fn await_healthy(
    client: &Client,
    wanted: &[String],
) -> Result<BTreeMap<String, String>, DemoError> {
    loop {
        let mut healthy = BTreeMap::new();
        let mut watch = client.watch(PATH, JSON).await.map_err(DemoError::Api)?;
        while let Some(event) = watch.next().await.map_err(DemoError::Api)? {
            let name = name(&event.object);
            if event.kind == "DELETED" || !is_healthy(&event.object) {
                healthy.remove(&name);
            } else if wanted.contains(&name) {
                healthy.insert(name, address(&event.object));
            }
            if healthy.len() == wanted.len() {
                return Ok(healthy);
            }
        }
    }
}

fn name(entry: &Value) -> String {
    let part = |part: &str| entry["metadata"][part].as_str().unwrap_or_default();
    format!("{}/{}", part("namespace"), part("name"))
}

fn is_healthy(entry: &Value) -> bool {
    let conditions = entry["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Healthy" && condition["status"] == "True")
}

/// Address and port; the bookshop's programs have one port each.
fn address(entry: &Value) -> String {
    let spec = &entry["spec"];
    let host = spec["address"].as_str().unwrap_or_default();
    let port = spec["ports"].as_object().and_then(|ports| ports.values().next()?.as_u64());
    match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(healthy: &str) -> Value {
        json!({
            "metadata": {"name": "reviews-1", "namespace": "default"},
            "spec": {"address": "127.0.0.1", "ports": {"main": 20001}},
            "status": {"conditions": [{"type": "Healthy", "status": healthy}]},
        })
    }

    #[test]
    fn an_entry_tells_who_where_and_whether_it_may_be_called() {
        let ready = entry("True");
        assert_eq!(name(&ready), "default/reviews-1");
        assert_eq!(address(&ready), "127.0.0.1:20001");
        assert!(is_healthy(&ready) && !is_healthy(&entry("False")) && !is_healthy(&json!({})));
        assert_eq!(address(&json!({"spec": {"address": "::1", "ports": {"a": 1}}})), "[::1]:1");
    }
}
