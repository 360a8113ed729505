//! A codec for JSON files of made-up kinds, so that the directory backend can be tested without the `api` crate.

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::directory::{Codec, Document};
use crate::key::Key;

/// Reads one object, or an array of objects, per file. A kind's plural is its name in lower case with an `s`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec;

impl Codec for JsonCodec {
    fn decode(&self, _: &Path, text: &str) -> Result<Vec<Document>, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value {
            Value::Array(items) => items.into_iter().map(document).collect(),
            item => Ok(vec![document(item)?]),
        }
    }

    fn encode(&self, _: &Path, _: &Key, value: &[u8]) -> Result<String, String> {
        let value: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
    }
}

fn document(value: Value) -> Result<Document, String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let needed = |pointer: &str| text(pointer).ok_or_else(|| format!("{pointer} is missing"));
    let group = needed("/apiVersion")?.rsplit_once('/').map_or("", |(group, _)| group);
    let plural = format!("{}s", needed("/kind")?.to_lowercase());
    let key = Key::new(group, &plural, text("/metadata/namespace"), needed("/metadata/name")?);
    Ok(Document { key, value: Bytes::from(value.to_string()) })
}
