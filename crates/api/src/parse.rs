//! From text to resources: YAML of several documents, JSON, lists; every problem of all of them with its place.

mod events;
mod json;
mod scalar;
mod tree;

use std::collections::HashMap;

use meltemi_names::DEFAULT_NAMESPACE;
use serde_json::Value;

use crate::metadata::describe;
use crate::refuse::{self, Path, Problem, Report};
use crate::{Finding, Kind, Resource, Severity, effect};

use self::tree::{Mark, Node};

/// How long a text may be, in bytes.
pub const TEXT_LIMIT: usize = 16 << 20;

/// How input is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The namespace of objects that name none.
    pub namespace: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: DEFAULT_NAMESPACE.to_owned() }
    }
}

/// One text to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name as it is told to people, or `-`.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// An object that was read and holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The object by its type.
    pub resource: Resource,
    /// The object as it was written, in the storage version and with its namespace.
    pub value: Value,
    /// The file that it stands in.
    pub file: String,
    /// The line of its beginning, from 1.
    pub line: usize,
    /// The places of its fields.
    pub(crate) node: Node,
}

impl Parsed {
    /// What kind it is of.
    pub fn kind(&self) -> Kind {
        self.resource.kind()
    }

    /// Its namespace; `None` where its kind does not live in one.
    pub fn namespace(&self) -> Option<&str> {
        let namespace = self.resource.metadata().namespace.as_str();
        self.kind().namespaced().then_some(namespace)
    }

    /// Its name; empty where the server makes one.
    pub fn name(&self) -> &str {
        &self.resource.metadata().name
    }

    /// Warnings of what this version does not act on: the object, or fields of it.
    pub fn without_effect(&self) -> Vec<Finding> {
        if self.kind().has_effect() {
            let mut report = Report::default();
            for path in effect::fields_without_effect(self.kind(), &self.value) {
                report.warn(path, effect::MESSAGE).on_key();
            }
            return self.findings(report);
        }
        vec![Finding {
            severity: Severity::Warning,
            file: self.file.clone(),
            line: self.line,
            column: 1,
            object: describe(&self.value),
            path: String::new(),
            message: effect::MESSAGE.to_owned(),
            suggestion: None,
        }]
    }

    /// Findings about this object, with their places.
    pub(crate) fn findings(&self, report: Report) -> Vec<Finding> {
        located(report, &self.value, &self.node, &self.file)
    }
}

/// Objects that hold, all those of the input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accepted {
    /// The objects, in the order of the input.
    pub objects: Vec<Parsed>,
    /// What is probably not meant.
    pub warnings: Vec<Finding>,
}

/// Reads texts as one input: if anything in it is wrong, all of it is refused.
///
/// # Errors
/// Every problem of every object, in the order of the input, warnings among them.
pub fn parse(sources: &[Source], options: &Options) -> Result<Accepted, Vec<Finding>> {
    let mut objects = Vec::new();
    let mut findings = Vec::new();
    for source in sources {
        read_source(source, options, &mut objects, &mut findings);
    }
    findings.extend(duplicates(&objects));
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    Ok(Accepted { objects, warnings: findings })
}

/// Reads a text of one document as plain data, not as a resource.
///
/// # Errors
/// What is wrong with the text.
pub fn value(text: &str) -> Result<Value, Vec<Finding>> {
    let source = Source { file: String::new(), text: text.to_owned() };
    let mut documents = documents(&source).map_err(|finding| vec![*finding])?;
    match documents.len() {
        0 => Ok(Value::Null),
        1 => Ok(documents.remove(0).to_value()),
        _ => Err(vec![text_finding(
            &source,
            documents[1].mark,
            "a second document; one is expected".to_owned(),
        )]),
    }
}

/// Reads a text of one document that is no resource; an empty one is an object without fields. `read` makes what it stands for
/// and tells what is wrong.
pub(crate) fn closed<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(Value, &mut Report) -> Option<T>,
) -> Result<T, Vec<Finding>> {
    let source = Source { file: file.to_owned(), text: text.to_owned() };
    let mut documents = documents(&source).map_err(|finding| vec![*finding])?;
    documents.retain(|document| !document.is_null());
    if let Some(second) = documents.get(1) {
        let message = "a second document; one is expected".to_owned();
        return Err(vec![text_finding(&source, second.mark, message)]);
    }
    let mut report = Report::default();
    let Some(document) = documents.pop() else {
        let empty = Value::Object(serde_json::Map::new());
        return read(empty, &mut report).ok_or_else(Vec::new);
    };
    let value = document.to_value();
    if !value.is_object() {
        return Err(vec![text_finding(&source, document.mark, "must be an object".to_owned())]);
    }
    let made = read(value, &mut report);
    let mut findings = findings_of(report, "", |it| document.find(it.path.steps(), it.is_on_key));
    findings.iter_mut().for_each(|it| file.clone_into(&mut it.file));
    match made {
        Some(made) if !findings.iter().any(Finding::is_error) => Ok(made),
        _ => Err(findings),
    }
}

