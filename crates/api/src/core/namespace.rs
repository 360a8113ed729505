//! `Namespace`: a room for names.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::refuse::Report;
use crate::resource::Checked;
use crate::values::Condition;

/// A room for names.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// `v1`.
    pub api_version: String,
    /// `Namespace`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Who wants to be asked before it goes.
    #[serde(default)]
    pub spec: NamespaceSpec,
    /// Told by the server.
    #[serde(default)]
    pub status: NamespaceStatus,
}

/// Who wants to be asked before a namespace goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamespaceSpec {
    /// The words of those who want to be asked.
    pub finalizers: Vec<String>,
}

/// How a namespace is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// More about it.
    pub conditions: Vec<Condition>,
}

impl Checked for Namespace {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, _: &mut Report) {}
}
