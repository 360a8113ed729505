//! Kubernetes' strategic merge for its own kinds: some lists are merged by a key of their items, and directives
//! (`$patch`, `$retainKeys`, `$setElementOrder/...`, `$deleteFromPrimitiveList/...`) steer the merge.

use meltemi_api::rbac::GROUP as RBAC;
use meltemi_store::Key;
use serde_json::{Map, Value};

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListRule {
    /// Items are objects, told apart by this field.
    ByKey(&'static str),
    /// Items are plain values; the lists are united.
    Set,
}

/// Lists that are not replaced whole: the kind's plural (empty for all), the path, the rule. From the `patchStrategy` and
/// `patchMergeKey` tags of Kubernetes' types. Those of RBAC have none: `rules`, `subjects` and `clusterRoleSelectors` are
/// replaced.
const LISTS: [(&str, &str, ListRule); 7] = [
    ("services", "spec.ports", ListRule::ByKey("port")),
    ("services", "status.conditions", ListRule::ByKey("type")),
    ("namespaces", "status.conditions", ListRule::ByKey("type")),
    ("serviceaccounts", "secrets", ListRule::ByKey("name")),
    ("serviceaccounts", "imagePullSecrets", ListRule::ByKey("name")),
    ("", "metadata.ownerReferences", ListRule::ByKey("uid")),
    ("", "metadata.finalizers", ListRule::Set),
];

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Whether the keys of the lists of this kind are known, so that a strategic merge is sound.
pub(crate) fn has_merge_lists(key: &Key) -> bool {
    key.group().is_empty() || key.group() == RBAC
}

/// Merges `patch` into `target`, an object of this key.
pub(crate) fn merge(key: &Key, target: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        return Err("a strategic merge patch is an object".to_owned());
    };
    merge_object(key, "", target, patch)
}

fn rule(key: &Key, path: &str) -> Option<ListRule> {
    let here = |plural: &str| plural.is_empty() || plural == key.plural();
    LISTS.iter().find(|(plural, list, _)| here(plural) && *list == path).map(|(_, _, rule)| *rule)
}

fn merge_object(
    key: &Key,
    path: &str,
    target: &mut Value,
    patch: &Map<String, Value>,
) -> Result<(), String> {
    match patch.get(PATCH).and_then(Value::as_str) {
        Some("replace") => *target = Value::Object(Map::new()),
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        None | Some("merge") => {}
        Some(other) => return Err(format!("{path}: {PATCH} cannot be {other:?}")),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return Ok(());
    };
    if let Some(Value::Array(kept)) = patch.get(RETAIN) {
        target.retain(|name, _| kept.iter().any(|keep| keep == name.as_str()));
    }
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(value) => {
                merge_object(key, &path, target.entry(name.clone()).or_insert(Value::Null), value)?;
            }
            Value::Array(items) => match rule(key, &path) {
                None => drop(target.insert(name.clone(), value.clone())),
                Some(rule) => merge_list(key, &path, rule, list_of(target, name), items)?,
            },
            plain => drop(target.insert(name.clone(), plain.clone())),
        }
    }
    directives(key, path, target, patch)
}

/// Removals from, and the order of, merged lists; they stand beside the lists.
fn directives(
    key: &Key,
    path: &str,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), String> {
    for (directive, value) in patch {
        let Value::Array(values) = value else {
            continue;
        };
        if let Some(name) = directive.strip_prefix(DELETE) {
            list_of(target, name).retain(|item| !values.contains(item));
        } else if let Some(name) = directive.strip_prefix(ORDER) {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let rule = rule(key, &path)
                .ok_or_else(|| format!("{path} is not a list with an order of keys"))?;
            let place = |item: &Value| {
                values.iter().position(|value| same(rule, value, item)).unwrap_or(usize::MAX)
            };
            list_of(target, name).sort_by_key(place);
        }
    }
    Ok(())
}

/// The list of this name, made if it is missing.
fn list_of<'a>(target: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let value = target.entry(name.to_owned()).or_insert(Value::Null);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was just made a list"),
    }
}

/// Whether two items are the same one by the list's rule. An order may name an item by its key alone.
fn same(rule: ListRule, a: &Value, b: &Value) -> bool {
    match rule {
        ListRule::Set => a == b,
        ListRule::ByKey(key) => a.get(key).is_some() && a.get(key) == b.get(key),
    }
}

fn merge_list(
    key: &Key,
    path: &str,
    rule: ListRule,
    list: &mut Vec<Value>,
    items: &[Value],
) -> Result<(), String> {
    let directive = |item: &Value| item.get(PATCH).and_then(Value::as_str).map(str::to_owned);
    if items.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        *list = items.iter().filter(|item| directive(item).is_none()).cloned().collect();
        return Ok(());
    }
    for item in items {
        if let ListRule::ByKey(field) = rule
            && item.get(field).is_none()
        {
            return Err(format!("{path}: an item has no {field:?}, by which the list is merged"));
        }
        let present = list.iter().position(|existing| same(rule, existing, item));
        match (directive(item).as_deref(), present, item) {
            (Some("delete"), Some(index), _) => drop(list.remove(index)),
            (Some("delete"), None, _) => {}
            (_, Some(index), Value::Object(item)) => {
                merge_object(key, path, &mut list[index], item)?
            }
            (_, Some(_), _) => {}
            (_, None, Value::Object(item)) => {
                let mut new = Value::Null;
                merge_object(key, path, &mut new, item)?;
                list.push(new);
            }
            (_, None, _) => list.push(item.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(target: Value, patch: Value) -> Result<Value, String> {
        let key = Key::new("", "services", Some("default"), "hello");
        let mut target = target;
        merge(&key, &mut target, &patch).map(|()| target)
    }

    #[test]
    fn ports_are_merged_by_number() {
        let service = json!({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 90, "name": "grpc"}], "selector": {"a": "b"}}});
        let patch = json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 90, "$patch": "delete"}, {"port": 70}],
            "$setElementOrder/ports": [{"port": 70}, {"port": 80}], "selector": {"a": null}}});
        let expected = json!({"spec": {"ports": [{"port": 70}, {"port": 80, "name": "http", "targetPort": 8080}], "selector": {}}});
        assert_eq!(merged(service, patch), Ok(expected));
    }

    #[test]
    fn directives_steer() {
        let cases = [
            (
                json!({"spec": {"a": 1, "b": 2}}),
                json!({"spec": {"$patch": "replace", "c": 3}}),
                json!({"spec": {"c": 3}}),
            ),
            (
                json!({"spec": {"a": 1, "b": 2}}),
                json!({"spec": {"$retainKeys": ["b", "c"], "c": 3}}),
                json!({"spec": {"b": 2, "c": 3}}),
            ),
            (
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c", "b"]}}),
                json!({"metadata": {"finalizers": ["b", "c"]}}),
            ),
            (
                json!({"spec": {"list": [1, 2]}}),
                json!({"spec": {"list": [3]}}),
                json!({"spec": {"list": [3]}}),
            ),
            (
                json!({"spec": {"ports": [{"port": 1}]}}),
                json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 2}]}}),
                json!({"spec": {"ports": [{"port": 2}]}}),
            ),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(merged(target, patch.clone()), Ok(expected), "{patch}");
        }
        assert!(merged(json!({}), json!({"spec": {"ports": [{"name": "x"}]}})).is_err());
        assert!(merged(json!({}), json!([])).is_err());
    }
}