/// Whether a word without quotes stands for itself.
pub(crate) fn is_plain_text(word: &str) -> bool {
    matches!(scalar::plain(word), Ok(tree::Content::Text(_)))
}

fn read_source(
    source: &Source,
    options: &Options,
    objects: &mut Vec<Parsed>,
    findings: &mut Vec<Finding>,
) {
    let documents = match documents(source) {
        Ok(documents) => documents,
        Err(finding) => return findings.push(*finding),
    };
    for document in documents {
        if document.is_null() {
            continue;
        }
        match document.items_of_list() {
            Some(items) => {
                for item in items {
                    read_object(item, source, options, objects, findings);
                }
            }
            None => read_object(document, source, options, objects, findings),
        }
    }
}

fn read_object(
    node: Node,
    source: &Source,
    options: &Options,
    objects: &mut Vec<Parsed>,
    findings: &mut Vec<Finding>,
) {
    let mut value = node.to_value();
    place(&mut value, options);
    let mut report = Report::default();
    let resource = refuse::read(value.clone(), &mut report);
    let found = located(report, &value, &node, &source.file);
    let holds = !found.iter().any(Finding::is_error);
    findings.extend(found);
    if let Some(resource) = resource.filter(|_| holds) {
        let file = source.file.clone();
        objects.push(Parsed { resource, value, file, line: node.mark.line, node });
    }
}

/// Sets the storage version, and the namespace where none is given.
fn place(value: &mut Value, options: &Options) {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = Kind::from_object(text("apiVersion"), text("kind")) else {
        return;
    };
    value["apiVersion"] = kind.api_version().into();
    if kind.namespaced()
        && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("namespace").is_none_or(|it| it.is_null() || it == "")
    {
        metadata.insert("namespace".to_owned(), options.namespace.as_str().into());
    }
}

/// The documents of a text.
fn documents(source: &Source) -> Result<Vec<Node>, Box<Finding>> {
    let refused = |(mark, message)| Box::new(text_finding(source, mark, message));
    if source.text.len() > TEXT_LIMIT {
        let message = format!("{} bytes; at most {TEXT_LIMIT} are read", source.text.len());
        return Err(refused((Mark::default(), message)));
    }
    events::documents(&source.text).or_else(|problem| {
        // JSON has escapes that YAML lacks; nothing but JSON begins so and is JSON to the end.
        json::documents(&source.text).ok_or_else(|| refused(problem))
    })
}

fn text_finding(source: &Source, mark: Mark, message: String) -> Finding {
    Finding {
        severity: Severity::Error,
        file: source.file.clone(),
        line: mark.line,
        column: mark.column,
        object: String::new(),
        path: String::new(),
        message,
        suggestion: None,
    }
}

/// Objects that stand in the input twice.
fn duplicates(objects: &[Parsed]) -> Vec<Finding> {
    let mut seen: HashMap<(Kind, Option<&str>, &str), &Parsed> = HashMap::new();
    let mut findings = Vec::new();
    for object in objects.iter().filter(|it| !it.name().is_empty()) {
        let key = (object.kind(), object.namespace(), object.name());
        let Some(first) = seen.get(&key) else {
            seen.insert(key, object);
            continue;
        };
        let mut report = Report::default();
        let message =
            format!("stands in {}:{} already; one of the two must go", first.file, first.line);
        report.error(Path::root(), message);
        findings.extend(object.findings(report));
    }
    findings
}

/// Findings with the places of their fields in the text.
fn located(report: Report, value: &Value, node: &Node, file: &str) -> Vec<Finding> {
    let mut findings = findings_of(report, &describe(value), |problem| {
        node.find(problem.path.steps(), problem.is_on_key)
    });
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings.into_iter().map(|finding| Finding { file: file.to_owned(), ..finding }).collect()
}

/// Findings with the places that the function gives.
pub(crate) fn findings_of(
    report: Report,
    object: &str,
    place: impl Fn(&Problem) -> Mark,
) -> Vec<Finding> {
    let finding = |problem: Problem| {
        let Mark { line, column } = place(&problem);
        Finding {
            severity: problem.severity,
            file: String::new(),
            line,
            column,
            object: object.to_owned(),
            path: problem.path.to_string(),
            message: problem.message,
            suggestion: problem.suggestion,
        }
    };
    report.into_problems().into_iter().map(finding).collect()
}
