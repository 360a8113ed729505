//! OpenAPI documents, built from the schemas of the `api` crate, by which kubectl checks and explains objects.

mod protobuf;

use std::sync::LazyLock;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use meltemi_api::{Kind, schema};
use serde_json::{Map, Value, json};

use crate::status::Failure;

/// Where a JSON Schema keeps what it refers to, and where OpenAPI does.
const DEFS: &str = "$defs";

static V2_JSON: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(build_v2().to_string()));
static V2_PROTOBUF: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(protobuf::encode(&build_v2())));

/// `GET /openapi/v2`: every kind in one Swagger document, as JSON or, for who asks for nothing else (kubectl), as protobuf.
pub(crate) async fn v2(headers: HeaderMap) -> Response {
    if protobuf::is_asked_for(headers.get_all(ACCEPT).iter()) {
        return ([(CONTENT_TYPE, protobuf::CONTENT_TYPE)], V2_PROTOBUF.clone()).into_response();
    }
    ([(CONTENT_TYPE, "application/json")], V2_JSON.clone()).into_response()
}

/// `GET /openapi/v3`: where the document of each group and version is.
pub(crate) async fn v3_index() -> Json<Value> {
    let paths: Map<_, _> = group_versions()
        .into_iter()
        .map(|(group, version)| {
            let path = path(group, version);
            let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    Json(json!({"paths": paths}))
}

/// `GET /openapi/v3/api/v1` and `GET /openapi/v3/apis/GROUP/VERSION`.
pub(crate) async fn v3(Path(asked): Path<String>) -> Result<Json<Value>, Failure> {
    let found = group_versions().into_iter().find(|(group, version)| path(group, version) == asked);
    let (group, version) = found.ok_or_else(|| Failure::no_such_path(&asked))?;
    Ok(Json(build_v3(group, version)))
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = Kind::all()
        .iter()
        .flat_map(|kind| kind.versions().iter().map(|version| (kind.group(), *version)))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn build_v2() -> Value {
    let mut definitions = Map::new();
    for (group, version) in group_versions() {
        for kind in kinds_of(group, version) {
            define(kind, version, "#/definitions/", &mut definitions);
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Meltemi", "version": env!("CARGO_PKG_VERSION")},
        "paths": {},
        "definitions": definitions,
    })
}

fn build_v3(group: &str, version: &str) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for kind in kinds_of(group, version) {
        define(kind, version, "#/components/schemas/", &mut schemas);
        let gvk = json!({"group": group, "version": version, "kind": kind.kind()});
        let place = if kind.namespaced() { "namespaces/{namespace}/" } else { "" };
        let mut operation = Map::new();
        for verb in ["get", "put", "patch", "delete"] {
            operation.insert(verb.to_owned(), operation_of(verb, kind, &gvk));
        }
        let url = format!("/{}/{place}{}/{{name}}", path(group, version), kind.plural());
        paths.insert(url, Value::Object(operation));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Meltemi", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// What a client may ask about an operation: its kind, and that it takes `fieldValidation` and `dryRun`.
fn operation_of(verb: &str, kind: Kind, gvk: &Value) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    json!({
        "operationId": format!("{verb}{}", kind.kind()),
        "x-kubernetes-group-version-kind": gvk,
        "parameters": [parameter("dryRun"), parameter("fieldValidation"), parameter("fieldManager")],
        "responses": {"200": {"description": "OK"}},
    })
}

fn kinds_of(group: &str, version: &str) -> impl Iterator<Item = Kind> {
    Kind::all()
        .iter()
        .copied()
        .filter(move |kind| kind.group() == group && kind.versions().contains(&version))
}

/// `io.istio.networking.v1.VirtualService`: the group turned round, as Kubernetes names its definitions.
fn definition_name(kind: Kind, version: &str) -> String {
    let group = if kind.group().is_empty() { "core.api.k8s.io" } else { kind.group() };
    let mut parts: Vec<_> = group.split('.').rev().collect();
    parts.extend([version, kind.kind()]);
    parts.join(".")
}

/// Adds a kind's schema, and what it refers to, under names of their own.
fn define(kind: Kind, version: &str, prefix: &str, definitions: &mut Map<String, Value>) {
    let name = definition_name(kind, version);
    let mut root = schema(kind);
    let parts = root.as_object_mut().and_then(|root| root.remove(DEFS));
    if let Some(Value::Object(mut parts)) = parts {
        let names: Map<_, _> = parts
            .iter()
            .filter(|(_, part)| part.get("enum").is_some())
            .map(|(name, part)| (name.clone(), part.clone()))
            .collect();
        parts.values_mut().chain([&mut root]).for_each(|schema| write_out(schema, &names));
        for (part, mut value) in parts {
            convert(&mut value, prefix, &name);
            definitions.insert(format!("{name}.{part}"), value);
        }
    }
    convert(&mut root, prefix, &name);
    if let Some(root) = root.as_object_mut() {
        let gvk = json!([{"group": kind.group(), "version": version, "kind": kind.kind()}]);
        root.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
        root.insert("type".to_owned(), json!("object"));
    }
    definitions.insert(name, root);
}

/// Writes names that a field may have where the field is: kubectl does not look behind a reference for them.
fn write_out(schema: &mut Value, names: &Map<String, Value>) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| write_out(item, names)),
        Value::Object(map) => {
            let part = map.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next());
            if let Some(Value::Object(part)) = part.and_then(|part| names.get(part)) {
                map.remove("$ref");
                for (word, value) in part {
                    map.entry(word).or_insert_with(|| value.clone());
                }
            }
            map.values_mut().for_each(|value| write_out(value, names));
        }
        _ => {}
    }
}

