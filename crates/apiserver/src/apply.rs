//! Server-side apply: an object is made, or the fields of the applied one are set in it.
//!
//! Which fields a manager applied is kept in an annotation, without their values, so that a field which it leaves out next
//! time goes, unless another manager applies it, too; fields of others stay, also in the same map. Lists are one value,
//! replaced whole. A field that another manager applied, with another value, is a conflict, unless this one takes it over by force
//! (kubernetes.io, "Server-Side Apply"). Fields set in other ways, by updates and patches, are nobody's.

mod conflicts;

use serde_json::{Map, Value, json};

use crate::patch::{merge, prune};
use crate::query::Parameters;
use crate::status::Failure;

/// Holds, by manager, the fields that were applied, as JSON: objects as they were, and `true` for everything else.
const APPLIED: &str = "meltemi.io/applied";

/// Who applies, and whether fields of others are taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manager<'a> {
    name: &'a str,
    force: bool,
}

impl<'a> Manager<'a> {
    /// The one that a request names.
    pub(crate) fn of(parameters: &'a Parameters) -> Result<Self, Failure> {
        match parameters.field_manager.as_str() {
            "" => Err(Failure::bad_request("fieldManager: is required for apply patch")),
            name => Ok(Self { name, force: parameters.force() }),
        }
    }
}

/// The object that an apply makes where there is none.
pub(crate) fn fresh(applied: &Value, manager: Manager<'_>) -> Result<Value, Failure> {
    onto(&json!({}), applied, manager)
}

/// The current object with the applied fields set, and those gone that the manager applied before but no more.
pub(crate) fn onto(
    current: &Value,
    applied: &Value,
    manager: Manager<'_>,
) -> Result<Value, Failure> {
    let applied = without_server_fields(applied);
    let mut managers = managers(current);
    let mut new = current.clone();
    let before = managers.remove(manager.name);
    let conflicts = conflicts::find(&managers, current, &applied);
    if !manager.force && !conflicts.is_empty() {
        let (message, causes) = conflicts::told(&conflicts);
        return Err(Failure::apply_conflict(message, causes));
    }
    conflicts::take_over(&mut managers, &conflicts);
    if let Some(before) = before {
        let mut kept = applied.clone();
        managers.values().for_each(|theirs| merge(&mut kept, theirs));
        prune(&mut new, &before, &kept);
    }
    merge(&mut new, &applied);
    managers.insert(manager.name.to_owned(), fields(&applied));
    let note = Value::Object(managers).to_string();
    merge(&mut new, &json!({"metadata": {"annotations": {APPLIED: note}}}));
    Ok(new)
}

/// The fields of an object. Their values are not needed to know later which are gone, and would make it twice as large.
fn fields(applied: &Value) -> Value {
    match applied {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.clone(), fields(value))).collect()
        }
        Value::Null => Value::Null,
        _ => Value::Bool(true),
    }
}

/// The fields that each manager applied last.
fn managers(current: &Value) -> Map<String, Value> {
    let annotations = current.pointer("/metadata/annotations");
    let note = annotations.and_then(|annotations| annotations.get(APPLIED)).and_then(Value::as_str);
    note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default()
}

/// The applied object without what is not the manager's to set.
fn without_server_fields(applied: &Value) -> Value {
    let mut applied = applied.clone();
    if let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "uid", "creationTimestamp", "generation"] {
            metadata.remove(field);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(APPLIED);
        }
    }
    applied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(name: &str) -> Manager<'_> {
        Manager { name, force: true }
    }

    #[test]
    fn fields_left_out_go_and_those_of_others_stay() {
        let first =
            fresh(&json!({"spec": {"a": 1, "b": {"c": 2, "d": 3}, "list": [1, 2]}}), by("me"))
                .unwrap();
        let mut current = first;
        merge(&mut current, &json!({"spec": {"theirs": true, "b": {"e": 5}}}));
        let second =
            onto(&current, &json!({"spec": {"b": {"c": 4}, "list": [2]}}), by("me")).unwrap();
        assert_eq!(second["spec"], json!({"b": {"c": 4, "e": 5}, "list": [2], "theirs": true}));
        let third = onto(&second, &json!({"spec": {"x": 1}}), by("you")).unwrap();
        assert_eq!(
            third["spec"]["b"]["c"], 4,
            "what another manager applied is not this one's to drop"
        );
    }

    #[test]
    fn values_are_kept_once() {
        let long = "x".repeat(1 << 20);
        let object = json!({"spec": {"http": [{"name": long}], "name": long}});
        let made = fresh(&object, by("me")).unwrap();
        assert!(made["metadata"].to_string().len() < 200, "{}", made["metadata"]);
        let after = onto(&made, &json!({"spec": {"name": "y"}}), by("me")).unwrap();
        assert_eq!(after["spec"], json!({"name": "y"}));
    }

    #[test]
    fn a_map_that_is_left_out_loses_only_what_its_manager_set() {
        let mine = json!({"metadata": {"name": "x", "labels": {"mine": "1", "both": "1"}}});
        let theirs = json!({"metadata": {"labels": {"both": "1", "theirs": "1"}}});
        let mut current = onto(&fresh(&mine, by("me")).unwrap(), &theirs, by("you")).unwrap();
        merge(&mut current, &json!({"metadata": {"labels": {"patched": "1"}}}));
        let nothing = json!({"metadata": {"name": "x"}});
        let after = onto(&current, &nothing, by("me")).unwrap();
        let labels = json!({"both": "1", "theirs": "1", "patched": "1"});
        assert_eq!(after["metadata"]["labels"], labels);
        let after = onto(&after, &nothing, by("you")).unwrap();
        assert_eq!(after["metadata"]["labels"], json!({"patched": "1"}));
        let alone = onto(&fresh(&mine, by("me")).unwrap(), &nothing, by("me")).unwrap();
        assert!(alone["metadata"].get("labels").is_none(), "no empty map is left: {alone}");
    }
}
