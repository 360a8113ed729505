//! An object on its way in and out: what Kubernetes' metadata rules make of it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use std::hash::{DefaultHasher, Hash, Hasher};

use meltemi_api::Resource;
use meltemi_model::read::check_routes;
use meltemi_names::is_dns_subdomain;
use meltemi_store::{Entry, Key};
use rand::Rng;
use serde_json::{Map, Value, json};

use crate::status::{Cause, Failure};
use crate::target::{Target, api_version};
use meltemi_audit::timestamp;

/// The letters of generated names: no vowels, so that no words come about.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters after a `generateName`.
const SUFFIX: usize = 5;
/// Metadata that the server keeps, whatever a writer sends.
const KEPT: [&str; 4] = ["uid", "creationTimestamp", "deletionTimestamp", "generation"];

/// The object as it is answered, in the version asked for.
pub(crate) fn answer(target: &Target, entry: &Entry) -> Result<Value, Failure> {
    answer_as(target, &entry.key, &entry.value, entry.version)
}

/// Like [`answer`], from the parts of an entry.
pub(crate) fn answer_as(
    target: &Target,
    key: &Key,
    value: &[u8],
    version: u64,
) -> Result<Value, Failure> {
    let unreadable = || Failure::internal(format!("{key} in the store is not a JSON object"));
    let mut value: Value = serde_json::from_slice(value).map_err(|_| unreadable())?;
    let object = value.as_object_mut().ok_or_else(unreadable)?;
    object.insert("apiVersion".to_owned(), json!(target.api_version()));
    object.insert("kind".to_owned(), json!(target.kind.kind()));
    let metadata = metadata_mut(object)?;
    metadata.insert("resourceVersion".to_owned(), json!(version.to_string()));
    metadata.entry("name").or_insert_with(|| json!(key.name));
    if let Some(namespace) = &key.namespace {
        metadata.entry("namespace").or_insert_with(|| json!(namespace));
    }
    // Objects that came by a file or a registration have none; clients tell objects apart by it.
    metadata.entry("uid").or_insert_with(|| json!(derived_uid(key)));
    Ok(value)
}

/// The object's metadata, made if it is missing.
fn metadata_mut(object: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Failure> {
    object
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| Failure::bad_request("metadata: must be an object"))
}

/// Checks an incoming object against its path and fills in what the path says. Returns its key.
pub(crate) fn place(target: &Target, value: &mut Value) -> Result<Key, Failure> {
    let object = value
        .as_object_mut()
        .ok_or_else(|| Failure::bad_request("the body must be a JSON object"))?;
    for (field, expected) in
        [("apiVersion", target.api_version()), ("kind", target.kind.kind().to_owned())]
    {
        match object.get(field) {
            None => drop(object.insert(field.to_owned(), json!(expected))),
            Some(given) if *given == expected => {}
            Some(given) => {
                return Err(Failure::bad_request(format!(
                    "{field}: the body has {given}, the path {expected:?}"
                )));
            }
        }
    }
    let metadata = metadata_mut(object)?;
    match (metadata.get("namespace").and_then(Value::as_str), &target.namespace) {
        (Some(given), Some(expected)) if given != expected && !given.is_empty() => {
            return Err(Failure::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request: \
                 metadata.namespace is {given:?}, the path has {expected:?}"
            )));
        }
        (Some(given), None) if !given.is_empty() => {
            let kind = target.kind.kind();
            return Err(Failure::bad_request(format!(
                "metadata.namespace: {kind} does not live in a namespace"
            )));
        }
        (_, Some(expected)) => drop(metadata.insert("namespace".to_owned(), json!(expected))),
        (_, None) => drop(metadata.remove("namespace")),
    }
    let name = place_name(target, metadata)?;
    Ok(target.key(&name))
}

/// The name: by the path, by the object, or made from `generateName`.
fn place_name(target: &Target, metadata: &mut Map<String, Value>) -> Result<String, Failure> {
    let text =
        |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (given, prefix) = (text("name"), text("generateName"));
    let name = match &target.name {
        Some(expected) if given.is_empty() || given == *expected => expected.clone(),
        Some(expected) => {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({expected})"
            )));
        }
        None if !given.is_empty() => given,
        None if !prefix.is_empty() => generated(&prefix),
        None => {
            let message = "name or generateName is required".to_owned();
            return Err(Failure::invalid(
                &target.key(""),
                vec![Cause { field: "metadata.name".to_owned(), message }],
            ));
        }
    };
    if !is_dns_subdomain(&name) {
        let message =
            format!("{name:?} is not a DNS name: use lower-case letters, digits, '-' and '.'");
        let cause = Cause { field: "metadata.name".to_owned(), message };
        return Err(Failure::invalid(&target.key(&name), vec![cause]));
    }
    metadata.insert("name".to_owned(), json!(name));
    Ok(name)
}

