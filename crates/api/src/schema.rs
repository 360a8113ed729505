//! The JSON Schema of each kind, derived from its type.
//!
//! Beside the usual words: `format` names one of our text forms, `x-kubernetes-int-or-string` and
//! `x-kubernetes-preserve-unknown-fields` mean what they mean in a CRD. Objects are closed: a field that is not among the
//! `properties` is refused.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::Kind;
use crate::kind::with_kinds;

/// The JSON Schema (2020-12) of a kind, with what it refers to under `$defs`.
pub fn schema(kind: Kind) -> Value {
    cached(kind).clone()
}

/// Makes the functions that need the type of each kind.
macro_rules! generated {
    ($($variant:ident($type:path): $group:literal $versions:expr, $kind:literal,
        $plural:literal $singular:literal $short:expr, $namespaced:literal;)*) => {
        /// The schema of a kind, generated once.
        pub(crate) fn cached(kind: Kind) -> &'static Value {
            match kind {
                $(Kind::$variant => {
                    static SCHEMA: OnceLock<Value> = OnceLock::new();
                    SCHEMA.get_or_init(generate::<$type>)
                })*
            }
        }
    };
}

with_kinds!(generated);

/// The schema of a type.
pub(crate) fn generate<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with_transform(Plain).into_generator();
    let mut root = generator.into_root_schema_for::<T>().to_value();
    if let Some(map) = root.as_object_mut() {
        map.remove("title");
    }
    require_spec(&mut root);
    root
}

/// A spec with required fields cannot be left out.
fn require_spec(root: &mut Value) {
    let name = root.pointer("/properties/spec/$ref").and_then(Value::as_str);
    let name = name.and_then(|it| it.rsplit('/').next()).unwrap_or_default().to_owned();
    if root["$defs"][name]["required"].as_array().is_none_or(Vec::is_empty) {
        return;
    }
    if let Some(required) = root["required"].as_array_mut() {
        required.push(json!("spec"));
    }
}

/// Makes schemas plainer than they are derived: `null` is no alternative, closed sets are lists of words.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        drop_null(schema);
        list_words(schema);
        transform_subschemas(self, schema);
    }
}

/// `anyOf: [X, null]` becomes X, `type: [x, null]` becomes x.
fn drop_null(schema: &mut Schema) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    let is_null = |it: &Value| *it == json!({"type": "null"});
    if let Some(Value::Array(parts)) = map.get("anyOf")
        && parts.iter().any(is_null)
        && let [Value::Object(only)] =
            parts.iter().filter(|it| !is_null(it)).cloned().collect::<Vec<_>>().as_slice()
    {
        map.remove("anyOf");
        for (name, value) in only {
            map.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if let Some(Value::Array(types)) = map.get("type")
        && let [one] =
            types.iter().filter(|it| **it != "null").cloned().collect::<Vec<_>>().as_slice()
    {
        map.insert("type".to_owned(), one.clone());
    }
    if let Some(Value::Array(words)) = map.get_mut("enum") {
        words.retain(|it| !it.is_null());
    }
    map.remove("default");
}

/// `oneOf: [{const: A}, {const: B}]` becomes `enum: [A, B]`.
fn list_words(schema: &mut Schema) {
    let Some(Value::Array(parts)) = schema.get("oneOf") else {
        return;
    };
    let mut words = Vec::new();
    for part in parts {
        match (part.get("const"), part.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => words.push(word.clone()),
            (None, Some(more)) => words.extend(more.iter().cloned()),
            (None, None) => return,
        }
    }
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), Value::Array(words));
}
