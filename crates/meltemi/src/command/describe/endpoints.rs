//! The workloads that a service selects, as they stand in the registry.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Client, JSON};
use crate::exit::Failure;
use crate::resource::Resources;
use crate::table::Table;

/// Labels that name a workload's version, the first that is there counts.
const VERSION_LABELS: [&str; 3] =
    ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];

/// The section on a service's endpoints.
pub(super) async fn of_service(
    client: &mut Client,
    resources: &Resources,
    service: &Value,
) -> Result<String, Failure> {
    let namespace = service.pointer("/metadata/namespace").and_then(Value::as_str);
    let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else {
        return Ok("Endpoints:    none are selected, as spec.selector is not set\n".to_owned());
    };
    let entries = resources.find("workloadentries.networking.istio.io")?;
    let list = client.get(&entries.path(namespace, None), JSON).await?;
    let entries = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let selected: Vec<&Value> = entries
        .iter()
        .filter(|entry| {
            let labels = labels(entry);
            selector
                .iter()
                .all(|(name, value)| labels.get(name.as_str()).copied() == value.as_str())
        })
        .collect();
    Ok(section(&selected))
}

fn section(selected: &[&Value]) -> String {
    if selected.is_empty() {
        return "Endpoints:    none: no WorkloadEntry of the namespace has the selector's labels\n"
            .to_owned();
    }
    let mut table = Table::new(["Name", "Address", "Ports", "Ready", "Version", "Account"]);
    for entry in selected {
        table.push(row(entry));
    }
    let rows: String = table.drain(true).lines().map(|line| format!("  {line}\n")).collect();
    let ready = selected.iter().filter(|entry| readiness(entry) == "yes").count();
    format!("Endpoints:    {ready} of {} ready\n{rows}", selected.len())
}

fn row(entry: &Value) -> [String; 6] {
    let text =
        |pointer| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("<none>").to_owned();
    let ports = entry.pointer("/spec/ports").and_then(Value::as_object);
    let ports: Vec<String> =
        ports.into_iter().flatten().map(|(name, number)| format!("{name}:{number}")).collect();
    let labels = labels(entry);
    let version = VERSION_LABELS.iter().find_map(|name| labels.get(name)).unwrap_or(&"<none>");
    [
        text("/metadata/name"),
        text("/spec/address"),
        if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") },
        readiness(entry),
        (*version).to_owned(),
        text("/spec/serviceAccount"),
    ]
}

/// Labels of the metadata and of the spec, the latter winning.
fn labels(entry: &Value) -> BTreeMap<&str, &str> {
    let of = |pointer| entry.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    of("/metadata/labels")
        .chain(of("/spec/labels"))
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect()
}

/// Whether a workload may be called: without the condition `Healthy` it may.
pub(crate) fn is_ready(entry: &Value) -> bool {
    healthy(entry).is_none_or(|condition| condition["status"] == "True")
}

fn readiness(entry: &Value) -> String {
    if is_ready(entry) {
        return "yes".to_owned();
    }
    let why =
        healthy(entry).and_then(|condition| condition["message"].as_str()).unwrap_or_default();
    if why.is_empty() { "no".to_owned() } else { format!("no ({why})") }
}

fn healthy(entry: &Value) -> Option<&Value> {
    let conditions = entry.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().find(|condition| condition["type"] == "Healthy")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_tell_what_a_caller_would_meet() {
        let plain = json!({"metadata": {"name": "a"}, "spec": {"address": "10.0.0.1"}});
        let whole = json!({
            "metadata": {"name": "b", "labels": {"app": "x", "version": "v1"}},
            "spec": {"address": "10.0.0.2", "ports": {"main": 8001, "grpc": 9}, "labels": {"version": "v2"}, "serviceAccount": "sa"},
            "status": {"conditions": [{"type": "Healthy", "status": "False", "message": "probe failed"}]},
        });
        assert_eq!(row(&plain), ["a", "10.0.0.1", "<none>", "yes", "<none>", "<none>"]);
        assert_eq!(
            row(&whole),
            ["b", "10.0.0.2", "grpc:9,main:8001", "no (probe failed)", "v2", "sa"]
        );
        assert_eq!(labels(&whole), BTreeMap::from([("app", "x"), ("version", "v2")]));
        assert!(section(&[&plain, &whole]).starts_with("Endpoints:    1 of 2 ready\n  NAME "));
        assert!(section(&[]).contains("no WorkloadEntry"));
    }
}
