//! What became of the calls of a service, per endpoint and caller.

use serde_json::Value;

use crate::client::{Client, JSON};
use crate::outcomes::{Shown, path};
use crate::table::Table;

/// The section on a service's calls of the last minute; empty where this user may not know.
pub(super) async fn of_service(client: &mut Client, service: &Value) -> String {
    let text = |pointer| service.pointer(pointer).and_then(Value::as_str);
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    // Older control planes do not tell it.
    let Ok(told) = client.get(&path(name, namespace, None), JSON).await else {
        return String::new();
    };
    let items = told["items"].as_array().map_or(&[][..], Vec::as_slice);
    section(items, &told["windowSeconds"])
}

fn section(items: &[Value], window: &Value) -> String {
    if items.is_empty() {
        return format!("Calls:        none within {window} seconds\n");
    }
    let mut table = Table::new(["Endpoint", "Caller"].into_iter().chain(Shown::HEAD));
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        table.push([text("endpoint"), text("caller")].into_iter().chain(Shown::of(item).cells()));
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
            "endpoint": "shop/a", "caller": "shop/b", "calls": 2, "successRate": 1.0,
            "callsPerSecond": 2.0, "latencyMillis": null,
        });
        let told = section(&[item], &json!(60));
        assert!(told.starts_with("Calls:        of the last 60 seconds\n  ENDPOINT "), "{told}");
        assert!(told.contains("shop/a     shop/b   100.00%   2.0/s"), "{told}");
        assert_eq!(section(&[], &json!(60)), "Calls:        none within 60 seconds\n");
    }
}
