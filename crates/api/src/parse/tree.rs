//! A document as it stands in the text: values with their places.

use serde_json::{Map, Number, Value};

use crate::refuse::Step;

/// A place in a text; both from 1, 0 where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    pub(crate) key: String,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        self.content == Content::Null
    }

    /// The value without places. Of a key that stands twice the first counts; such texts were refused before.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(it) => Value::Bool(*it),
            Content::Number(it) => Value::Number(it.clone()),
            Content::Text(it) => Value::String(it.clone()),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                let pair = |it: &Entry| (it.key.clone(), it.value.to_value());
                Value::Object(entries.iter().map(pair).collect::<Map<_, _>>())
            }
        }
    }

    /// The objects in a `v1` list of any kind, as `kubectl get -o yaml` prints them.
    pub(crate) fn items_of_list(&self) -> Option<Vec<Node>> {
        let kind = self.text("kind")?;
        if self.text("apiVersion").is_none() || !kind.ends_with("List") {
            return None;
        }
        match &self.entry("items")?.value.content {
            Content::List(items) => Some(items.clone()),
            Content::Null => Some(Vec::new()),
            _ => None,
        }
    }

    /// The place of what the steps lead to; where they lead to nothing, of the last that is there.
    pub(crate) fn find(&self, steps: &[Step], is_on_key: bool) -> Mark {
        let mut node = self;
        let mut mark = self.mark;
        for (at, step) in steps.iter().enumerate() {
            let next = match (step, &node.content) {
                (Step::Field(name), Content::Map(_)) => node.entry(name).map(|entry| {
                    // A missing field is looked for at the key of the object that lacks it.
                    let is_last = at + 1 == steps.len();
                    mark = if is_last && !is_on_key { entry.value.mark } else { entry.mark };
                    &entry.value
                }),
                (Step::Item(index), Content::List(items)) => {
                    items.get(*index).inspect(|item| mark = item.mark)
                }
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        mark
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == name),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match &self.entry(name)?.value.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}