/// Turns JSON Schema (2020-12) into the older dialect of OpenAPI: references point elsewhere, `null` is no type,
/// and words that OpenAPI does not know go.
fn convert(value: &mut Value, prefix: &str, owner: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| convert(item, prefix, owner)),
        Value::Object(map) => convert_object(map, prefix, owner),
        _ => {}
    }
}

fn convert_object(map: &mut Map<String, Value>, prefix: &str, owner: &str) {
    for word in ["$schema", "title", "const", "unevaluatedProperties", "propertyNames"] {
        // A property of that name is a schema, not a word.
        if !map.get(word).is_some_and(Value::is_object) {
            map.remove(word);
        }
    }
    if let Some(Value::String(reference)) = map.get("$ref") {
        let part = reference.rsplit('/').next().unwrap_or_default();
        let target = if reference == "#" { owner.to_owned() } else { format!("{owner}.{part}") };
        map.insert("$ref".to_owned(), json!(format!("{prefix}{target}")));
    }
    if let Some(Value::Array(kinds)) = map.get("type") {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned();
        match kind {
            Some(kind) => map.insert("type".to_owned(), kind),
            None => map.remove("type"),
        };
    }
    if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        map.remove("format");
    }
    anything_is_an_object(map);
    flatten_alternatives(map);
    for value in map.values_mut() {
        convert(value, prefix, owner);
    }
}

/// The schema that takes anything is `true` or `{}`; `kubectl explain --recursive` knows the latter alone.
fn anything_is_an_object(map: &mut Map<String, Value>) {
    let open = |schema: &mut Value| {
        if *schema == Value::Bool(true) {
            *schema = json!({});
        }
    };
    let fields = map.get_mut("properties").and_then(Value::as_object_mut).into_iter();
    fields.flat_map(Map::values_mut).for_each(open);
    for word in ["items", "additionalProperties"] {
        map.entry(word).and_modify(open);
    }
}

/// `anyOf` and `oneOf` are not known to every reader of version 2: one real alternative stands for itself, several
/// for anything. The server checks objects by its own types all the same.
fn flatten_alternatives(map: &mut Map<String, Value>) {
    for word in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(mut alternatives)) = map.remove(word) else {
            continue;
        };
        alternatives.retain(|alternative| alternative.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = alternatives.as_slice() {
            for (name, value) in only.clone() {
                map.entry(name).or_insert(value);
            }
        } else {
            map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
    }
}
