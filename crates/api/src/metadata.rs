//! `metadata`, the same for all kinds, and the checks of names, labels and annotations.

use std::collections::BTreeMap;

use meltemi_names::{is_dns_label, is_dns_subdomain, is_label_key, is_label_value};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::Kind;
use crate::refuse::{Path, Report};

/// How long all annotations of an object may be together, in bytes; Kubernetes' limit.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Name, labels and what the server keeps of an object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectMeta {
    /// The name, unique among objects of a kind in a namespace.
    pub name: String,
    /// The beginning of a name that the server completes.
    pub generate_name: String,
    /// The namespace; `default` where it is left out.
    pub namespace: String,
    /// By which the object is selected.
    pub labels: BTreeMap<String, String>,
    /// Notes that nothing is selected by.
    pub annotations: BTreeMap<String, String>,
    /// Told by the server: tells objects of one name apart.
    pub uid: String,
    /// Told by the server: the version of the object.
    pub resource_version: String,
    /// Told by the server: rises when the substance of the object changes.
    pub generation: i64,
    /// Told by the server: when the object was made.
    pub creation_timestamp: String,
    /// Told by the server: when deletion was asked for.
    pub deletion_timestamp: String,
    /// Told by the server: how long deletion may take.
    pub deletion_grace_period_seconds: i64,
    /// Who wants to be asked before the object goes.
    pub finalizers: Vec<String>,
    /// On whose deletion the object goes too.
    pub owner_references: Vec<OwnerReference>,
    /// Told by the server: who set which fields.
    pub managed_fields: Vec<Value>,
    /// Told by old servers: the path of the object.
    pub self_link: String,
}

/// An object on whose deletion another goes too.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// Group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner, in the same namespace.
    pub name: String,
    /// Uid of the owner.
    pub uid: String,
    /// Whether it is the owner that manages the object.
    #[serde(default)]
    pub controller: bool,
    /// Whether the owner waits for this object to go.
    #[serde(default)]
    pub block_owner_deletion: bool,
}

impl ObjectMeta {
    /// Checks name, namespace, labels and annotations by Kubernetes' rules.
    pub(crate) fn check(&self, kind: Kind, report: &mut Report) {
        let at = Path::of("metadata");
        self.check_name(kind, &at, report);
        if !kind.namespaced() && !self.namespace.is_empty() {
            let message = format!("{kind} does not live in a namespace");
            report.error(at.field("namespace"), message).suggest("remove the field");
        } else if !self.namespace.is_empty() && !is_dns_label(&self.namespace) {
            report.error(at.field("namespace"), not_label(&self.namespace, "a namespace's name"));
        }
        check_labels(&self.labels, &at.field("labels"), report);
        let annotations = at.field("annotations");
        for name in self.annotations.keys() {
            if let Some(message) = qualified_name_problem(&name.to_ascii_lowercase()) {
                report.error(annotations.field(name), message).on_key();
            }
        }
        let size: usize = self.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
        if size > ANNOTATIONS_LIMIT {
            report.error(annotations, format!("{size} bytes; at most {ANNOTATIONS_LIMIT} fit"));
        }
    }

    fn check_name(&self, kind: Kind, at: &Path, report: &mut Report) {
        let (name, prefix) = (&self.name, &self.generate_name);
        if name.is_empty() && prefix.is_empty() {
            report.error(at.field("name"), "missing; every object needs a name");
            return;
        }
        if name.is_empty() {
            // The server adds letters, so that a `-` may stand at the end.
            if !is_dns_subdomain(&format!("{prefix}x")) {
                report.error(at.field("generateName"), not_subdomain(prefix));
            }
            return;
        }
        // Names of services and namespaces are parts of host names.
        match kind {
            Kind::Service | Kind::Namespace if !is_dns_label(name) => {
                report.error(at.field("name"), not_label(name, "the name of a host's part"));
            }
            _ if !is_dns_subdomain(name) => {
                report.error(at.field("name"), not_subdomain(name));
            }
            _ => {}
        }
    }
}

/// Checks labels by Kubernetes' rules.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>, at: &Path, report: &mut Report) {
    for (name, value) in labels {
        if let Some(message) = qualified_name_problem(name) {
            report.error(at.field(name), message).on_key();
        }
        if !is_label_value(value) {
            let message = format!(
                "`{value}` is not a label's value: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
            );
            report.error(at.field(name), message);
        }
    }
}

/// Checks the names of a secret's or config map's data, which are names of files too.
pub(crate) fn check_data_keys<'a>(
    names: impl Iterator<Item = &'a String>,
    at: &Path,
    report: &mut Report,
) {
    for name in names {
        let fits = (1..=253).contains(&name.len())
            && ![".", ".."].contains(&name.as_str())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !fits {
            let message = format!("`{name}` is not a name here: letters, digits, `-`, `_` and `.`");
            report.error(at.field(name), message).on_key();
        }
    }
}

/// Why the text is not the name of a label or annotation, `[PREFIX/]NAME`.
fn qualified_name_problem(text: &str) -> Option<String> {
    (!is_label_key(text)).then(|| {
        format!(
            "`{text}` is not a name for a label or annotation: `[DOMAIN/]NAME`, the name at most 63 letters, digits, `-`, `_` and `.`"
        )
    })
}

fn not_label(text: &str, what: &str) -> String {
    format!(
        "`{text}` is not {what}: at most 63 lower-case letters, digits and `-`, no `-` at either end"
    )
}

fn not_subdomain(text: &str) -> String {
    format!("`{text}` is not a DNS name: at most 253 lower-case letters, digits, `-` and `.`")
}

/// `KIND NAMESPACE/NAME`, as far as the object says so.
pub(crate) fn describe(value: &Value) -> String {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let name = if name.is_empty() { text("/metadata/generateName") } else { name };
    match (kind, text("/metadata/namespace"), name) {
        (kind, _, "") => kind.to_owned(),
        (kind, "", name) => format!("{kind} {name}"),
        (kind, namespace, name) => format!("{kind} {namespace}/{name}"),
    }
}
