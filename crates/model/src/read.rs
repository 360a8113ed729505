//! From resources to records: one module a kind. What cannot be used is refused with a reason.

mod service;
mod service_entry;
mod workload_entry;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::Change;
use crate::record::{Object, ObjectKind, Record};

/// The kind of a resource that has an effect on the model, by API group and plural word.
pub fn kind(group: &str, plural: &str) -> Option<ObjectKind> {
    match (group, plural) {
        ("", "services") => Some(ObjectKind::Service),
        ("networking.istio.io", "serviceentries") => Some(ObjectKind::ServiceEntry),
        ("networking.istio.io", "workloadentries") => Some(ObjectKind::WorkloadEntry),
        _ => None,
    }
}

/// Reads a resource that is new or changed. `suffix` is the DNS suffix of core services.
pub fn change(object: Object, resource: &Value, suffix: &str) -> Change {
    let record = match object.kind {
        ObjectKind::Service => service::read(&object, resource, suffix).map(Record::Service),
        ObjectKind::ServiceEntry => service_entry::read(&object, resource).map(Record::Service),
        ObjectKind::WorkloadEntry => workload_entry::read(&object, resource).map(Record::Workload),
    };
    match record {
        Ok(record) => Change::Put(object, record),
        Err(reason) => Change::Refuse(object, reason),
    }
}

/// The parts of metadata that have an effect.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// A part of a resource; one that is missing is empty.
fn part<T: DeserializeOwned + Default>(resource: &Value, name: &str) -> Result<T, String> {
    match &resource[name] {
        Value::Null => Ok(T::default()),
        value => T::deserialize(value).map_err(|error| format!("{name}: {error}")),
    }
}

/// A port's number, or why it is none.
fn port(number: u32, field: &str) -> Result<u16, String> {
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{field}: {number} is not a port (1 to 65535)"))
}

#[cfg(test)]
mod tests;
