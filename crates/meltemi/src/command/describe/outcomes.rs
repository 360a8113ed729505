//! What became of the calls of a service, per endpoint and caller.

use serde_json::Value;

use crate::client::{Client, JSON};
use crate::outcomes::{Shown, path};
use crate::table::Table;

/// What is told of the calls of a service within the last minute; `None` where this user may not know, and of older control
/// planes, which do not tell it.
pub(super) async fn fetch(client: &mut Client, service: &Value) -> Option<Value> {
    let text = |pointer| service.pointer(pointer).and_then(Value::as_str);
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    client.get(&path(name, namespace, None), JSON).await.ok()
}

/// The section on a service's calls.
pub(super) fn section(told: &Value) -> String {
    let items = told["items"].as_array().map_or(&[][..], Vec::as_slice);
    let window = &told["windowSeconds"];
    if items.is_empty() {
        return format!("Calls:        none within {window} seconds\n");
    }
    let mut table = Table::new(["Endpoint", "Port", "Caller"].into_iter().chain(Shown::HEAD));
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let place = [text("endpoint"), item["port"].to_string(), text("caller")];
        table.push(place.into_iter().chain(Shown::of(item).cells()));
    }
    let rows: String = table.drain(true).lines().map(|line| format!("  {line}\n")).collect();
    format!("Calls:        of the last {window} seconds\n{rows}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_told_by_endpoint_and_caller() {
        let item = json!({
            "endpoint": "shop/a", "port": 80, "caller": "shop/b", "calls": 2, "successRate": 1.0,
            "callsPerSecond": 2.0, "latencyMillis": null,
        });
        let mut other = item.clone();
        other["port"] = json!(8001);
        let told = section(&json!({"windowSeconds": 60, "items": [item, other]}));
        assert!(told.starts_with("Calls:        of the last 60 seconds\n  ENDPOINT "), "{told}");
        for port in ["80  ", "8001"] {
            assert!(
                told.contains(&format!("shop/a     {port}   shop/b   100.00%   2.0/s")),
                "{told}"
            );
        }
        assert_eq!(
            section(&json!({"windowSeconds": 60, "items": []})),
            "Calls:        none within 60 seconds\n"
        );
    }
}
