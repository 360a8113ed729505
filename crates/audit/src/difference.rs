//! What differs between two objects, field by field, with secrets left out.

use serde::Serialize;
use serde_json::Value;

/// So many differences of one object are told.
const MOST: usize = 256;
/// The longest value that is told, in bytes of its JSON.
const LONGEST: usize = 4096;
/// What stands for a value that nobody may read.
const REDACTED: &str = "(redacted)";
/// Fields that change with every write and say nothing.
const NOISE: [&str; 3] =
    ["/metadata/managedFields", "/metadata/resourceVersion", "/metadata/generation"];

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where it is (RFC 6901).
    pub path: String,
    /// What was there; left out where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is there now; left out where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// The fields that differ between an object before and after; `None` stands for no object. Of a kind's plural word
/// depends what is secret: all values in `secrets`, the hash in `accesstokens`.
pub fn difference(plural: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut found = Finder { plural, found: Vec::new() };
    found.walk(&mut String::new(), before, after);
    found.found
}

struct Finder<'a> {
    plural: &'a str,
    found: Vec<Difference>,
}

impl Finder<'_> {
    fn walk(&mut self, path: &mut String, before: Option<&Value>, after: Option<&Value>) {
        if before == after || self.found.len() >= MOST || NOISE.contains(&path.as_str()) {
            return;
        }
        let length = path.len();
        match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                let keys = before.keys().chain(after.keys().filter(|it| !before.contains_key(*it)));
                for key in keys {
                    path.push('/');
                    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    self.walk(path, before.get(key), after.get(key));
                    path.truncate(length);
                }
            }
            (Some(Value::Array(before)), Some(Value::Array(after))) => {
                for at in 0..before.len().max(after.len()) {
                    path.push_str(&format!("/{at}"));
                    self.walk(path, before.get(at), after.get(at));
                    path.truncate(length);
                }
            }
            // What has come or gone is told field by field too, so that secrets in it are found.
            (None, Some(Value::Object(fields))) if !fields.is_empty() => {
                self.walk(path, Some(&Value::Object(Default::default())), after);
            }
            (Some(Value::Object(fields)), None) if !fields.is_empty() => {
                self.walk(path, before, Some(&Value::Object(Default::default())));
            }
            _ => {
                let (from, to) = (self.told(path, before), self.told(path, after));
                self.found.push(Difference { path: path.clone(), from, to });
            }
        }
    }

    fn told(&self, path: &str, value: Option<&Value>) -> Option<Value> {
        let value = value?;
        if self.is_secret(path) {
            return Some(REDACTED.into());
        }
        let text = value.to_string();
        match text.len() {
            ..=LONGEST => Some(value.clone()),
            length => Some(format!("({length} bytes)").into()),
        }
    }

    fn is_secret(&self, path: &str) -> bool {
        match self.plural {
            "secrets" => {
                ["/data", "/stringData"].iter().any(|it| path.starts_with(it))
                    // What was applied last holds the values once more.
                    || path.starts_with("/metadata/annotations/")
            }
            "accesstokens" => path == "/spec/hash",
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_come_go_and_change_are_told() {
        let before = json!({"spec": {"a": 1, "b": [1, 2], "c": {"x/y": "old"}},
            "metadata": {"resourceVersion": "1"}});
        let after = json!({"spec": {"a": 1, "b": [1], "c": {"x/y": "new"}, "d": true},
            "metadata": {"resourceVersion": "2"}});
        let found = difference("services", Some(&before), Some(&after));
        let told: Vec<_> = found.iter().map(|it| (&*it.path, &it.from, &it.to)).collect();
        assert_eq!(
            told,
            [
                ("/spec/b/1", &Some(json!(2)), &None),
                ("/spec/c/x~1y", &Some(json!("old")), &Some(json!("new"))),
                ("/spec/d", &None, &Some(json!(true))),
            ]
        );
    }

    #[test]
    fn what_is_secret_is_never_told() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "tls",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hush"}},
            "data": {"tls.key": "hush"}, "stringData": {"a": "hush"}});
        let changed = json!({"data": {"tls.key": "hush, hush"}});
        for (before, after) in
            [(None, Some(&secret)), (Some(&secret), None), (Some(&secret), Some(&changed))]
        {
            let told = serde_json::to_string(&difference("secrets", before, after)).unwrap();
            assert!(!told.contains("hush") && told.contains("/data/tls.key"), "{told}");
        }
        let token = json!({"spec": {"user": "alice", "hash": "hush"}});
        let told = serde_json::to_string(&difference("accesstokens", None, Some(&token))).unwrap();
        assert!(!told.contains("hush") && told.contains("alice"), "{told}");
    }

    #[test]
    fn what_is_told_is_bounded() {
        let many: Vec<_> = (0..10_000).collect();
        let found = difference("services", Some(&json!([])), Some(&json!(many)));
        assert_eq!(found.len(), MOST);
        let long = json!({"a": "x".repeat(100_000)});
        let found = difference("services", None, Some(&long));
        assert_eq!(found[0].to, Some(json!("(100002 bytes)")));
    }

    proptest! {
        #[test]
        fn equal_objects_do_not_differ_and_others_do(a in any::<[u8; 4]>(), b in any::<[u8; 4]>()) {
            let object = |it: [u8; 4]| json!({"x": {"y": it[0], "z": [it[1], it[2]]}, "w": it[3]});
            let found = difference("services", Some(&object(a)), Some(&object(b)));
            prop_assert_eq!(found.is_empty(), a == b);
        }
    }
}
