//! JSON that is no YAML, by serde: without places.

use serde_json::Value;

use super::tree::{Content, Entry, Mark, Node};

/// The values of a text, if it is JSON.
pub(super) fn documents(text: &str) -> Option<Vec<Node>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.map(|value| value.ok().map(node)).collect()
}

fn node(value: Value) -> Node {
    let content = match value {
        Value::Null => Content::Null,
        Value::Bool(it) => Content::Bool(it),
        Value::Number(it) => Content::Number(it),
        Value::String(it) => Content::Text(it),
        Value::Array(items) => Content::List(items.into_iter().map(node).collect()),
        Value::Object(map) => {
            let entry = |(key, value)| Entry { mark: Mark::default(), key, value: node(value) };
            Content::Map(map.into_iter().map(entry).collect())
        }
    };
    Node { mark: Mark::default(), content }
}
