//! From the events of the YAML parser to trees, with bounds on depth and size.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar;
use super::tree::{Content, Entry, Mark, Node};

/// How deep values may be nested.
const DEPTH: usize = 100;
/// How many values a text may stand for, those of aliases counted at each use.
const NODES: usize = 1_000_000;

/// So many bytes of a text count as one value.
const BYTES: usize = 64;

/// What is wrong, and where.
type Refused = (Mark, String);

/// The documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Refused> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // What is missing at the end of a text without a line end is told on the line after it.
    let last = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let mut builder = Builder { last, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            (mark_of(error.marker(), last), format!("is not YAML: {}", error.info()))
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

/// The place in a text whose last line is this one.
fn mark_of(marker: &saphyr_parser::Marker, last: usize) -> Mark {
    Mark { line: marker.line().min(last), column: marker.col() + 1 }
}

/// A list or map that is not ended yet.
#[derive(Debug)]
struct Open {
    mark: Mark,
    anchor: usize,
    extent: Extent,
    parts: Parts,
}

/// How large a value is, so that aliases of it cannot make it grow without bound.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// How many values it holds, with itself; long texts count as several.
    size: usize,
    /// How many lists and maps are nested in it, with itself.
    depth: usize,
}

#[derive(Debug)]
enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<Key>, merges: Vec<Node> },
}

/// The key whose value comes next.
#[derive(Debug)]
enum Key {
    Name(Mark, String),
    /// `<<`: the value's keys belong to this map too.
    Merge,
}

#[derive(Debug, Default)]
struct Builder {
    /// The text's last line.
    last: usize,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Extent)>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refused> {
        let mark = mark_of(&span.start, self.last);
        match event {
            Event::Scalar(word, style, anchor, tag) => {
                if style == ScalarStyle::Plain && word == "<<" && self.begins_merge() {
                    return Ok(());
                }
                let content = meaning(&word, style, tag.as_deref()).map_err(|it| (mark, it))?;
                let extent = Extent { size: 1 + word.len() / BYTES, depth: 0 };
                self.count(mark, extent)?;
                self.put(Node { mark, content }, extent, anchor)
            }
            Event::Alias(anchor) => {
                let (node, extent) = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| (mark, "an alias of something that holds it".to_owned()))?;
                self.count(mark, extent)?;
                self.put(Node { mark, ..node }, extent, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(mark, anchor, Parts::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (entries, keys, merges) = (Vec::new(), HashSet::new(), Vec::new());
                self.begin(mark, anchor, Parts::Map { entries, keys, key: None, merges })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => Ok(()),
        }
    }

    /// Takes `<<` as a key, where one can stand.
    fn begins_merge(&mut self) -> bool {
        match self.open.last_mut().map(|open| &mut open.parts) {
            Some(Parts::Map { key: key @ None, .. }) => {
                *key = Some(Key::Merge);
                true
            }
            _ => false,
        }
    }

    /// Counts values that come here against the bounds.
    fn count(&mut self, mark: Mark, extent: Extent) -> Result<(), Refused> {
        if self.open.len() + extent.depth > DEPTH {
            return Err((mark, format!("nested deeper than {DEPTH} levels")));
        }
        self.nodes += extent.size;
        if self.nodes > NODES {
            return Err((mark, "too many values; are aliases nested?".to_owned()));
        }
        Ok(())
    }

    fn begin(&mut self, mark: Mark, anchor: usize, parts: Parts) -> Result<(), Refused> {
        let extent = Extent { size: 1, depth: 1 };
        self.count(mark, extent)?;
        self.open.push(Open { mark, anchor, extent, parts });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        let Some(Open { mark, anchor, extent, parts }) = self.open.pop() else {
            return Ok(());
        };
        let content = match parts {
            Parts::List(items) => Content::List(items),
            Parts::Map { entries, keys, merges, .. } => {
                Content::Map(merged(entries, keys, merges)?)
            }
        };
        self.put(Node { mark, content }, extent, anchor)
    }

    /// Adds a whole value to what is open, or as a document.
    fn put(&mut self, node: Node, extent: Extent, anchor: usize) -> Result<(), Refused> {
        let mark = node.mark;
        if anchor != 0 {
            self.count(mark, extent)?;
            self.anchors.insert(anchor, (node.clone(), extent));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.extent.size += extent.size;
        open.extent.depth = open.extent.depth.max(1 + extent.depth);
        match &mut open.parts {
            Parts::List(items) => items.push(node),
            Parts::Map { entries, keys, key, merges } => match key.take() {
                None => *key = Some(Key::Name(mark, key_text(node)?)),
                Some(Key::Merge) => merges.push(node),
                Some(Key::Name(mark, name)) => {
                    if !keys.insert(name.clone()) {
                        let before = entries.iter().find(|it| it.key == name);
                        let line = before.map_or(0, |it| it.mark.line);
                        return Err((
                            mark,
                            format!("`{name}` stands here twice, first in line {line}"),
                        ));
                    }
                    entries.push(Entry { mark, key: name, value: node });
                }
            },
        }
        Ok(())
    }
}

/// The text of a key.
fn key_text(node: Node) -> Result<String, Refused> {
    match node.content {
        Content::Text(text) => Ok(text),
        Content::Number(number) => Ok(number.to_string()),
        Content::Bool(it) => Ok(it.to_string()),
        Content::Null => Err((node.mark, "a key without text".to_owned())),
        Content::List(_) | Content::Map(_) => Err((
            node.mark,
            "a list or object cannot be a key; quote texts that begin with `{` or `[`".to_owned(),
        )),
    }
}

/// Adds what `<<` brings: keys that are not there yet.
fn merged(
    mut entries: Vec<Entry>,
    mut keys: HashSet<String>,
    merges: Vec<Node>,
) -> Result<Vec<Entry>, Refused> {
    for merge in merges {
        let sources = match merge.content {
            Content::List(items) => items,
            _ => vec![merge],
        };
        for source in sources {
            let Content::Map(more) = source.content else {
                return Err((source.mark, "`<<` takes an object, or a list of objects".to_owned()));
            };
            entries.extend(more.into_iter().filter(|it| keys.insert(it.key.clone())));
        }
    }
    Ok(entries)
}

/// What a word means, by its quotes and tag.
fn meaning(word: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Content, String> {
    let text = || Content::Text(word.to_owned());
    match tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str()) {
        Some("str") => Ok(text()),
        None if style != ScalarStyle::Plain => Ok(text()),
        Some("binary") => Err("`!!binary` is not read; write base64 as text".to_owned()),
        Some(_) | None => scalar::plain(word),
    }
}
