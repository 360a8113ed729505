//! Objects as a `Table`: what `kubectl get` prints.

mod columns;

use serde_json::{Value, json};

use self::columns::{Column, columns};
use crate::object::metadata_only;
use crate::query::Parameters;
use crate::target::Target;
use meltemi_audit::timestamp;

/// The table of these objects; `head` is left out of all but the first of a watch's events.
pub(crate) fn build(
    target: &Target,
    parameters: &Parameters,
    items: &[Value],
    metadata: Value,
    head: bool,
) -> Value {
    let columns = columns(target.kind);
    let now = timestamp::now();
    let rows: Vec<_> = items.iter().map(|object| row(columns, parameters, object, now)).collect();
    let mut table = json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": null,
        "rows": rows,
    });
    if head {
        table["columnDefinitions"] = definitions(columns);
    }
    table
}

fn definitions(columns: &[Column]) -> Value {
    let name = definition("Name", "string", "name", 0);
    let age = definition("Age", "string", "", 0);
    let between =
        columns.iter().map(|column| definition(column.name, "string", "", column.priority));
    std::iter::once(name).chain(between).chain([age]).collect()
}

fn definition(name: &str, kind: &str, format: &str, priority: u8) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

fn row(columns: &[Column], parameters: &Parameters, object: &Value, now: u64) -> Value {
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    let born = object
        .pointer("/metadata/creationTimestamp")
        .and_then(Value::as_str)
        .and_then(timestamp::parse);
    let age = born.map_or("<unknown>".to_owned(), |born| timestamp::age(now.saturating_sub(born)));
    let mut cells = vec![name];
    cells.extend(columns.iter().map(|column| json!((column.cell)(object))));
    cells.push(json!(age));
    let object = match parameters.include_object.as_str() {
        "None" => Value::Null,
        "Object" => object.clone(),
        _ => metadata_only(object),
    };
    json!({"cells": cells, "object": object})
}
