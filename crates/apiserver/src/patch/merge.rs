//! JSON Merge Patch, RFC 7386: objects are merged, `null` removes, everything else replaces.

use serde_json::{Map, Value};

/// Merges `patch` into `target`.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Takes out of `target` what `before` set and `kept` has not, leaf by leaf: what others put into the same maps stays,
/// and a map goes that is left empty. Lists count as one value.
pub(crate) fn prune(target: &mut Value, before: &Value, kept: &Value) {
    let (Value::Object(target), Value::Object(before)) = (target, before) else {
        return;
    };
    for (name, old) in before {
        let Some(current) = target.get_mut(name) else { continue };
        if let Some(kept) = kept.get(name) {
            prune(current, old, kept);
            continue;
        }
        if old.is_object() {
            prune(current, old, &Value::Null);
            if current.as_object().is_none_or(|left| !left.is_empty()) {
                continue;
            }
        }
        target.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The test cases of RFC 7386, appendix A.
    #[test]
    fn cases_of_the_rfc() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }

    #[test]
    fn leaves_go_and_their_neighbours_stay() {
        let labels = json!({"m": {"labels": {"mine": 1, "deep": {"a": 1}}, "list": [1]}});
        for (target, kept, expected) in [
            (
                json!({"m": {"labels": {"mine": 1, "theirs": 2}}}),
                json!({}),
                json!({"m": {"labels": {"theirs": 2}}}),
            ),
            (
                json!({"m": {"labels": {"deep": {"a": 1, "b": 2}}}}),
                json!({"m": {}}),
                json!({"m": {"labels": {"deep": {"b": 2}}}}),
            ),
            (labels.clone(), json!({}), json!({})),
            (labels.clone(), json!({"m": {"list": [2]}}), json!({"m": {"list": [1]}})),
            (json!({"m": {"labels": "theirs"}}), json!({}), json!({"m": {"labels": "theirs"}})),
            (
                json!({"m": {"labels": {}}}),
                json!({"m": {"labels": {}}}),
                json!({"m": {"labels": {}}}),
            ),
        ] {
            let mut pruned = target.clone();
            prune(&mut pruned, &labels, &kept);
            assert_eq!(pruned, expected, "{target} {kept}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..9).prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn merging_twice_changes_nothing_more(mut target in value(), patch in value()) {
            merge(&mut target, &patch);
            let once = target.clone();
            merge(&mut target, &patch);
            prop_assert_eq!(target, once);
        }

        #[test]
        fn pruning_and_merging_gives_the_new_object(before in value(), after in value()) {
            let mut target = before.clone();
            prune(&mut target, &before, &after);
            merge(&mut target, &after);
            prop_assert_eq!(target, after);
        }

        #[test]
        fn pruning_leaves_what_was_not_set_before(target in value(), before in value()) {
            let mut pruned = target.clone();
            prune(&mut pruned, &before, &Value::Null);
            if let (Value::Object(target), Value::Object(pruned)) = (&target, &pruned) {
                for (name, value) in target.iter().filter(|(name, _)| before.get(name).is_none()) {
                    prop_assert_eq!(pruned.get(name), Some(value));
                }
            } else {
                prop_assert_eq!(pruned, target);
            }
        }
    }
}