fn generated(prefix: &str) -> String {
    let mut random = [0_u8; SUFFIX];
    rand::rng().fill_bytes(&mut random);
    let letters = random.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    prefix.chars().chain(letters).collect()
}

/// Makes a placed object a new one: its own identity, no past, no status.
pub(crate) fn begin(value: &mut Value) -> Result<(), Failure> {
    let Some(object) = value.as_object_mut() else {
        return Ok(());
    };
    object.remove("status");
    let metadata = metadata_mut(object)?;
    for field in ["resourceVersion", "managedFields", "selfLink", "deletionTimestamp"] {
        metadata.remove(field);
    }
    let mut random = [0_u8; 16];
    rand::rng().fill_bytes(&mut random);
    let uid = uuid::Builder::from_random_bytes(random).into_uuid();
    metadata.insert("uid".to_owned(), json!(uid.to_string()));
    metadata.insert("creationTimestamp".to_owned(), json!(timestamp::format(timestamp::now())));
    metadata.insert("generation".to_owned(), json!(1));
    Ok(())
}

/// Makes `new` the successor of `old`: the server's metadata is kept, the part that this path does not write (the
/// status, or all but the status) too, and the generation rises when more than metadata and status changed.
pub(crate) fn succeed(old: &Value, mut new: Value, writes_status: bool) -> Result<Value, Failure> {
    if writes_status {
        let mut kept = old.clone();
        match new.get_mut("status").map(Value::take) {
            Some(status) => kept["status"] = status,
            None => drop(kept.as_object_mut().map(|object| object.remove("status"))),
        }
        new = kept;
    }
    let Some(object) = new.as_object_mut() else {
        return Ok(new);
    };
    if !writes_status {
        match old.get("status") {
            Some(status) => drop(object.insert("status".to_owned(), status.clone())),
            None => drop(object.remove("status")),
        }
    }
    let metadata = metadata_mut(object)?;
    for field in ["resourceVersion", "managedFields", "selfLink"] {
        metadata.remove(field);
    }
    for field in KEPT {
        match old.pointer(&format!("/metadata/{field}")) {
            Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
            None => drop(metadata.remove(field)),
        }
    }
    if substance(old) != substance(&new) {
        let generation = old.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(new)
}

/// The object's fields whose change makes a new generation.
fn substance(value: &Value) -> Vec<(&String, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !["metadata", "status", "apiVersion", "kind"].contains(&name.as_str()))
        .collect()
}

/// Whether the object is only waiting for its finalizers to be taken away, and they are.
pub(crate) fn is_finished(value: &Value) -> bool {
    value.pointer("/metadata/deletionTimestamp").is_some() && !has_finalizers(value)
}

/// Whether somebody wants to be asked before the object goes.
pub(crate) fn has_finalizers(value: &Value) -> bool {
    value
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

/// Checks the object by the rules of its kind, and gives the bytes to store, in the storage version.
pub(crate) fn encode(target: &Target, key: &Key, value: &Value) -> Result<Vec<u8>, Failure> {
    let mut stored = value.clone();
    stored["apiVersion"] = json!(api_version(target.kind, target.kind.storage_version()));
    if key.group().is_empty() && key.plural() == "secrets" {
        fold_string_data(&mut stored);
    }
    if let Err(findings) = Resource::from_value(stored.clone()) {
        let cause = |finding: meltemi_api::Finding| Cause {
            message: finding.reason(),
            field: finding.path,
        };
        return Err(Failure::invalid(key, findings.into_iter().map(cause).collect()));
    }
    check_routes(key.group(), key.plural(), &stored).map_err(|message| {
        Failure::invalid(key, vec![Cause { field: "spec".to_owned(), message }])
    })?;
    if let Some(metadata) = stored.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    serde_json::to_vec(&stored)
        .map_err(|error| Failure::internal(format!("{key} cannot be written: {error}")))
}

/// Moves a secret's plain `stringData`, which is only ever written, into its `data`.
fn fold_string_data(secret: &mut Value) {
    let plain = secret.as_object_mut().and_then(|secret| secret.remove("stringData"));
    for (name, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        // Anything but text is left for the checks of the kind to refuse.
        secret["data"][name.as_str()] = value
            .as_str()
            .map_or_else(|| value.clone(), |text| json!(STANDARD.encode(text.as_bytes())));
    }
}

/// A stable id for an object that was stored without one.
fn derived_uid(key: &Key) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, key).hash(&mut hasher);
        hasher.finish()
    };
    uuid::Uuid::from_u64_pair(half(0), half(1)).to_string()
}

/// An object, or the objects of a list, without their substance.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}
