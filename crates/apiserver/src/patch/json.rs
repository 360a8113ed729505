//! JSON Patch, RFC 6902: a list of operations on JSON pointers, done all or not at all.

use serde_json::Value;

/// Operations in one patch at most, as in Kubernetes.
const OPERATIONS: usize = 10_000;
/// What the operations of one patch may copy and move together, bytes as JSON: each copy of a whole doubles it. Kubernetes'
/// `JSONPatchMaxCopyBytes`.
const CARRIED: usize = 3 << 20;
/// How many objects and lists may lie within one another, as many as are read in a body: what is deeper ends a process by its
/// stack when it is written or dropped.
const DEPTH: usize = 127;

/// Applies the operations in order. On an error the target may have changed: patch a copy.
pub(super) fn apply(target: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or("a JSON patch is a list of operations")?;
    if operations.len() > OPERATIONS {
        return Err(format!("a JSON patch holds at most {OPERATIONS} operations"));
    }
    let mut room = CARRIED;
    operations.iter().enumerate().try_for_each(|(index, operation)| {
        operate(target, operation, &mut room)
            .map_err(|reason| format!("operation {index} of the patch: {reason}"))
    })
}

/// Does one operation; `room` is what may still be copied and moved.
fn operate(target: &mut Value, operation: &Value, room: &mut usize) -> Result<(), String> {
    let text = |name: &str| {
        operation
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("{name:?} is missing or not a string"))
    };
    let value = || operation.get("value").cloned().ok_or_else(|| "\"value\" is missing".to_owned());
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => {
            let value = value()?;
            check_depth(path, &value)?;
            *find(target, path)? = value;
            Ok(())
        }
        "move" => {
            let from = text("from")?;
            if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                return Err(format!("{from:?} cannot be moved into itself"));
            }
            carry(find(target, from)?, room)?;
            let moved = remove(target, from)?;
            add(target, path, moved)
        }
        "copy" => {
            let from = find(target, text("from")?)?;
            carry(from, room)?;
            let copied = from.clone();
            add(target, path, copied)
        }
        "test" if *find(target, path)? == value()? => Ok(()),
        "test" => Err(format!("the test of {path:?} failed")),
        other => {
            Err(format!("{other:?} is no operation: use add, remove, replace, move, copy or test"))
        }
    }
}

/// Takes the size of a value from what may still be carried.
fn carry(value: &Value, room: &mut usize) -> Result<(), String> {
    fn take(value: &Value, room: &mut usize) -> Option<()> {
        // Quotes, commas and brackets included, as far as they count.
        let own = match value {
            Value::String(text) => text.len() + 3,
            Value::Null | Value::Bool(_) | Value::Number(_) => 5,
            Value::Array(_) | Value::Object(_) => 3,
        };
        *room = room.checked_sub(own)?;
        match value {
            Value::Array(list) => list.iter().try_for_each(|it| take(it, room)),
            Value::Object(object) => object.iter().try_for_each(|(name, it)| {
                *room = room.checked_sub(name.len() + 4)?;
                take(it, room)
            }),
            _ => Some(()),
        }
    }
    take(value, room).ok_or_else(|| {
        format!("the operations of a patch copy and move at most {CARRIED} bytes together")
    })
}

/// Refuses a value that would lie too deep at this path.
fn check_depth(path: &str, value: &Value) -> Result<(), String> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or_default(),
            Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or_default(),
            _ => 0,
        }
    }
    match path.matches('/').count() + depth(value) <= DEPTH {
        true => Ok(()),
        false => Err(format!("at most {DEPTH} objects and lists lie within one another")),
    }
}

fn find<'a>(target: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    if !path.is_empty() && !path.starts_with('/') {
        return Err(format!("{path:?} is no JSON pointer"));
    }
    target.pointer_mut(path).ok_or_else(|| format!("there is nothing at {path:?}"))
}

/// The container that `path` points into, and the last part of the path.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (above, last) =
        path.rsplit_once('/').ok_or_else(|| format!("{path:?} is no JSON pointer"))?;
    Ok((find(target, above)?, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(object), name) => drop(object.insert(name, value)),
        (Value::Array(list), index) => {
            let index = if index == "-" { list.len() } else { position(&index, list.len())? };
            list.insert(index, value);
        }
        _ => {
            return Err(format!("what holds {path:?} is neither an object nor a list"));
        }
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let nothing = || format!("there is nothing at {path:?}");
    match parent(target, path)? {
        (Value::Object(object), name) => object.remove(&name).ok_or_else(nothing),
        (Value::Array(list), index) => {
            let last = list.len().checked_sub(1).ok_or_else(nothing)?;
            Ok(list.remove(position(&index, last)?))
        }
        _ => Err(nothing()),
    }
}

