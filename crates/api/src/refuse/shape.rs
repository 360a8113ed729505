//! The shape of an object against its kind's JSON Schema: names, types, closed sets, bounds, formats.
//!
//! Parts that are wrong are taken out of the value, so that the rest of it can be read and checked further. `null` means
//! the same as nothing, as in Kubernetes and protobuf.

mod format;
mod scalar;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Path, Report, nearest};

/// Where a schema keeps what it refers to.
const DEFS: &str = "$defs";
/// Other fields than those known may be here.
const OPEN: &str = "x-kubernetes-preserve-unknown-fields";
/// A number or a text.
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Checks the value and takes out what is wrong. Whether what is left can be read.
pub(super) fn check(root: &Value, value: &mut Value, report: &mut Report) -> bool {
    Walk { root, report }.value(root, value, &Path::root())
}

struct Walk<'a> {
    root: &'a Value,
    report: &'a mut Report,
}

impl<'a> Walk<'a> {
    /// `false` if the value cannot stay.
    fn value(&mut self, schema: &'a Value, value: &mut Value, at: &Path) -> bool {
        let schema = self.resolved(schema);
        if schema.is_boolean() {
            return true;
        }
        if schema.get(INT_OR_STRING).is_some() {
            return scalar::int_or_string(schema, value, at, self.report);
        }
        match (schema["type"].as_str(), &mut *value) {
            (Some("object"), Value::Object(map)) => self.object(schema, map, at),
            (Some("array"), Value::Array(items)) => self.array(schema, items, at),
            (Some("object" | "array"), other) => {
                let what = schema["type"].as_str().unwrap_or_default();
                scalar::wrong_type(what, other, at, self.report);
                false
            }
            (Some(_), _) => scalar::check(schema, value, at, self.report),
            (None, _) => true,
        }
    }

    fn resolved(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
            schema = &self.root[DEFS][name];
        }
        schema
    }

    fn object(&mut self, schema: &'a Value, map: &mut Map<String, Value>, at: &Path) -> bool {
        map.retain(|_, value| !value.is_null());
        let Some(properties) = schema["properties"].as_object() else {
            return self.map(&schema["additionalProperties"], map, at);
        };
        let is_open = schema.get(OPEN).is_some();
        let mut wrong = HashSet::new();
        for (name, value) in map.iter_mut() {
            let at = at.field(name);
            let holds = match properties.get(name) {
                Some(schema) => self.value(schema, value, &at),
                None if is_open => true,
                None => {
                    self.unknown(name, properties, at);
                    false
                }
            };
            if !holds {
                wrong.insert(name.clone());
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let mut holds = true;
        for name in required.filter_map(Value::as_str) {
            if !map.contains_key(name) {
                self.report.error(at.field(name), "missing; it is required");
            }
            holds &= map.contains_key(name) && !wrong.contains(name);
        }
        map.retain(|name, _| !wrong.contains(name));
        holds
    }

    fn unknown(&mut self, name: &str, properties: &Map<String, Value>, at: Path) {
        let near = nearest(name, properties.keys().map(String::as_str)).map(str::to_owned);
        let problem = self.report.error(at, "unknown field").on_key();
        let all: Vec<_> = properties.keys().map(|it| format!("`{it}`")).collect();
        match near {
            Some(near) => problem.suggest(format!("did you mean `{near}`?")),
            None => problem.suggest(format!("known here: {}", all.join(", "))),
        };
    }

    fn map(&mut self, schema: &'a Value, map: &mut Map<String, Value>, at: &Path) -> bool {
        if schema.is_null() {
            return true;
        }
        let mut wrong = HashSet::new();
        for (name, value) in map.iter_mut() {
            if !self.value(schema, value, &at.field(name)) {
                wrong.insert(name.clone());
            }
        }
        map.retain(|name, _| !wrong.contains(name));
        true
    }

    fn array(&mut self, schema: &'a Value, items: &mut [Value], at: &Path) -> bool {
        let least = schema["minItems"].as_u64().unwrap_or(0);
        if (items.len() as u64) < least {
            self.report.error(at.clone(), "empty; at least one item is needed");
        }
        if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
            let message = format!("{} items; at most {} fit", items.len(), schema["maxItems"]);
            self.report.error(at.clone(), message);
            return false;
        }
        let mut holds = true;
        for (index, item) in items.iter_mut().enumerate() {
            holds &= self.value(&schema["items"], item, &at.item(index));
        }
        holds
    }
}
