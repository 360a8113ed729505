//! The protobuf form of a Swagger document (`openapi.v2.Document` of google/gnostic's `openapiv2/OpenAPIv2.proto`), in
//! which kubectl asks for version 2 of the schemas: for a `List`, and for a kind that version 3 does not know.

use http::HeaderValue;
use prost::Message;
use serde_json::{Map, Value};

/// The content type of this form. Clients ask for it with an `@` before `v1.0`, which no media type may have (RFC 9110, section
/// 8.3.1), and refuse it in an answer; Kubernetes answers with a dot.
pub(super) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

#[derive(Message)]
struct Document {
    #[prost(string, tag = "1")]
    swagger: String,
    #[prost(message, optional, tag = "2")]
    info: Option<Info>,
    #[prost(message, optional, tag = "8")]
    paths: Option<()>,
    #[prost(message, optional, tag = "9")]
    definitions: Option<Schemas>,
}

#[derive(Message)]
struct Info {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(string, tag = "2")]
    version: String,
}

/// `Definitions` and `Properties`, which have the same shape.
#[derive(Message)]
struct Schemas {
    #[prost(message, repeated, tag = "1")]
    named: Vec<NamedSchema>,
}

#[derive(Message)]
struct NamedSchema {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Schema>,
}

/// What clients go by: kinds of values, fields, and which must be there. Bounds and patterns are the server's to check.
#[derive(Message)]
struct Schema {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(string, tag = "2")]
    format: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, repeated, tag = "19")]
    required: Vec<String>,
    #[prost(message, optional, boxed, tag = "21")]
    additional_properties: Option<Box<AdditionalProperties>>,
    #[prost(message, optional, tag = "22")]
    kind: Option<Kinds>,
    #[prost(message, optional, tag = "23")]
    items: Option<Items>,
    #[prost(message, optional, tag = "25")]
    properties: Option<Schemas>,
    #[prost(message, repeated, tag = "31")]
    extensions: Vec<NamedAny>,
}

#[derive(Message)]
struct AdditionalProperties {
    #[prost(oneof = "Additional", tags = "1, 2")]
    value: Option<Additional>,
}

#[derive(prost::Oneof)]
enum Additional {
    #[prost(message, tag = "1")]
    Schema(Box<Schema>),
    #[prost(bool, tag = "2")]
    Allowed(bool),
}

#[derive(Message)]
struct Kinds {
    #[prost(string, repeated, tag = "1")]
    value: Vec<String>,
}

#[derive(Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    schema: Vec<Schema>,
}

#[derive(Message)]
struct NamedAny {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

/// A value in YAML, of which JSON is a part.
#[derive(Message)]
struct Any {
    #[prost(string, tag = "2")]
    yaml: String,
}

/// Whether a client's `Accept` names this form, and JSON nowhere.
pub(super) fn is_asked_for<'a>(mut accept: impl Iterator<Item = &'a HeaderValue>) -> bool {
    let mut asked = false;
    let others = accept.any(|value| {
        let text = value.to_str().unwrap_or_default();
        asked |= text.contains("openapi.spec.v2") && text.contains("protobuf");
        text.contains("json") || text.contains("*/*")
    });
    asked && !others
}

/// Encodes a Swagger document; its paths are left out, as nobody asks version 2 for them.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let text_of = |pointer: &str| text(document.pointer(pointer));
    Document {
        swagger: text_of("/swagger"),
        info: Some(Info { title: text_of("/info/title"), version: text_of("/info/version") }),
        paths: Some(()),
        definitions: document.get("definitions").and_then(Value::as_object).map(schemas),
    }
    .encode_to_vec()
}

fn schemas(named: &Map<String, Value>) -> Schemas {
    let named = named
        .iter()
        .map(|(name, value)| NamedSchema { name: name.clone(), value: Some(schema(value)) });
    Schemas { named: named.collect() }
}

/// One schema; a schema that is `true` takes anything.
fn schema(value: &Value) -> Schema {
    let required = value.get("required").and_then(Value::as_array);
    let extensions = value.as_object().into_iter().flatten();
    Schema {
        reference: text(value.get("$ref")),
        format: text(value.get("format")),
        description: text(value.get("description")),
        required: required.into_iter().flatten().map(|name| text(Some(name))).collect(),
        additional_properties: value.get("additionalProperties").map(additional),
        kind: value.get("type").map(|kind| Kinds { value: vec![text(Some(kind))] }),
        items: value.get("items").map(|items| Items { schema: vec![schema(items)] }),
        properties: value.get("properties").and_then(Value::as_object).map(schemas),
        extensions: extensions.filter(|(name, _)| name.starts_with("x-")).map(extension).collect(),
    }
}

fn additional(value: &Value) -> Box<AdditionalProperties> {
    let value = match value {
        Value::Bool(allowed) => Additional::Allowed(*allowed),
        value => Additional::Schema(Box::new(schema(value))),
    };
    Box::new(AdditionalProperties { value: Some(value) })
}

fn extension((name, value): (&String, &Value)) -> NamedAny {
    NamedAny { name: name.clone(), value: Some(Any { yaml: value.to_string() }) }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}