/// A list index of at most `last`, without leading zeros.
fn position(index: &str, last: usize) -> Result<usize, String> {
    let plain = index == "0" || !index.starts_with(['0', '+']);
    let parsed = index.parse().ok().filter(|position| plain && *position <= last);
    parsed.ok_or_else(|| format!("{index:?} is not an index of the list"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Among these the cases of RFC 6902, appendix A.
    #[test]
    fn operations() {
        let cases = [
            (
                json!({"foo":"bar"}),
                json!([{"op":"add","path":"/baz","value":"qux"}]),
                json!({"baz":"qux","foo":"bar"}),
            ),
            (
                json!({"foo":["bar","baz"]}),
                json!([{"op":"add","path":"/foo/1","value":"q"}]),
                json!({"foo":["bar","q","baz"]}),
            ),
            (
                json!({"foo":["bar"]}),
                json!([{"op":"add","path":"/foo/-","value":["x"]}]),
                json!({"foo":["bar",["x"]]}),
            ),
            (
                json!({"baz":"q","foo":"b"}),
                json!([{"op":"remove","path":"/baz"}]),
                json!({"foo":"b"}),
            ),
            (
                json!({"foo":["a","b","c"]}),
                json!([{"op":"remove","path":"/foo/1"}]),
                json!({"foo":["a","c"]}),
            ),
            (json!({"a":1}), json!([{"op":"replace","path":"/a","value":2}]), json!({"a":2})),
            (
                json!({"a":{"b":1},"c":{}}),
                json!([{"op":"move","from":"/a/b","path":"/c/d"}]),
                json!({"a":{},"c":{"d":1}}),
            ),
            (
                json!({"a":[1,2,3]}),
                json!([{"op":"move","from":"/a/0","path":"/a/2"}]),
                json!({"a":[2,3,1]}),
            ),
            (json!({"a":1}), json!([{"op":"copy","from":"/a","path":"/b"}]), json!({"a":1,"b":1})),
            (
                json!({"a/b":1,"m~n":2}),
                json!([{"op":"test","path":"/a~1b","value":1},{"op":"remove","path":"/m~0n"}]),
                json!({"a/b":1}),
            ),
            (json!({"a":1}), json!([{"op":"add","path":"","value":[]}]), json!([])),
        ];
        for (mut target, patch, expected) in cases {
            apply(&mut target, &patch).unwrap();
            assert_eq!(target, expected, "{patch}");
        }
    }

    #[test]
    fn refused() {
        let cases = [
            json!({"op":"add"}),
            json!([{"path":"/a"}]),
            json!([{"op":"add","path":"/x/y","value":1}]),
            json!([{"op":"add","path":"/l/4","value":1}]),
            json!([{"op":"add","path":"/l/01","value":1}]),
            json!([{"op":"add","path":"/a"}]),
            json!([{"op":"remove","path":"/l/3"}]),
            json!([{"op":"remove","path":""}]),
            json!([{"op":"replace","path":"/x","value":1}]),
            json!([{"op":"test","path":"/a","value":2}]),
            json!([{"op":"move","from":"/o","path":"/o/p"}]),
            json!([{"op":"bend","path":"/a"}]),
        ];
        for patch in cases {
            let mut target = json!({"a":1,"l":[1,2,3],"o":{}});
            assert!(apply(&mut target, &patch).is_err(), "{patch}");
        }
    }

    #[test]
    fn an_object_can_neither_be_doubled_nor_nested_without_end() {
        let double = |from: &str| {
            let copy = |at| json!({"op": "copy", "from": from, "path": format!("/{at}")});
            json!((0..40).map(copy).collect::<Vec<_>>())
        };
        let text = "x".repeat(1000);
        let few = apply(&mut json!({"a": text}), &double("/a"));
        assert_eq!(few, Ok(()), "40 copies of a kilobyte");
        let refused = apply(&mut json!({"a": text}), &double("")).unwrap_err();
        assert!(refused.contains("bytes together"), "{refused}");
        let moved = json!({"op": "move", "from": "/a", "path": "/a"});
        let refused = apply(&mut json!({"a": text}), &json!(vec![moved; 4000])).unwrap_err();
        assert!(refused.contains("bytes together"), "{refused}");
        // Each puts a copy of all into the innermost: 2^20 objects within one another.
        let nest = |power: u32| json!({"op": "copy", "from": "/a", "path": "/a".repeat((1_usize << power) + 1)});
        let mut deep = json!({"a": {}});
        let nest = json!((0..20).map(nest).collect::<Vec<_>>());
        let refused = apply(&mut deep, &nest).unwrap_err();
        assert!(refused.starts_with("operation 6") && refused.contains("within"), "{refused}");
        assert!(serde_json::from_str::<Value>(&deep.to_string()).is_ok(), "it can be read again");
    }

    proptest! {
        #[test]
        fn any_pointer_is_followed_or_refused(op in "add|remove|replace|move|copy|test", path in "(/[a-c0-3~-]{0,2}){0,3}", from in "(/[a-c0-3]{0,2}){0,3}") {
            let mut target = json!({"a":{"b":[1,{"c":2}]},"b":[[]]});
            let _ = apply(&mut target, &json!([{"op":op,"path":path,"from":from,"value":{}}]));
        }
    }
}
