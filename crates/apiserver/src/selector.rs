//! Label and field selectors: which of the objects of a kind a caller wants.

use serde_json::Value;

use crate::status::Failure;

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// One condition on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    path: &'static str,
    wanted: String,
    equal: bool,
}

/// The conditions of a list or watch; all must hold. The default takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matcher {
    labels: Vec<Condition>,
    fields: Vec<Field>,
}

/// Fields that may be selected on, and where they stand.
const FIELDS: [(&str, &str); 3] = [
    ("metadata.name", "/metadata/name"),
    ("metadata.namespace", "/metadata/namespace"),
    ("type", "/type"),
];

impl Matcher {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = split(labels).map(condition).collect::<Result<_, _>>()?;
        let fields = split(fields).map(field).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
        let labels_hold = self.labels.iter().all(|condition| match condition {
            Condition::In(name, values) => {
                label(name).is_some_and(|value| values.iter().any(|v| v == value))
            }
            Condition::NotIn(name, values) => {
                label(name).is_none_or(|value| values.iter().all(|v| v != value))
            }
            Condition::Exists(name) => label(name).is_some(),
            Condition::Absent(name) => label(name).is_none(),
        });
        labels_hold
            && self.fields.iter().all(|field| {
                let value = object.pointer(field.path).and_then(Value::as_str).unwrap_or_default();
                (value == field.wanted) == field.equal
            })
    }
}

/// The requirements between commas that are not inside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn condition(part: &str) -> Result<Condition, Failure> {
    let bad = || Failure::bad_request(format!("labelSelector: {part:?} is not understood"));
    let named = |name: &str| {
        let name = name.trim();
        let good = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        good.then(|| name.to_owned()).ok_or_else(bad)
    };
    if let Some((name, list)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        return match name.trim().rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(Condition::In(named(name)?, values)),
            Some((name, "notin")) => Ok(Condition::NotIn(named(name)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, value, equal)) = comparison(part) {
        let (name, values) = (named(name)?, vec![value.to_owned()]);
        return Ok(if equal {
            Condition::In(name, values)
        } else {
            Condition::NotIn(name, values)
        });
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Condition::Absent(named(name)?)),
        None => Ok(Condition::Exists(named(part)?)),
    }
}

fn field(part: &str) -> Result<Field, Failure> {
    let known = || FIELDS.map(|(name, _)| name).join(", ");
    let Some((name, value, equal)) = comparison(part) else {
        return Err(Failure::bad_request(format!(
            "fieldSelector: {part:?} is not understood: use name=value"
        )));
    };
    let Some((_, path)) = FIELDS.into_iter().find(|(field, _)| *field == name) else {
        return Err(Failure::bad_request(format!(
            "field label not supported: {name} (known: {})",
            known()
        )));
    };
    Ok(Field { path, wanted: value.to_owned(), equal })
}

/// `a=b`, `a==b`, `a!=b`.
fn comparison(part: &str) -> Option<(&str, &str, bool)> {
    let (name, value) = part.split_once('=')?;
    let value = value.strip_prefix('=').unwrap_or(value).trim();
    match name.strip_suffix('!') {
        Some(name) => Some((name.trim(), value, false)),
        None => Some((name.trim(), value, true)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors() {
        let object =
            json!({"metadata": {"labels": {"app": "hello", "version": "v1", "x.io/team": "a"}}});
        let cases = [
            ("", true),
            ("app=hello", true),
            ("app==hello,version=v1", true),
            ("app=hello,version=v2", false),
            ("app!=hello", false),
            ("other!=hello", true),
            ("app in (bye, hello),x.io/team", true),
            ("app in (bye)", false),
            ("app notin (bye,ciao)", true),
            ("other notin (a)", true),
            ("!other", true),
            ("!app", false),
            ("other", false),
            ("empty=", false),
        ];
        for (text, expected) in cases {
            assert_eq!(Matcher::parse(text, "").unwrap().matches(&object), expected, "{text}");
        }
        for bad in ["a b", "app in hello)", "app near (a)", "=x", "!", "a;b=c"] {
            assert!(Matcher::parse(bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn field_selectors() {
        let object = json!({"metadata": {"name": "a", "namespace": "n"}});
        for (text, expected) in [
            ("metadata.name=a", true),
            ("metadata.name!=a", false),
            ("metadata.name=a,metadata.namespace==n", true),
            ("metadata.namespace=m", false),
        ] {
            assert_eq!(Matcher::parse("", text).unwrap().matches(&object), expected, "{text}");
        }
        assert!(Matcher::parse("", "spec.nodeName=a").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Matcher::parse(&text, &text);
        }
    }
}
