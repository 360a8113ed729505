//! An object's own fields in a form for people.

use serde_json::{Map, Value};

use crate::resource::Resource;
use crate::table::Table;

/// How wide the names of fields are.
const NAMES: usize = 14;
/// Parts of an object that have a place of their own, or none.
const TOLD: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
/// Annotations that only repeat the object.
const NOTES: [&str; 2] = ["meltemi.io/applied", "kubectl.kubernetes.io/last-applied-configuration"];

/// Everything that the object says of itself, and above that what the mesh has against it.
pub(super) fn describe(resource: &Resource, object: &Value, warning: Option<&str>) -> String {
    let mut text = head(resource, object);
    if let Some(warning) = warning {
        field(&mut text, "Warning", warning);
    }
    for (name, part) in object.as_object().into_iter().flatten() {
        if TOLD.contains(&name.as_str()) {
            continue;
        }
        let part = if resource.plural == "secrets" { without_secrets(part) } else { part.clone() };
        section(&mut text, name, &part);
    }
    status(&mut text, &object["status"]);
    text
}

fn head(resource: &Resource, object: &Value) -> String {
    let metadata = &object["metadata"];
    let mut text = String::new();
    let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    field(&mut text, "Name", &plain(&metadata["name"]));
    if resource.namespaced {
        field(&mut text, "Namespace", &plain(&metadata["namespace"]));
    }
    field(&mut text, "Kind", &resource.kind);
    field(
        &mut text,
        "API version",
        object["apiVersion"].as_str().unwrap_or(&resource.api_version()),
    );
    list(&mut text, "Labels", &pairs(&metadata["labels"]));
    list(&mut text, "Annotations", &pairs(&metadata["annotations"]));
    field(&mut text, "Created", &plain(&metadata["creationTimestamp"]));
    if let Some(going) = metadata["deletionTimestamp"].as_str() {
        field(&mut text, "Deleted", &format!("{going}, waits for {}", metadata["finalizers"]));
    }
    text
}

fn field(text: &mut String, name: &str, value: &str) {
    let value = if value.is_empty() { "<none>" } else { value };
    let value: String = value.chars().map(visible).collect();
    text.push_str(&format!("{:<NAMES$}{value}\n", format!("{name}:")));
}

/// What stands in an object must not drive a terminal.
fn visible(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

fn list(text: &mut String, name: &str, lines: &[String]) {
    field(text, name, lines.first().map_or("", String::as_str));
    for line in lines.iter().skip(1) {
        let line: String = line.chars().map(visible).collect();
        text.push_str(&format!("{:NAMES$}{line}\n", ""));
    }
}

fn pairs(map: &Value) -> Vec<String> {
    let map = map.as_object().into_iter().flatten();
    map.filter(|(name, _)| !NOTES.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect()
}

/// A part of the object as YAML, indented under its name.
fn section(text: &mut String, name: &str, part: &Value) {
    let mut letters = name.chars();
    let name: String =
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let is_block = match part {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if !is_block {
        field(text, &name, meltemi_api::yaml::write(part).trim());
        return;
    }
    text.push_str(&format!("{name}:\n"));
    for line in meltemi_api::yaml::write(part).lines() {
        text.push_str(&format!("  {line}\n"));
    }
}

/// The sizes of a secret's values instead of the values.
fn without_secrets(part: &Value) -> Value {
    let Value::Object(map) = part else { return part.clone() };
    let size = |value: &Value| {
        let text = value.as_str().unwrap_or_default().trim_end_matches('=');
        Value::String(format!("{} bytes", text.len() * 3 / 4))
    };
    Value::Object(
        map.iter().map(|(name, value)| (name.clone(), size(value))).collect::<Map<_, _>>(),
    )
}

/// Conditions as rows, the rest as YAML.
fn status(text: &mut String, status: &Value) {
    let Some(status) = status.as_object().filter(|status| !status.is_empty()) else { return };
    let mut rest = status.clone();
    let conditions = rest.remove("conditions");
    let conditions = conditions.as_ref().and_then(Value::as_array).filter(|list| !list.is_empty());
    if let Some(conditions) = conditions {
        let mut table = Table::new(["Type", "Status", "Since", "Reason", "Message"]);
        let cell = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for condition in conditions {
            let columns = ["type", "status", "lastTransitionTime", "reason", "message"];
            table.push(columns.map(|column| cell(&condition[column])));
        }
        text.push_str("Conditions:\n");
        text.extend(table.drain(true).lines().map(|line| format!("  {line}\n")));
    }
    if !rest.is_empty() {
        section(text, "status", &Value::Object(rest));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_stand_under_their_names_and_notes_are_left_out() {
        let mut text = String::new();
        let labels = json!({"a": "1", "b": "2\u{1b}[2J\n", NOTES[0]: "{}", NOTES[1]: "{}"});
        list(&mut text, "Labels", &pairs(&labels));
        assert_eq!(text, "Labels:       a=1\n              b=2 [2J \n");
        text.clear();
        list(&mut text, "Labels", &pairs(&Value::Null));
        assert_eq!(text, "Labels:       <none>\n");
    }

    #[test]
    fn parts_are_yaml_under_their_name() {
        let mut text = String::new();
        section(&mut text, "spec", &json!({"hosts": ["a"]}));
        section(&mut text, "type", &json!("Opaque"));
        section(&mut text, "data", &json!({}));
        assert_eq!(text, "Spec:\n  hosts:\n  - a\nType:         Opaque\nData:         {}\n");
    }

    #[test]
    fn of_secrets_only_the_sizes_are_told() {
        let data = json!({"password": "aHVudGVyMg==", "empty": ""});
        let sizes = json!({"password": "7 bytes", "empty": "0 bytes"});
        assert_eq!(without_secrets(&data), sizes);
    }
}
