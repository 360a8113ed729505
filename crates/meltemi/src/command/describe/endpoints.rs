//! The workloads that a service selects, as they stand in the registry.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Client, JSON};
use crate::exit::Failure;
use crate::outcomes::Ejections;
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
    ejections: &Ejections,
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
    Ok(section(&selected, ejections))
}

fn section(selected: &[&Value], ejections: &Ejections) -> String {
    if selected.is_empty() {
        return "Endpoints:    none: no WorkloadEntry of the namespace has the selector's labels\n"
            .to_owned();
    }
    let words: Vec<Option<String>> =
        selected.iter().map(|entry| ejections.words(&workload(entry))).collect();
    let ejected = words.iter().flatten().count();
    // The column is there where it says something.
    let head = ["Name", "Address", "Ports", "Ready", "Version", "Account", "Ejected"];
    let columns = head.len() - usize::from(ejected == 0);
    let mut table = Table::new(&head[..columns]);
    for (entry, words) in selected.iter().zip(words) {
        table.push(row(entry).into_iter().chain([words.unwrap_or_else(|| "no".to_owned())]));
    }
    let rows: String = table.drain(true).lines().map(|line| format!("  {line}\n")).collect();
    let ready = selected.iter().filter(|entry| readiness(entry) == "yes").count();
    let ejected = if ejected == 0 { String::new() } else { format!(", {ejected} ejected") };
    format!("Endpoints:    {ready} of {} ready{ejected}\n{rows}", selected.len())
}

/// `NAMESPACE/NAME`.
fn workload(entry: &Value) -> String {
    let text = |pointer| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"))
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
        let told = section(&[&plain, &whole], &Ejections::default());
        assert!(told.starts_with("Endpoints:    1 of 2 ready\n  NAME "), "{told}");
        assert!(!told.contains("EJECTED") && !told.contains(" no\n"), "{told}");
        assert!(section(&[], &Ejections::default()).contains("no WorkloadEntry"));
    }

    #[test]
    fn an_endpoint_that_is_ejected_is_marked() {
        let entry = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"address": "10.0.0.1"}});
        let ejections = json!({"ejections": [{
            "endpoint": "shop/b", "caller": "shop/c1", "secondsLeft": 24, "toldToAll": true, "port": 80,
        }]});
        let (a, b) = (entry("a"), entry("b"));
        let told = section(&[&a, &b], &Ejections::of(Some(&ejections)));
        assert!(told.starts_with("Endpoints:    2 of 2 ready, 1 ejected\n"), "{told}");
        let line = |at: usize| told.lines().nth(at).unwrap_or_default();
        assert!(line(1).ends_with("   EJECTED") && line(2).ends_with("   no"), "{told}");
        assert!(line(3).ends_with("   back in 24 s, told by shop/c1"), "{told}");
    }
}
