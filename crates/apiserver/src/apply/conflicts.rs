//! Fields that one manager applied and another is about to change: the conflicts of Kubernetes' server-side apply.

use serde_json::{Map, Value};

use crate::status::Cause;

/// What stands at the top of every object and is nobody's.
const NOBODYS: [&str; 2] = ["apiVersion", "kind"];

/// A field that another manager applied, with another value than it is to have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    manager: String,
    path: Vec<String>,
}

impl Conflict {
    /// `.metadata.labels.app`, as Kubernetes writes it.
    fn field(&self) -> String {
        self.path.iter().fold(String::new(), |path, name| path + "." + name)
    }

    /// What is answered of it.
    fn cause(&self) -> Cause {
        Cause { field: self.field(), message: format!("conflict with {:?}", self.manager) }
    }
}

/// The fields that this would change though others applied them.
pub(super) fn find(
    managers: &Map<String, Value>,
    current: &Value,
    applied: &Value,
) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (manager, theirs) in managers {
        let mut found = Vec::new();
        walk(&mut Vec::new(), theirs, Some(current), applied, &mut found);
        conflicts.extend(found.into_iter().map(|path| Conflict { manager: manager.clone(), path }));
    }
    conflicts
}

fn walk<'a>(
    path: &mut Vec<&'a str>,
    theirs: &Value,
    current: Option<&Value>,
    applied: &'a Value,
    found: &mut Vec<Vec<String>>,
) {
    let (Value::Object(theirs), Value::Object(applied)) = (theirs, applied) else {
        if current.map_or(!applied.is_null(), |current| !stands(current, applied)) {
            found.push(path.iter().map(|&name| name.to_owned()).collect());
        }
        return;
    };
    for (name, applied) in applied {
        let Some(theirs) = theirs.get(name) else { continue };
        if path.is_empty() && NOBODYS.contains(&name.as_str()) {
            continue;
        }
        path.push(name);
        walk(path, theirs, current.and_then(|current| current.get(name)), applied, found);
        path.pop();
    }
}

/// Whether a value stands there already, apart from what the server added to it.
fn stands(current: &Value, applied: &Value) -> bool {
    match (current, applied) {
        (Value::Object(current), Value::Object(applied)) => {
            applied.iter().all(|(name, applied)| {
                current.get(name).map_or(applied.is_null(), |current| stands(current, applied))
            })
        }
        (Value::Array(current), Value::Array(applied)) => {
            current.len() == applied.len()
                && current.iter().zip(applied).all(|(current, applied)| stands(current, applied))
        }
        _ => current == applied,
    }
}

/// Takes the fields that a manager sets by force from those who applied them before.
pub(super) fn take_over(managers: &mut Map<String, Value>, conflicts: &[Conflict]) {
    for conflict in conflicts {
        let Some((last, way)) = conflict.path.split_last() else { continue };
        let theirs = managers.get_mut(&conflict.manager);
        let map = way.iter().fold(theirs, |map, name| map.and_then(|map| map.get_mut(name)));
        if let Some(Value::Object(map)) = map {
            map.remove(last);
        }
    }
}

/// Tells of conflicts in Kubernetes' words, each field by its manager, and as causes.
pub(super) fn told(conflicts: &[Conflict]) -> (String, Vec<Cause>) {
    let message = match conflicts {
        [one] => {
            format!(
                "Apply failed with 1 conflict: conflict with {:?}: {}",
                one.manager,
                one.field()
            )
        }
        all => all.chunk_by(|a, b| a.manager == b.manager).fold(
            format!("Apply failed with {} conflicts:", all.len()),
            |text, of_one| {
                let fields: String =
                    of_one.iter().map(|conflict| format!("\n- {}", conflict.field())).collect();
                format!("{text} conflicts with {:?}:{fields}", of_one[0].manager)
            },
        ),
    };
    (message, conflicts.iter().map(Conflict::cause).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(managers: Value, current: Value, applied: Value) -> Vec<String> {
        let managers = managers.as_object().cloned().unwrap_or_default();
        find(&managers, &current, &applied).iter().map(Conflict::field).collect()
    }

    #[test]
    fn what_another_applied_and_this_changes_is_a_conflict() {
        let theirs = json!({"them": {"data": {"a": true, "b": true, "x.y/z": true}, "list": true}});
        let current = json!({"data": {"a": "1", "b": "2", "x.y/z": "3", "free": "4"}, "list": [{"port": 1, "protocol": "TCP"}]});
        for (applied, expected) in [
            (json!({"data": {"a": "1"}}), &[][..]),
            (json!({"data": {"free": "5", "new": "6"}}), &[]),
            (json!({"data": {"a": "2", "b": "2"}}), &[".data.a"]),
            (json!({"data": {"x.y/z": "0"}}), &[".data.x.y/z"]),
            (json!({"data": "text"}), &[".data"]),
            (json!({"data": {"a": null}}), &[".data.a"]),
            (json!({"list": [{"port": 1}]}), &[]),
            (json!({"list": [{"port": 2}]}), &[".list"]),
            (json!({"list": []}), &[".list"]),
            (json!({"kind": "Other", "apiVersion": "v2"}), &[]),
        ] {
            assert_eq!(
                fields(theirs.clone(), current.clone(), applied.clone()),
                expected,
                "{applied}"
            );
        }
        let gone = fields(theirs, json!({}), json!({"data": {"a": null, "b": "2"}}));
        assert_eq!(
            gone,
            [".data.b"],
            "they applied it, somebody else took it out, and this brings it back"
        );
    }

    #[test]
    fn conflicts_are_told_by_manager() {
        let managers = json!({"a": {"k": true, "l": true}, "b": {"k": true}});
        let managers = managers.as_object().cloned().unwrap_or_default();
        let all = find(&managers, &json!({"k": 1, "l": 1}), &json!({"k": 2, "l": 2}));
        let (message, causes) = told(&all);
        assert_eq!(
            message,
            "Apply failed with 3 conflicts: conflicts with \"a\":\n- .k\n- .l conflicts with \"b\":\n- .k"
        );
        assert_eq!(causes.len(), 3);
        let (message, _) = told(&all[2..]);
        assert_eq!(message, "Apply failed with 1 conflict: conflict with \"b\": .k");
    }
}
